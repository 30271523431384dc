"""Capital and the next tournament in a few words, for the Overview."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from controlroom.pages.allocation.now import bar
from controlroom.pages.allocation.weights import Split, split, told
from controlroom.pages.formats import duration
from controlroom.pages.tournaments.shown import Agent, agents_of, percent, state_of
from market.occurrences import WEEKDAYS, Schedule, opening_ns
from tournaments.models import AllocationVersion, TournamentRound

if TYPE_CHECKING:
    from tournaments.rules import Rules

SAME = 1e-9
DAYS = 10  # in which a weekly schedule surely opens once
MARKETS_OWN = frozenset({"REPLAY", "SAMPLE", "SIMULATED"})
"""Sources whose clock is not the wall's: what is due is due by the market's time."""


@dataclass(frozen=True)
class Next:
    """The next round: when it opens, how long that is by the clock that counts, and the newest round so far."""

    opens_ms: int | None
    left: str
    by_market: bool
    rules: "Rules"
    newest: TournamentRound | None
    words: str


def capital(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bar of the weights in use; by pool where the database knows the worker's allocation."""
    used = {name: float(each.get("weight") or 0.0) for name, each in view.get("strategies", {}).items()}
    agents = agents_of(dict(view), used)
    held = view.get("allocation")
    row = None if held is None else AllocationVersion.objects.filter(version=held["version"]).first()
    if row is not None:
        parts = split(told(row), view["engine_ns"])
        if all(abs(parts.total.get(name, 0.0) - weight) <= SAME for name, weight in used.items()):
            return _capital(parts, agents, f"allocation {row.version}, {row.state}")
    words = "settings' weights" if held is None else f"allocation {held['version']}"
    return _capital(Split(0, 0, "", used, {}), agents, words)


def _capital(parts: Split, agents: Mapping[str, Agent], words: str) -> dict[str, Any]:
    fast = sum(parts.competitive.values())
    return {
        "bar": bar(parts, agents), "words": words, "base": percent(sum(parts.base.values())),
        "competitive": percent(fast) if parts.competitive else "", "cash": percent(parts.cash),
    }  # fmt: skip


def tournament(view: Mapping[str, Any], now_ms: int) -> Next:
    """Return the next round by the rules in force; by the wall's clock alone where the bars are live."""
    from tournaments.rules import schedule_of  # noqa: PLC0415 - the package's docstring says why
    from tournaments.selectors import active_rules  # noqa: PLC0415

    rules = active_rules()
    by_market = view.get("source", {}).get("label") in MARKETS_OWN
    now_ns = view.get("engine_ns") if by_market else now_ms * 1_000_000
    opens_ns = next_opening(schedule_of(rules), now_ns) if now_ns and rules.enabled else None
    newest = TournamentRound.objects.only("round_id", "state").first()
    return Next(
        opens_ms=None if opens_ns is None else opens_ns // 1_000_000,
        left="" if opens_ns is None or now_ns is None else duration((opens_ns - now_ns) / 1e6),
        by_market=by_market, rules=rules, newest=newest, words=state_of(newest.state)[1] if newest else "",
    )  # fmt: skip


def next_opening(schedule: Schedule, now_ns: int) -> int | None:
    """Return the schedule's next hour, UTC nanoseconds.

    ``market.occurrences.upcoming`` also leaves out a week without any session, and of a daily schedule the days that
    no session follows. For that it builds the exchange's calendar: seconds, and 114 MB, that the first page of a web
    process cannot spend.
    """
    today = datetime.fromtimestamp(now_ns / 1e9, UTC).astimezone(ZoneInfo(schedule.zone)).date()
    days = (today + timedelta(days=ahead) for ahead in range(DAYS))
    wanted = (day for day in days if schedule.interval == "daily" or WEEKDAYS[day.weekday()] == schedule.weekday)
    return next((opens_ns for day in wanted if (opens_ns := opening_ns(schedule, day)) > now_ns), None)

"""Capital now: what the worker acknowledged, what it was told since, what it uses, and what bound or overrides it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlroom.pages.allocation.weights import Split, Told, began, split, told
from controlroom.pages.formats import NOTHING, SPACE, duration, plain, signed
from controlroom.pages.tournaments.shown import Agent, agents_of, milliseconds, percent, unit

if TYPE_CHECKING:
    from controlroom.pages.allocation.past import Decided
    from tournaments.models import AllocationVersion
    from tournaments.rules import Rules
    from tournaments.selectors import Benched

SAME = 1e-9
BOUND = {
    "wish": NOTHING, "bench": "benched", "ceiling": "ceiling by drawdown", "override": "override",
    "pool": "size of the pool", "strategy cap": "strategy cap", "agent cap": "agent cap", "move limit": "move limit",
}  # fmt: skip
"""Names of tournaments/allocation/limits.py to the page's words; a wish is what nothing bound."""
NORMAL = "normal"


@dataclass(frozen=True)
class Station:
    """What the page knows of now: ``rows`` newest first, ``running`` the row in force, ``settings`` the weights else.

    ``settings`` is None before the first configuration, ``configuration`` its version in the database. ``benched`` are
    those that the newest of the station's own rounds has benched.
    """

    view: Mapping[str, Any]
    rows: Sequence["AllocationVersion"]
    running: "AllocationVersion | None"
    settings: Mapping[str, float] | None
    configuration: int | None
    benched: Mapping[str, "Benched"] = field(default_factory=dict)

    @property
    def now_ns(self) -> int | None:
        """Return the market's time, None before the worker has said any."""
        return self.view.get("engine_ns")

    @property
    def in_use(self) -> dict[str, float]:
        """Return the weights that the worker says it uses."""
        return {name: float(each.get("weight") or 0.0) for name, each in self.view.get("strategies", {}).items()}

    @property
    def agents(self) -> dict[str, Agent]:
        """Return the strategies in their colours."""
        names = self.in_use or self.settings or (self.of(self.running).content.weights if self.running else {})
        return agents_of(dict(self.view), names)

    @property
    def asked(self) -> "AllocationVersion | None":
        """Return the newest version if the worker was told of it and has not answered."""
        newest = next((row for row in self.rows if row.state not in {"proposed", "refused"}), None)
        return newest if newest is not None and newest.state == "told" else None

    @property
    def acknowledged(self) -> Split | None:
        """Return the weights that the worker acknowledged last, as they run now; the settings' where none do."""
        if self.running is not None:
            return split(self.of(self.running), self.now_ns or self.running.at_ns)
        return None if self.settings is None else Split(self.now_ns or 0, 0, "", self.settings, {})

    def acknowledgements(self) -> list[Told]:
        """Return the versions that the worker acknowledged, newest first."""
        return [told(row) for row in self.rows if row.state == "acknowledged"]

    @staticmethod
    def of(row: "AllocationVersion") -> Told:
        """Return a row as numbers."""
        return told(row)


def difference(station: Station) -> str:
    """Return why the worker uses other weights than those acknowledged, "" where it does not or has said nothing."""
    held = station.acknowledged
    if held is None or not station.in_use:
        return ""
    total = held.total
    other = [name for name, weight in station.in_use.items() if abs(weight - total.get(name, 0.0)) > SAME]
    if not other:
        return ""
    titles = ", ".join(station.agents[name].title for name in other)
    return f"{titles}: the worker uses other weights than {_what(held)}, {_why(station, held)}"


def _what(held: Split) -> str:
    return f"acknowledged version {held.version}" if held.version else "the settings"


def _why(station: Station, held: Split) -> str:
    used = station.view.get("allocation")
    version = None if used is None else used.get("version")
    if version is not None and version > held.version:
        return f"because it already runs version {version}: its acknowledgement has not reached the database yet"
    if version is not None and version < held.version:
        return f"because it runs version {version}, an older one: it may be resuming from its journal"
    configuration = station.view.get("configuration")
    if configuration != station.configuration:
        return (
            f"because it runs configuration {configuration} and the database's newest is {station.configuration}: "
            "weights of the settings end an allocation"
        )
    if used is None and held.version:
        return "because it holds no allocation: it may have been started anew; the next version sets it right"
    return "and has not said why: the Audit page has its journal"


def table(station: Station, rounds: "Mapping[str, Decided]") -> dict[str, Any]:
    """Return the rows of now, with the cash that is left; ``rounds`` by their id."""
    held, asked = station.acknowledged, station.asked
    wanted = None if asked is None else split(station.of(asked), station.now_ns or asked.at_ns)
    decided = rounds.get(held.round_id) if held is not None else None
    chain = station.acknowledgements() if station.running is not None else []
    rows = [_row(station, agent, held, wanted, decided, chain) for agent in station.agents.values()]
    used = sum(station.in_use.values())
    return {
        "rows": rows, "cash": percent(held.cash, 2) if held else NOTHING,
        "cash_asked": percent(wanted.cash, 2) if wanted else "",
        "cash_in_use": percent(max(0.0, 1.0 - used), 2) if station.in_use else NOTHING,
        "base": percent(sum(held.base.values()), 2) if held else NOTHING,
        "competitive": percent(sum(held.competitive.values()), 2) if held else NOTHING,
        "bar": bar(held, station.agents) if held else [], "decided": decided, "now_ms": milliseconds(station.now_ns),
        "acknowledged_ms": _stamp(station.running.acknowledged_at if station.running is not None else None),
    }  # fmt: skip


def _row(  # noqa: PLR0917 - one caller
    station: Station, agent: Agent, held: Split | None, wanted: Split | None, decided: "Decided | None",
    chain: Sequence[Told],
) -> dict[str, Any]:  # fmt: skip
    name = agent.name
    total = None if held is None else held.total.get(name)
    used = station.in_use.get(name)
    row: dict[str, Any] = {
        "agent": agent, "path": f"strategies.by.{name}.weight", "total": percent(total, 2),
        "asked": percent(wanted.total.get(name), 2) if wanted else "",
        "differs": used is not None and total is not None and abs(used - total) > SAME,
        "split": bool(held and held.version), "base": percent(held.base.get(name) if held else None, 2),
        "competitive": percent(held.competitive.get(name) if held else None, 2), "bound": [], "override": None,
        "standing": NORMAL, "state": "active",
    }  # fmt: skip
    if held is not None and name in held.held:
        row["override"] = _override(station, name, chain)
    if decided is not None:
        made = decided.allocated
        rules = (made.base_rules.get(name, "wish"), made.pool_rules.get(name, "wish"))
        pairs = zip(("base", "competitive"), rules, strict=True)
        row["bound"] = [f"{pool}: {BOUND.get(rule, rule)}" for pool, rule in pairs if rule != "wish"]
        standing = made.standing.get(name)
        if standing is not None and standing.status != "active":
            row["state"] = standing.status
            most = f", at most {percent(standing.ceiling, 2)}" if standing.status == "halved" else ""
            let_in = station.benched[name].readmitted_by if name in station.benched else ""
            back = f", let in again by {let_in} from the next round on" if let_in else ""
            row["standing"] = f"{standing.status}{most}{back}"
    return row


def _override(station: Station, name: str, chain: Sequence[Told]) -> dict[str, Any] | None:
    first = began(chain, name)
    if first is None:
        return None
    until_ns = first.content.overrides[name].until_ns
    left_ms = (until_ns - (station.now_ns or until_ns)) / 1e6
    return {
        "weight": percent(first.content.overrides[name].weight, 2), "until_ms": milliseconds(until_ns),
        "left": duration(left_ms), "by": first.actor, "reason": first.reason, "version": first.version,
    }  # fmt: skip


def _stamp(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def bar(held: Split, agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return the bar of the whole capital, 100 units wide: base weights, then competitive ones, then cash."""
    parts, x = [], 0.0
    pools = (("base", held.base), ("competitive", held.competitive))
    wide = [(pool, agent, 100.0 * weights.get(agent.name, 0.0)) for pool, weights in pools for agent in agents.values()]
    for pool, agent, width in wide:
        if width > 0.0:
            title = f"{agent.title}, {pool} {plain(width, 2)}{SPACE}%"
            parts.append({"tone": agent.tone, "pool": pool, "x": f"{x:.3f}", "width": f"{width:.3f}", "title": title})
        x += width
    return parts


def evidence(newest: "Decided | None", rules: "Rules") -> dict[str, Any]:
    """Return how far the evidence opens the pool, and what is missing to open it fully."""
    needed = math.log(rules.evidence_full)
    log_e = newest.allocated.evidence if newest else 0.0
    opened = min(1.0, max(0.0, log_e / needed))
    return {
        "round": newest.round_id if newest else "", "log_e": signed(log_e, 3, arrow=False), "needed": plain(needed, 2),
        "left": plain(max(0.0, needed - log_e), 2), "opened": opened, "opened_words": percent(opened, 0),
        "pool": percent(newest.allocated.pool if newest else None, 2), "bar": unit(opened),
        "least": percent(rules.pool_minimum, 0), "most": percent(rules.pool_maximum, 0), "on": rules.evidence,
        "odds": plain(rules.evidence_full, 0), "settled": newest.allocated.settled_rounds if newest else 0,
        "diversity": plain(newest.allocated.diversity_index, 2) if newest else NOTHING,
        "raw": plain(newest.allocated.raw_regret, 4) if newest else NOTHING,
        "bound": plain(newest.allocated.regret_bound, 3) if newest else NOTHING,
        "deployed": plain(newest.allocated.deployed_regret, 4) if newest else NOTHING,
    }  # fmt: skip


def versions(station: Station) -> list[dict[str, Any]]:
    """Return the history's rows, newest first; ``made_ms`` and ``answered_ms`` are the wall's time."""
    found = []
    for row in station.rows:
        given = told(row)
        held = split(given, row.at_ns)
        found.append({
            "row": row, "at_ms": milliseconds(row.at_ns), "made_ms": _stamp(row.created),
            "answered_ms": _stamp(row.acknowledged_at),
            "bar": bar(held, station.agents), "cash": percent(held.cash, 2),
            "why": "" if row.reason == f"round {row.round_id}" else row.reason,
            "in_force": station.running is not None and row.version == station.running.version,
            "overrides": [
                f"{station.agents[name].title if name in station.agents else name} {percent(each.weight, 2)}"
                for name, each in given.content.overrides.items()
            ],
        })  # fmt: skip
    return found

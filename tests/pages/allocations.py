"""A station's allocations for the pages: rounds of a quarter with drawn weights, and the versions that came of them."""

import json
from typing import Any

import msgspec
import numpy as np
from django.utils import timezone

from engine.allocation import Allocation, Override
from engine.configuration import load_settings
from market.calendars import DAY_NS
from tests.browser.scripted import OPEN_NS
from tests.pages import rounds
from tournaments.allocation.drawdown import Standing
from tournaments.models import AllocationVersion, TournamentRound
from tournaments.record import RoundRecord

STRATEGIES = ("bullish", "bearish", "mean_reversion", "momentum")
WEEKS = 12
LAST_NS = OPEN_NS - 3 * DAY_NS - 27_000_000_000_000  # Sunday 2019-02-10 02:00 in New York
State = AllocationVersion.State


def at_ns(week: int) -> int:
    """Return the instant of a round, the last of which is the Sunday before the scripted view."""
    return LAST_NS - (WEEKS - 1 - week) * 7 * DAY_NS


def record(week: int, **change: Any) -> RoundRecord:
    """Return a settled round of a week with drawn weights; in the last three weeks bearish is halved, then benched."""
    made, generator = rounds.held()[1], np.random.default_rng(week)
    assert made.allocated is not None
    assert made.opened is not None
    assert made.settlement is not None
    pool = 0.02 + 0.002 * week
    drift = np.array([0.010, -0.013, 0.006, -0.003]) * week / 4
    base = np.full(4, 0.225) + drift + 0.002 * generator.standard_normal(4)
    share = generator.dirichlet([8.0, 3.0, 6.0, 5.0])
    standing = dict.fromkeys(STRATEGIES, Standing())
    if week >= WEEKS - 3:
        standing["bearish"] = Standing(status="halved", ceiling=0.09, beyond=1)
        base[1] = 0.085
    if week == WEEKS - 1:
        standing["bearish"] = Standing(status="benched", ceiling=0.0)
        base[1], share[1] = 0.0, 0.0
    allocated = msgspec.structs.replace(
        made.allocated, base=dict(zip(STRATEGIES, base.tolist(), strict=True)),
        competitive=dict(zip(STRATEGIES, (pool * share).tolist(), strict=True)), pool=pool, standing=standing,
        cash=float(1.0 - base.sum() - pool * share.sum()), evidence=0.12 * week - 0.2 + 0.15 * float(share[0]),
        base_rules={"bullish": "move limit", "bearish": "bench", "mean_reversion": "wish", "momentum": "wish"},
        pool_rules={"bullish": "agent cap", "bearish": "bench", "mean_reversion": "pool", "momentum": "wish"},
        raw_regret=0.004 * week**0.5, regret_bound=3.85 + 0.1 * week, deployed_regret=0.011 * week**0.5,
        diversity_index=0.45 + 0.03 * float(generator.standard_normal()), settled_rounds=week,
    )  # fmt: skip
    earned = (0.006 * generator.standard_normal(4)).tolist()
    settlement = msgspec.structs.replace(made.settlement, returns_of=dict(zip(STRATEGIES, earned, strict=True)))
    named = msgspec.structs.replace(made.round, round_id=f"tournament:XNYS:week-{week:02d}")
    opened = msgspec.structs.replace(made.opened, as_of_ns=at_ns(week))
    return msgspec.structs.replace(
        made, round=named, opened=opened, **{"allocated": allocated, "settlement": settlement, **change}
    )


def stored(held: RoundRecord, *, station_bars: bool = True, round_id: str = "") -> TournamentRound:
    """Put a round of the station's own into the database, or one that somebody held over files."""
    row = rounds.stored(held, round_id=round_id)
    TournamentRound.objects.filter(pk=row.pk).update(station_bars=station_bars)
    return row


def version(number: int, held: RoundRecord | None = None, **change: Any) -> AllocationVersion:
    """Put a version into the database, acknowledged unless ``change`` says otherwise; ``overrides`` among it."""
    made = held.allocated if held is not None else None
    base = dict.fromkeys(STRATEGIES, 0.225) if made is None else made.base
    fast: dict[str, float] = {} if made is None else made.competitive
    given = Allocation(
        version=number, round_id=held.round.round_id if held is not None else "",
        weights={name: base[name] + fast.get(name, 0.0) for name in STRATEGIES}, overrides=change.pop("overrides", {}),
    )  # fmt: skip
    row = {
        "version": number, "round_id": given.round_id, "content": msgspec.json.encode(given).decode(),
        "base": json.dumps(base), "competitive": json.dumps(fast),
        "settings_weights": json.dumps(load_settings().weights), "state": State.ACKNOWLEDGED,
        "request_id": f"allocate-{number}", "actor": "tournament", "reason": f"round {given.round_id}",
        "at_ns": OPEN_NS if held is None or held.opened is None else held.opened.as_of_ns,
    }  # fmt: skip
    row |= change
    if row["state"] in {State.ACKNOWLEDGED, State.REFUSED}:
        row.setdefault("acknowledged_at", timezone.now())
    return AllocationVersion.objects.create(**row)


def quarter() -> AllocationVersion:
    """Put a quarter of rounds and versions in: overrides, one that is over and one that runs; return the one in force.

    Beside them a refused and a proposed version, and three rounds over files that nobody deploys.
    """
    number = 0
    for week in range(WEEKS):
        held = record(week)
        stored(held)
        number += 1
        version(number, held)
        if week == 5:
            number += 1
            over = {"momentum": Override(weight=0.12, until_ns=at_ns(week) + 5 * DAY_NS)}
            version(number, held, overrides=over, actor="zoë", reason="a fault in its data", at_ns=at_ns(5) + DAY_NS)
    number += 1
    version(number, record(WEEKS - 1), state=State.REFUSED, answer="weights add up to 1.2; all of the capital is 1")
    number += 1
    running = {"momentum": Override(weight=0.10, until_ns=OPEN_NS + 6 * DAY_NS)}
    last = version(
        number, record(WEEKS - 1), overrides=running, actor="operator", reason="its broker's borrow is recalled",
        at_ns=OPEN_NS - 2 * DAY_NS,
    )  # fmt: skip
    proposed = record(WEEKS - 1)
    version(number + 1, proposed, state=State.PROPOSED)
    for week in (3, 5, 8):
        stored(record(week), station_bars=False, round_id=f"tournament:hand:try-{week}")
    return last


def in_use(row: AllocationVersion, now_ns: int) -> dict[str, Any]:
    """Return what the worker's view says once it runs a version: its allocation and each strategy's weight."""
    given = msgspec.json.decode(row.content, type=Allocation)
    return {"allocation": msgspec.to_builtins(given), "weights": given.at(now_ns)}

"""Rounds as this page needs them: what each decided and what came of it, without entries and debates.

Views import this module inside functions: the records' types bring the compiled simulator with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db.models import Count, Max

from tournaments import selectors
from tournaments.allocation.metrics import CompetitiveDelta, competitive_delta
from tournaments.models import AllocationVersion, TournamentRound
from tournaments.record import Allocated, Settlement


class _Round(msgspec.Struct):
    rules_version: int


class _Record(msgspec.Struct):
    round: _Round
    allocated: Allocated | None = None
    settlement: Settlement | None = None


@dataclass(frozen=True)
class Decided:
    """A round that has allocated; ``at_ns``: when it counted from, UTC nanoseconds of the market's time."""

    round_id: str
    at_ns: int
    rules_version: int
    allocated: Allocated
    settlement: Settlement | None


def decided(limit: int) -> list[Decided]:
    """Return the newest few rounds that have allocated, oldest first, at their own instants."""
    found = []
    for row in reversed(selectors.season(limit)):
        record = msgspec.json.decode(row.record, type=_Record) if row.record and row.state != "void" else None
        if record is not None and record.allocated is not None:
            rules, made = record.round.rules_version, record.allocated
            found.append(Decided(row.round_id, row.as_of_ns, rules, made, record.settlement))
    return found


def newest_change() -> Any:
    """Return what changes whenever a round does."""
    return sorted(TournamentRound.objects.aggregate(Count("id"), Max("changed")).items())


def deployed(rounds: Sequence[Decided], versions: Sequence[AllocationVersion]) -> list[Decided]:
    """Return the rounds whose weights the worker acknowledged, at the instants of their versions."""
    at = {row.round_id: row.at_ns for row in versions if row.state == AllocationVersion.State.ACKNOWLEDGED}
    moved = [
        Decided(each.round_id, at[each.round_id], each.rules_version, each.allocated, each.settlement)
        for each in rounds if each.round_id in at
    ]  # fmt: skip
    return sorted(moved, key=lambda each: each.at_ns)


def shadow(rounds: Sequence[Decided], versions: Sequence[AllocationVersion]) -> list[Decided]:
    """Return the rounds of which the worker was never to be told; of one instant the one that was held last."""
    known = {row.round_id for row in versions}
    found = {each.at_ns: each for each in rounds if each.round_id not in known}
    return [found[at_ns] for at_ns in sorted(found)]


def earned(rounds: Sequence[Decided]) -> CompetitiveDelta | None:
    """Return what the pool earned beyond the same capital by base weights, None before any round is settled."""
    done = [(each.allocated, each.settlement) for each in rounds if each.settlement is not None]
    agents = sorted({name for made, _ in done for name in made.base})
    if not agents:
        return None
    return competitive_delta(
        [[made.base.get(name, 0.0) for name in agents] for made, _ in done],
        [[made.competitive.get(name, 0.0) for name in agents] for made, _ in done],
        [[came.returns_of.get(name, 0.0) for name in agents] for _, came in done],
    )

"""The weights that the worker acknowledged, as they ran: from version to version and from override to override."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from engine.allocation import Allocation

if TYPE_CHECKING:
    from tournaments.models import AllocationVersion


@dataclass(frozen=True)
class Told:
    """A version as numbers; ``base`` and ``competitive`` are empty where people decided without a round."""

    version: int
    round_id: str
    state: str
    at_ns: int
    actor: str
    reason: str
    content: Allocation
    base: Mapping[str, float]
    competitive: Mapping[str, float]
    settings: Mapping[str, float]


@dataclass(frozen=True)
class Split:
    """Fractions of the capital from an instant on, UTC nanoseconds; who is ``held`` has an override's weight."""

    at_ns: int
    version: int
    round_id: str
    base: Mapping[str, float]
    competitive: Mapping[str, float]
    held: frozenset[str] = field(default_factory=frozenset)

    @property
    def total(self) -> dict[str, float]:
        """Return base and competitive together, by strategy."""
        return {name: base + self.competitive.get(name, 0.0) for name, base in self.base.items()}

    @property
    def cash(self) -> float:
        """Return what no strategy may use."""
        return max(0.0, 1.0 - sum(self.total.values()))


def told(row: "AllocationVersion") -> Told:
    """Return a row of the database as numbers."""
    return Told(
        version=row.version, round_id=row.round_id, state=str(row.state), at_ns=row.at_ns, actor=row.actor,
        reason=row.reason, content=_content(row.content), base=json.loads(row.base),
        competitive=json.loads(row.competitive), settings=json.loads(row.settings_weights),
    )  # fmt: skip


@lru_cache(maxsize=512)
def _content(text: str) -> Allocation:
    return msgspec.json.decode(text, type=Allocation)


def split(given: Told, at_ns: int) -> Split:
    """Return a version's weights at an instant; an override is all base, as the rules have it."""
    weights = given.content.at(at_ns)
    held = frozenset(name for name, each in given.content.overrides.items() if each.until_ns > at_ns)
    fast = {name: 0.0 if name in held else min(given.competitive.get(name, 0.0), w) for name, w in weights.items()}
    slow = {name: weight - fast[name] for name, weight in weights.items()}
    return Split(at_ns, given.version, given.round_id, slow, fast, held)


def timeline(versions: Sequence[Told], until_ns: int | None) -> list[Split]:
    """Return every change of the weights, oldest first, and what runs at ``until_ns`` (None: nothing runs any more).

    Parameters
    ----------
    versions : those that the worker acknowledged, oldest first.
    """
    found: list[Split] = []
    for given, later in zip(versions, [*versions, None][1:], strict=True):
        # What people approved late counts from its round's instant, and acts no earlier than what it follows.
        begin_ns = max(given.at_ns, found[-1].at_ns if found else given.at_ns)
        end_ns = later.at_ns if later is not None else until_ns
        ends = {each.until_ns for each in given.content.overrides.values()}
        inside = sorted(each for each in ends if end_ns is not None and begin_ns < each < end_ns)
        found += [split(given, at_ns) for at_ns in (begin_ns, *inside)]
    if versions and until_ns is not None and until_ns > found[-1].at_ns:
        found.append(split(versions[-1], until_ns))
    return found


def began(versions: Sequence[Told], name: str) -> Told | None:
    """Return the version that began the newest one's override of a strategy, None where it has none.

    Parameters
    ----------
    versions : those that the worker acknowledged, newest first.
    """
    if not versions or name not in versions[0].content.overrides:
        return None
    held, found = versions[0].content.overrides[name], versions[0]
    for each in versions:
        if each.content.overrides.get(name) != held:
            break
        found = each
    return found

"""Planted bugs: each swaps one function while seeds run, and each must be found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from tests.simulation.mutants import broken


@dataclass(frozen=True)
class Mutant:
    """A bug: what it does, what it replaces, and within how many seeds it is found."""

    name: str
    what: str
    place: Any
    attribute: str
    broken: Any
    within: int

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Run with the bug."""
        with patch.object(self.place, self.attribute, self.broken):
            yield


def found(mutant: Mutant, run: Callable[[int], str], first: int = 0) -> tuple[int, str]:
    """Run seeds until one finds the mutant; return how many it took and which invariant it was ("" if none did)."""
    with mutant.planted():
        for count in range(1, mutant.within + 1):
            invariant = run(first + count - 1)
            if invariant:
                return count, invariant
    return mutant.within, ""


MUTANTS: tuple[Mutant, ...] = tuple(Mutant(*each) for each in broken.ALL)

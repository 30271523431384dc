"""Opinions beside the path: stances that scale targets, and the calibrators that say how far to believe a score."""

from bisect import insort
from typing import Any

import msgspec

from agents.calibration import CalibrationError, Calibrator, decode
from events.types import ModelEvent, StanceEvent

EVERY = "*"


class Kept(msgspec.Struct, kw_only=True):
    """A snapshot of all opinions."""

    stances: list[StanceEvent]
    calibrators: dict[str, Calibrator]
    waiting: list[tuple[int, str, Calibrator]]


class Opinions:
    """Stances and calibrators in force, and those that are still to come."""

    def __init__(self) -> None:
        self.stances: list[StanceEvent] = []
        self.calibrators: dict[str, Calibrator] = {}
        self.waiting: list[tuple[int, str, Calibrator]] = []
        self._instants: list[int] = []

    def add_stance(self, stance: StanceEvent, strategies: list[str]) -> str:
        """Take a stance; return why not, or an empty string."""
        if stance.strategy not in strategies:
            return f"stance of unknown strategy {stance.strategy!r}; there are {', '.join(strategies)}"
        if not -1.0 <= stance.bias <= 1.0 or not 0.0 <= stance.confidence <= 1.0:
            return f"stance of {stance.strategy} has bias {stance.bias} or confidence {stance.confidence} outside -1 to 1 and 0 to 1"
        if stance.expiry_ns <= stance.effective_from_ns:
            return f"stance of {stance.strategy} expires at {stance.expiry_ns}, not after its effective_from {stance.effective_from_ns}"
        self.stances.append(stance)
        insort(self._instants, stance.effective_from_ns)
        insort(self._instants, stance.expiry_ns)
        return ""

    def add_model(self, event: ModelEvent, now_ns: int) -> str:
        """Take fitted calibrators; return why not, or an empty string. They act from their effective_from, never before now."""
        if event.name != "calibrators" or event.outcome != "fitted":
            return ""
        try:
            given = {
                name: decode(bytes(raw))
                for name, raw in msgspec.json.decode(event.content, type=dict[str, msgspec.Raw]).items()
            }
        except (CalibrationError, msgspec.MsgspecError) as error:
            return f"calibrators of {event.occurrence}: {error}"
        start = max(event.effective_from_ns, now_ns)
        self.waiting += [(start, name, calibrator) for name, calibrator in given.items()]
        insort(self._instants, start)
        return ""

    def next_instant(self) -> int | None:
        """Return the next instant at which something begins or ends."""
        return self._instants[0] if self._instants else None

    def advance(self, now_ns: int) -> bool:
        """Let begin and end what is due; return whether anything was."""
        if not self._instants or self._instants[0] > now_ns:
            return False
        while self._instants and self._instants[0] <= now_ns:
            self._instants.pop(0)
        self.stances = [stance for stance in self.stances if stance.expiry_ns > now_ns]
        for start, name, calibrator in self.waiting:
            if start <= now_ns:
                self.calibrators[name] = calibrator
        self.waiting = [entry for entry in self.waiting if entry[0] > now_ns]
        return True

    def write_multipliers(
        self, now_ns: int, names: list[str], index: dict[str, int], books: Any, low: float, high: float
    ) -> None:
        """Write each (strategy, symbol)'s multiplier: clip(1 + bias x confidence, low, high) of the latest valid stance.

        The latest ``effective_from`` wins, at a tie the one that came last; a stance for the symbol goes before one for "*".
        """
        books["stance"][:] = 1.0
        for general in (True, False):
            valid = [
                x
                for x in self.stances
                if (x.symbol == EVERY) == general and x.effective_from_ns <= now_ns < x.expiry_ns
            ]
            for stance in sorted(valid, key=lambda x: x.effective_from_ns):
                value = min(high, max(low, 1.0 + stance.bias * stance.confidence))
                s = names.index(stance.strategy)
                if general:
                    books["stance"][s, :] = value
                elif stance.symbol in index:
                    books["stance"][s, index[stance.symbol]] = value

    def keep(self) -> Kept:
        """Return a snapshot."""
        return Kept(stances=self.stances, calibrators=self.calibrators, waiting=self.waiting)

    def restore(self, kept: Kept, now_ns: int) -> None:
        """Continue from a snapshot taken at ``now_ns``."""
        self.stances, self.calibrators, self.waiting = kept.stances, kept.calibrators, kept.waiting
        instants = [t for x in self.stances for t in (x.effective_from_ns, x.expiry_ns)] + [
            entry[0] for entry in self.waiting
        ]
        self._instants = sorted(t for t in instants if t > now_ns)

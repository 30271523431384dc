"""Opinions beside the path: stances that scale targets, and the calibrators that say how far to believe a score."""

import re
from bisect import insort
from collections.abc import Collection
from typing import Any

import msgspec
import numpy as np

from agents.calibration import CalibrationError, Calibrator, decode
from events.types import ModelEvent, StanceEvent
from risk.var_limit import is_covariance

EVERY = "*"
DAY_NS = 86_400_000_000_000


class Kept(msgspec.Struct, kw_only=True):
    """A snapshot of all opinions."""

    stances: list[StanceEvent]
    calibrators: dict[str, Calibrator]
    waiting: list[tuple[int, str, Calibrator]]
    instants: list[int]
    covariance: "Covariance | None"
    covariances: list[tuple[int, "Covariance"]]


class Covariance(msgspec.Struct, frozen=True, kw_only=True):
    """Of daily fractional returns, fitted on the sessions up to ``through`` (ISO date); more fields may come beside."""

    symbols: list[str]
    covariance: list[list[float]]
    through: str
    method: str = ""


class Opinions:
    """Stances and calibrators in force, and those that are still to come."""

    def __init__(self) -> None:
        self.stances: list[StanceEvent] = []
        self.calibrators: dict[str, Calibrator] = {}
        self.waiting: list[tuple[int, str, Calibrator]] = []
        self._instants: list[int] = []
        self.covariance: Covariance | None = None
        self.covariances: list[tuple[int, Covariance]] = []

    def add_stance(self, stance: StanceEvent, strategies: list[str], symbols: Collection[str]) -> str:
        """Take a stance; return why not, or an empty string."""
        name, start, end = stance.strategy, stance.effective_from_ns, stance.expiry_ns
        if name not in strategies:
            return f"stance of unknown strategy {name!r}; there are {', '.join(strategies)}"
        if stance.symbol != EVERY and stance.symbol not in symbols:
            return f"stance of {name} has symbol {stance.symbol!r}; allowed are '*' and the station's {len(symbols)}"
        if not -1.0 <= stance.bias <= 1.0:
            return f"stance of {name} has bias {stance.bias}; allowed is -1 to 1"
        if not 0.0 <= stance.confidence <= 1.0:
            return f"stance of {name} has confidence {stance.confidence}; allowed is 0 to 1"
        if end <= start:
            return f"stance of {name} expires at {end}; allowed is any instant after its effective_from {start}"
        self.stances.append(stance)
        insort(self._instants, stance.effective_from_ns)
        insort(self._instants, stance.expiry_ns)
        return ""

    def add_model(self, event: ModelEvent, now_ns: int) -> str:
        """Take fitted calibrators or a covariance, from their effective_from, not before now; return why not, or ""."""
        if event.name == "covariance" and event.outcome == "fitted":
            return self._add_covariance(event, now_ns)
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
        self.waiting = [entry for entry in self.waiting if entry[0] < start or entry[1] not in given]
        self.waiting += [(start, name, calibrator) for name, calibrator in given.items()]
        insort(self._instants, start)
        return ""

    def _add_covariance(self, event: ModelEvent, now_ns: int) -> str:
        try:
            given = msgspec.json.decode(event.content, type=Covariance)
        except msgspec.MsgspecError as error:
            return f"covariance of {event.occurrence}: {error}"
        fault = _fault(given, now_ns)
        if fault:
            return f"covariance of {event.occurrence} {fault}"
        start = max(event.effective_from_ns, now_ns)
        self.covariances = [entry for entry in self.covariances if entry[0] < start]  # a later word takes an older back
        self.covariances.append((start, given))
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
        for start, given in self.covariances:
            if start <= now_ns:
                self.covariance = given
        self.covariances = [entry for entry in self.covariances if entry[0] > now_ns]
        return True

    def write_multipliers(
        self, now_ns: int, rows: dict[str, int], index: dict[str, int], books: Any, clamp: tuple[float, float]
    ) -> None:
        """Write each (strategy, symbol)'s multiplier: clip(1 + bias x confidence, clamp) of the latest valid stance.

        The latest ``effective_from`` wins, at a tie the one that came last; one for the symbol goes before one for "*".
        """
        low, high = clamp
        books["stance"][:] = 1.0
        valid = [stance for stance in self.stances if stance.effective_from_ns <= now_ns < stance.expiry_ns]
        for stance in sorted(valid, key=lambda x: (x.symbol != EVERY, x.effective_from_ns)):
            value = min(high, max(low, 1.0 + stance.bias * stance.confidence))
            if stance.symbol == EVERY:
                books["stance"][rows[stance.strategy], :] = value
            elif stance.symbol in index:
                books["stance"][rows[stance.strategy], index[stance.symbol]] = value

    def keep(self) -> Kept:
        """Return a snapshot."""
        return Kept(
            stances=self.stances, calibrators=self.calibrators, waiting=self.waiting, instants=self._instants,
            covariance=self.covariance, covariances=self.covariances,
        )  # fmt: skip

    def restore(self, kept: Kept) -> None:
        """Continue from a snapshot."""
        self.stances, self.calibrators, self.waiting = kept.stances, kept.calibrators, kept.waiting
        self._instants = kept.instants
        self.covariance, self.covariances = kept.covariance, kept.covariances


def _fault(given: Covariance, now_ns: int) -> str:
    """Return what is wrong with a covariance, "" if nothing is."""
    n = len(given.symbols)
    if n == 0 or len(set(given.symbols)) < n:
        return f"has {n} symbols; allowed is at least one, each once"
    if len(given.covariance) != n or any(len(line) != n for line in given.covariance):
        return f"is not {n} x {n}, as its symbols are"
    if not is_covariance(np.array(given.covariance)):
        return "is not finite, symmetric and positive definite"
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given.through):
        return f"has through {given.through!r}; allowed is an ISO date"
    if given.through > str(np.datetime64(now_ns + DAY_NS, "ns").astype("datetime64[D]")):
        return f"has through {given.through}, which is yet to come"
    return ""

"""Find out whether a policy looks ahead: on a longer history it must say the same as on a shorter one.

Bars go the way they go live: slice by slice through the one aggregator into the policy's compiled loop.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.strategies.policy import Policy, parameter_array
from market.aggregation import EARLIER, NOW, advance, new_buckets
from market.bars import BarArray, empty_bars
from market.calendars import Sessions

Int64Array = npt.NDArray[np.int64]
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class History:
    """Slices in time order.

    ``now_ns`` (slices,) is each slice's close; ``bars`` (slices, symbols) its bars; ``session_open_ns`` and
    ``session_close_ns`` (slices, symbols) the session that each bar overlaps, both 0 where there is none.
    """

    now_ns: Int64Array
    bars: BarArray
    session_open_ns: Int64Array
    session_close_ns: Int64Array

    def until(self, slices: int) -> "History":
        """Return a copy of the first ``slices``: nothing in it reaches what comes later."""
        return History(
            self.now_ns[:slices].copy(),
            self.bars[:slices].copy(),
            self.session_open_ns[:slices].copy(),
            self.session_close_ns[:slices].copy(),
        )


@dataclass(frozen=True)
class Signals:
    """What was said at closed bars: ``at`` the slice, ``symbol``, both (signals,); ``values`` (signals, fields)."""

    at: Int64Array
    symbol: Int64Array
    values: npt.NDArray[np.float64]
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """The first signal that another future changed; None stands for a signal that is not there."""

    slices: int
    at: int
    now_ns: int
    symbol: int
    field: str
    full: float | None
    truncated: float | None


Run = Callable[[History], Signals]


def slices(symbol: Int64Array, bars: BarArray, sessions: Sequence[Sessions]) -> History:
    """Put single bars into slices by their close.

    Parameters
    ----------
    symbol
        Shape (bars,): the index of each bar's symbol.
    bars
        BAR, shape (bars,), in any order; at most one a symbol and close.
    sessions
        of each symbol's calendar, over at least the time of its bars.
    """
    now_ns, row = np.unique(bars["close_ns"], return_inverse=True)
    shape = (len(now_ns), len(sessions))
    table = empty_bars(*shape)
    table[row, symbol] = bars
    table["present"][row, symbol] = True
    opens, closes = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for index, known in enumerate(sessions):
        mine = symbol == index
        place = np.searchsorted(known.closes_ns, bars["open_ns"][mine], side="right")
        found = np.minimum(place, len(known) - 1)
        inside = (place < len(known)) & (known.opens_ns[found] < bars["close_ns"][mine])
        opens[row[mine], index] = np.where(inside, known.opens_ns[found], 0)
        closes[row[mine], index] = np.where(inside, known.closes_ns[found], 0)
    return History(now_ns, table, opens, closes)


def policy_run(policy: Policy, overrides: Mapping[str, float] | None = None) -> Run:
    """Return the function that runs ``policy`` over a history from a fresh state."""
    parameters = parameter_array(policy, overrides or {})

    def run(history: History) -> Signals:
        symbols = history.bars.shape[1]
        state = np.zeros(symbols, policy.state_dtype)
        targets, scores = np.zeros(symbols), np.zeros(symbols)
        features = np.zeros((symbols, len(policy.features)))
        buckets, closed = new_buckets(symbols), empty_bars(2, symbols)
        at, symbol, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty((0, 2 + len(policy.features)))]
        for i, now_ns in enumerate(history.now_ns):
            opens, closes = history.session_open_ns[i], history.session_close_ns[i]
            if not advance(buckets, policy.interval_s * NANOSECONDS, now_ns, history.bars[i], opens, closes, closed):
                continue
            for bars in (closed[EARLIER], closed[NOW]):
                policy.loop(state, parameters, bars, bars["present"], targets, scores, features)
                said = np.flatnonzero(bars["present"])
                at.append(np.full(len(said), i))
                symbol.append(said)
                values.append(np.column_stack((targets[said], scores[said], features[said])))
        fields = ("target", "score", *policy.features)
        return Signals(np.concatenate(at), np.concatenate(symbol), np.concatenate(values), fields)

    return run


def first_difference(run: Run, history: History, lengths: Sequence[int]) -> Difference | None:
    """Return the first signal that differs between the whole history and its first ``lengths`` slices, or None.

    Signals are compared bit by bit: target, score and every feature at every closed bar.
    """
    full = run(history)
    for length in lengths:
        difference = _compare(full, run(history.until(length)), history, length)
        if difference is not None:
            return difference
    return None


def _compare(full: Signals, truncated: Signals, history: History, length: int) -> Difference | None:
    there = int(np.count_nonzero(full.at < length))
    for i in range(max(there, len(truncated.at))):
        said = full if i < there else truncated
        place = (length, int(said.at[i]), int(history.now_ns[said.at[i]]), int(said.symbol[i]))
        if i >= there:
            return Difference(*place, "target", None, float(truncated.values[i, 0]))
        if i >= len(truncated.at) or (full.at[i], full.symbol[i]) != (truncated.at[i], truncated.symbol[i]):
            return Difference(*place, "target", float(full.values[i, 0]), None)
        unequal = np.flatnonzero(full.values[i].view(np.int64) != truncated.values[i].view(np.int64))
        if len(unequal):
            field = int(unequal[0])
            pair = (float(full.values[i, field]), float(truncated.values[i, field]))
            return Difference(*place, full.fields[field], *pair)
    return None

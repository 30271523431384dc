"""Run a frozen policy over history without look-ahead, and note at each session's end what it said.

The next session is the calendar's next one, whether the symbol traded in it or not: who skips a missing session, and
takes the one after, predicts from older news than it believes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.brains.observations import (
    FLAT_SIGMAS,
    BoolArray,
    Float64Array,
    Int64Array,
    Observations,
    ObservationsError,
    classify,
)
from agents.lookahead import History, Signals, policy_run
from agents.strategies.policy import Policy
from market.bars import BarArray
from market.calendars import Sessions

SIGMA_SESSIONS = 60  # newest sessions that make sigma
FEWEST_SIGMA_SESSIONS = 10
RETURN_LIMIT = 0.5


@dataclass(frozen=True)
class Traded:
    """One symbol's sessions with bars; each (sessions,): place in its calendar, prices, and when the last was known."""

    place: Int64Array
    open: Float64Array
    close: Float64Array
    known_ns: Int64Array


def walk(
    policy: Policy,
    symbols: Sequence[str],
    history: History,
    sessions: Sequence[Sessions],
    *,
    as_of_ns: int,
    overrides: Mapping[str, float] | None = None,
    sigma_sessions: int = SIGMA_SESSIONS,
    flat_sigmas: float = FLAT_SIGMAS,
) -> Observations:
    """Return what ``policy`` said at the end of each session that had closed by ``as_of_ns``, and what came next.

    Parameters
    ----------
    policy, overrides
        the strategy and its parameters other than the defaults.
    symbols
        names (n,) of the history's columns.
    history
        valid bars of any length up to a day, adjusted for splits; what came after ``as_of_ns`` is not read.
    sessions
        of each symbol's calendar (n,), over the time of the bars and one session beyond ``as_of_ns``.
    as_of_ns
        UTC nanoseconds.
    sigma_sessions, flat_sigmas
        newest sessions that make sigma, and the returns that count as flat, in sigmas.

    Raises
    ------
    ObservationsError
        if the numbers of symbols, columns and calendars differ, or a bar that is present has an open, high, low or
        close that is no finite number above 0, or a volume that is no finite number.
    ParameterError
        if ``overrides`` do not fit the policy.
    """
    if not len(symbols) == history.bars.shape[1] == len(sessions):
        raise ObservationsError(
            f"symbols has {len(symbols)} names and sessions {len(sessions)} calendars; both must have "
            f"{history.bars.shape[1]}, one for each column of the bars"
        )
    past = history.until(int(np.searchsorted(history.now_ns, as_of_ns, side="right")))
    _check_bars(symbols, past)
    signals, parts = policy_run(policy, overrides)(past), [_no_rows(policy)]
    for index, known in enumerate(sessions):
        traded = _traded(index, past, known, as_of_ns)
        words = _said(policy, signals, signals.symbol == index, past.now_ns, traded.known_ns)
        parts.append({**_outcomes(index, traded, sigma_sessions, flat_sigmas), **words})
    return _joined(policy, symbols, sessions, parts, as_of_ns=as_of_ns)


def _joined(
    policy: Policy, symbols: Sequence[str], sessions: Sequence[Sessions], parts: Sequence[dict[str, np.ndarray]], *,
    as_of_ns: int,
) -> Observations:  # fmt: skip
    """Return all symbols' rows by the instant at which they are known, then by symbol."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns["symbol"], columns["known_ns"]))
    return Observations(
        strategy=policy.name,
        symbols=tuple(symbols),
        feature_names=policy.features,
        as_of_ns=as_of_ns,
        sessions=tuple(sessions),
        **{name: column[order] for name, column in columns.items()},
    )


def session_sigma(returns: Float64Array, sessions: int = SIGMA_SESSIONS) -> Float64Array:
    """Return the deviation of open-to-close returns known after each session; shape of ``returns`` (sessions,).

    Root mean square of the newest ``sessions``, at least 10 or all of those, else NaN: a mean of so few says nothing,
    so it is taken to be 0 (RiskMetrics Technical Document, J. P. Morgan, 1996, section 5.2). A return beyond +-50 %
    counts as that much, so that one wild print does not make every session flat for a quarter.
    """
    padded = np.concatenate((np.full(sessions, np.nan), np.clip(returns, -RETURN_LIMIT, RETURN_LIMIT)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, sessions)[1:]
    count = np.minimum(np.arange(1, len(returns) + 1), sessions)
    mean = np.where(np.isnan(windows), 0.0, windows**2).sum(axis=1) / count
    return np.where(count >= min(FEWEST_SIGMA_SESSIONS, sessions), np.sqrt(mean), np.nan)


def _check_bars(symbols: Sequence[str], history: History) -> None:
    bars = history.bars
    wrong = ~np.isfinite(bars["volume"])
    for name in ("open", "high", "low", "close"):
        wrong |= ~(np.isfinite(bars[name]) & (bars[name] > 0.0))
    wrong &= bars["present"]
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise ObservationsError(
            f"bars: {symbols[column]} has {bars[row, column].tolist()[:5]} at {int(history.now_ns[row])}; allowed are "
            "finite prices above 0 and a finite volume"
        )


def _in_session(bars: BarArray, opens: Int64Array, closes: Int64Array) -> BoolArray:
    """Return which bars count: those that end within the session they overlap, and those that cover all of it."""
    whole = (bars["open_ns"] <= opens) & (bars["close_ns"] >= closes)
    return np.asarray(bars["present"] & (closes > 0) & (whole | (bars["close_ns"] <= closes)))


def _traded(index: int, history: History, known: Sessions, as_of_ns: int) -> Traded:
    bars = history.bars[:, index]
    opens, closes = history.session_open_ns[:, index], history.session_close_ns[:, index]
    rows = np.flatnonzero(_in_session(bars, opens, closes))
    place, first, count = np.unique(np.searchsorted(known.opens_ns, opens[rows]), return_index=True, return_counts=True)
    if not np.array_equal(known.opens_ns[place[place < len(known)]], opens[rows[first]]):
        raise ObservationsError(
            f"sessions of column {index} ({known.calendar}) are not those that the history's bars were put into"
        )
    last = rows[first + count - 1]
    known_ns = np.maximum(closes[last], history.now_ns[last])
    over = known_ns <= as_of_ns
    return Traded(
        place=place[over].astype(np.int64),
        open=bars["open"][rows[first]][over].copy(),
        close=bars["close"][last][over].copy(),
        known_ns=known_ns[over],
    )


def _outcomes(index: int, traded: Traded, sigma_sessions: int, flat_sigmas: float) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):
        returns = traded.close / traded.open - 1.0
    returns = np.where(np.isfinite(returns), returns, np.nan)
    sigma = session_sigma(returns, sigma_sessions)
    following = np.searchsorted(traded.place, traded.place + 1)
    has_next = np.append(traded.place, -2)[following] == traded.place + 1
    next_return = np.where(has_next, np.append(returns, np.nan)[following], np.nan)
    settled_ns = np.where(has_next, np.append(traded.known_ns, 0)[following], 0)
    return {
        "symbol": np.full(len(returns), index, dtype=np.int64),
        "known_ns": traded.known_ns,
        "close": traded.close,
        "sigma": sigma,
        "next_return": next_return,
        "next_class": classify(next_return, sigma, flat_sigmas),
        "settled_ns": settled_ns,
    }


def _said(
    policy: Policy, signals: Signals, mine: BoolArray, now_ns: Int64Array, instants_ns: Int64Array
) -> dict[str, np.ndarray]:
    """Return the policy's latest words at each instant; zeros, and not warm, where it had none."""
    blank = np.zeros((1, 2 + len(policy.features)))
    values = np.concatenate((blank, signals.values[mine]))
    seen = np.searchsorted(now_ns[signals.at[mine]], instants_ns, side="right")
    latest = values[seen]
    warm = (seen >= policy.warm_up_bars) & (latest[:, 2:] != 0.0).any(axis=1)
    return {"target": latest[:, 0], "score": latest[:, 1], "features": latest[:, 2:], "warm": warm}


def _no_rows(policy: Policy) -> dict[str, np.ndarray]:
    integers = ("symbol", "known_ns", "next_class", "settled_ns")
    numbers = ("close", "sigma", "next_return", "target", "score")
    return {
        **{name: np.empty(0, dtype=np.int64) for name in integers},
        **{name: np.empty(0) for name in numbers},
        "features": np.empty((0, len(policy.features))),
        "warm": np.empty(0, dtype=np.bool_),
    }

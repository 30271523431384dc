"""The covariance artefact: what the kernel's VAR_LIMIT and the minute-by-minute simulation are told of the market."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from agents.risk_manager.prices import Grid

WINDOW = 1260  # sessions, five years of them
NEEDED_SESSIONS = 20  # returns from session to session
NEEDED_INTRADAY = 60  # returns within sessions, where there are too few of those
STEPS = (12, 3, 1)  # of five minutes: returns of an hour, a quarter and five minutes, the longest that are enough
SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)
SPLIT_SLACK = 0.03
DIGITS = 10  # significant ones, so that another processor's last bit makes no other artefact

Float64Array = npt.NDArray[np.float64]


class Regime(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the market and a covariance for each of its two."""

    now: str  # calm, stressed
    calm: list[list[float]]
    stressed: list[list[float]]
    stressed_days: int


class Covariance(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the ModelEvent "covariance": of daily fractional returns, squared (docs/architecture.md)."""

    symbols: list[str]
    covariance: list[list[float]]
    observations: int
    sessions: int
    through: str
    method: str
    interval: str = "session"  # what a return spans: session, or minutes of one
    regime: Regime | None = None
    suspected_splits: list[str] = []


@dataclass(frozen=True)
class Observed:
    """Returns [t, n] of ``symbols``, each row 1 / ``per_day`` of a session; ``splits`` are moves taken for splits."""

    symbols: list[str]
    returns: Float64Array
    per_day: float
    interval: str
    splits: list[str]


def fit(history: dict[str, Grid]) -> tuple[Covariance | None, str]:
    """Return the covariance of a history, session date to grid in order of time, and why or why not.

    Returns from session to session where there are 20 of them; before that the longest within sessions (an hour, a
    quarter, five minutes) of which there are 60, each session's first one reaching back over the night, scaled to a day
    by their number in one: the realised covariance (Barndorff-Nielsen and Shephard 2004), shrunk as
    risk/measures/covariance.py says.
    """
    from risk.measures.covariance import METHOD, regimes, shrunk_covariance  # noqa: PLC0415 - carries scikit-learn

    observed = observe(dict(list(history.items())[-WINDOW - 1 :]))
    if observed is None:
        return None, (
            f"{len(history)} sessions are too few: {NEEDED_SESSIONS} returns from session to session or "
            f"{NEEDED_INTRADAY} within sessions are needed"
        )
    found = regimes(observed.returns) if observed.interval == "session" else None
    made = Covariance(
        symbols=observed.symbols,
        covariance=_rows(shrunk_covariance(observed.returns) * observed.per_day),
        observations=len(observed.returns),
        sessions=len(history),
        through=max(history),
        method=METHOD,
        interval=observed.interval,
        regime=None
        if found is None
        else Regime(
            now="stressed" if found.now_stressed else "calm", calm=_rows(found.calm), stressed=_rows(found.wild),
            stressed_days=int(found.stressed.sum()),
        ),
        suspected_splits=observed.splits,
    )  # fmt: skip
    splits = f"; taken for splits: {', '.join(observed.splits)}" if observed.splits else ""
    return made, f"{made.observations} returns of {len(made.symbols)} symbols ({made.interval}){splits}"


def observe(history: dict[str, Grid]) -> Observed | None:
    """Return the returns that a fit may use, None where no interval has enough of them."""
    last = max((step for grid in history.values() for prices in grid.values() for step in prices), default=0)
    if len(history) > NEEDED_SESSIONS:
        found = _returns(history, max(last, 1))
        if found is not None and len(found[1]) >= NEEDED_SESSIONS:
            return Observed(found[0], found[1], 1.0, "session", found[2])
    for steps in STEPS:
        if last < 2 * steps or not _dense(history, steps, last):
            continue
        found = _returns(history, steps)
        if found is not None and len(found[1]) >= NEEDED_INTRADAY:
            return Observed(found[0], found[1], float(-(-last // steps)), f"{5 * steps} min", found[2])
    return None


def _dense(history: dict[str, Grid], steps: int, last: int) -> bool:
    """Whether bars are as short as the interval: half of a session's intervals have one."""
    fullest = max(len({-(-step // steps) for step in prices}) for grid in history.values() for prices in grid.values())
    return 2 * fullest >= -(-last // steps)


def _returns(history: dict[str, Grid], steps: int) -> tuple[list[str], Float64Array, list[str]] | None:
    """Return symbols with a full record, their returns [t, n] from one interval's end to the next, splits."""
    symbols = sorted({symbol for grid in history.values() for symbol in grid})
    rows, starts, dates = _levels(history, symbols, steps)
    table = np.array(rows)
    known = np.isfinite(table)
    enough = known.sum(axis=0) > max(NEEDED_SESSIONS, known.sum(axis=0).max(initial=0) // 2)
    table, symbols = table[:, enough], [symbol for symbol, kept in zip(symbols, enough, strict=True) if kept]
    if not symbols:
        return None
    first = int(np.argmax(np.isfinite(table).all(axis=1)))
    returns = table[first + 1 :] / table[first:-1] - 1.0
    splits = _take_out_splits(returns, symbols, starts[first + 1 :], dates[first + 1 :])
    moving = np.flatnonzero((returns**2).sum(axis=0) > 0.0)
    if not len(moving):
        return None
    return [symbols[i] for i in moving], returns[:, moving], splits


def _levels(
    history: dict[str, Grid], symbols: list[str], steps: int
) -> tuple[list[list[float]], list[bool], list[str]]:
    """Return the last known price of each symbol at each interval's end, whether a session begins there, its date."""
    levels = dict.fromkeys(symbols, np.nan)
    rows: list[list[float]] = []
    starts: list[bool] = []
    dates: list[str] = []
    for date, grid in history.items():
        ends: dict[int, dict[str, float]] = {}
        for symbol, prices in grid.items():
            for step in sorted(prices):
                ends.setdefault(max(1, -(-step // steps)), {})[symbol] = prices[step]
        for end in range(1, max(ends, default=0) + 1):
            levels.update(ends.get(end, {}))
            rows.append(list(levels.values()))
            starts.append(end == 1)
            dates.append(date)
    return rows, starts, dates


def _take_out_splits(returns: Float64Array, symbols: list[str], starts: list[bool], dates: list[str]) -> list[str]:
    """Set to nothing what looks like a split over a night, in place: unadjusted data would rule the variance."""
    found = []
    for row in np.flatnonzero(starts).tolist():
        for i, change in enumerate(returns[row].tolist()):
            ratio = max(1.0 + change, 1.0 / (1.0 + change))
            if any(abs(ratio / split - 1.0) < SPLIT_SLACK for split in SPLITS):
                returns[row, i] = 0.0
                found.append(f"{symbols[i]} {dates[row]}")
    return found


def _rows(matrix: Float64Array) -> list[list[float]]:
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in matrix.tolist()]


def metrics(made: Covariance) -> dict[str, Any]:
    """Return what the registry shows of a covariance: daily volatilities and the mean correlation."""
    matrix = np.array(made.covariance)
    deviation = np.sqrt(np.diag(matrix))
    n = len(deviation)
    correlation = matrix / np.outer(deviation, deviation)
    return {
        "observations": made.observations, "sessions": made.sessions, "interval": made.interval,
        "regime": made.regime.now if made.regime else "",
        "volatility": {symbol: round(float(value), 6) for symbol, value in zip(made.symbols, deviation, strict=True)},
        "mean_correlation": round(float((correlation.sum() - n) / (n * (n - 1))), 4) if n > 1 else None,
    }  # fmt: skip

"""One entrant's book on stressed paths: the station's own sizing, fill prices, fees and ledger, without its checks.

The engine's unit books have no volume budget, and the paper broker fills order objects in Python: neither can be
called from compiled code as it stands. The order of things here is theirs (fill at the open, mark, size at the close)
and every price, budget, fee, lot and booking is a call of their compiled functions.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.fills import budget_lots, market_price_micro
from engine.ledger import book_net, notional_micro, trade_fee
from tournaments.stress.paths import CLOSE, OPEN, VOLUME
from tournaments.stress.sizing import renewed, wanted_change

Float64Array = npt.NDArray[np.float64]

PNL, GROSS, TURNOVER, COST, FLAT, FALL, REGAINED, REGAIN = range(8)
RESULTS = 8
"""Columns of a path's result: profit, mean gross exposure, turnover and costs as fractions of the capital at its start;
bars from the event until the book is flat; deepest fall below the equity before the event, as a fraction of it; the
share of that fall regained, and the bars it took (to the path's end where it was not regained whole)."""


@njit(cache=True, nogil=True)
def dense_closes(path: Float64Array, before: Float64Array, out: Float64Array) -> None:
    """Write the closes ``before`` [h, n] and those of a path [bars, n, 5] into ``out`` [h + bars, n]."""
    known = len(before)
    out[:known] = before
    for t in range(path.shape[0]):
        for i in range(path.shape[1]):
            out[known + t, i] = path[t, i, CLOSE]


@njit(cache=True, nogil=True)
def deviation(closes: Float64Array, i: int, at: int, returns: Float64Array) -> float:
    """Return the deviation of symbol i's returns up to row ``at``, as engine.kernel.mark_symbols has it.

    The kernel carries a ring of returns along bar by bar; only fills ask for the deviation, and few bars have one.
    ``returns`` [bars to count] is overwritten.
    """
    count, mean, later = len(returns), 0.0, closes[at, i]
    for k in range(count):
        earlier = closes[at - 1 - k, i]
        returns[k] = later / earlier - 1.0
        mean += returns[k]
        later = earlier
    mean /= count
    squares = 0.0
    for k in range(count):
        distance = returns[k] - mean
        squares += distance * distance
    return float(np.sqrt(squares / (count - 1)))


@njit(cache=True, nogil=True)
def fill(  # noqa: PLR0917 - compiled code is called with positions
    rows: Any,
    i: int,
    account: Any,
    lots: int,
    open_price: float,
    volume: float,
    sigma: float,
    spread: float,
    costs: Any,
) -> int:
    """Fill what the volume allows of signed ``lots`` of symbol i at an open; return the signed lots filled.

    ``spread`` multiplies the half spread and the tick, ``volume`` is what orders meet.
    """
    row, cost = rows[i], costs[0]
    unit = row.lot_numerator / row.lot_denominator
    side = 1 if lots > 0 else -1
    size = min(abs(lots), budget_lots(volume, cost.volume_share, unit))
    if size <= 0:
        return 0
    quantity = size * row.lot_numerator / row.lot_denominator
    price = market_price_micro(
        open_price, side, quantity, volume, sigma, row.tick * spread, cost.half_spread * spread, cost.impact_eta
    )
    if price < 1:
        return 0
    notional = notional_micro(size, price, row.lot_numerator, row.lot_denominator, side > 0)
    fee = trade_fee(row, size, notional, False)  # noqa: FBT003 - compiled
    book_net(rows, i, account, side * size, price, fee, open_price)
    done: int = side * size
    return done


@njit(cache=True, nogil=True)
def hold(  # noqa: PLR0917 - compiled code is called with positions
    rows: Any,
    account: Any,
    lots: Any,
    targets: Float64Array,
    start: Float64Array,
    budgets: Float64Array,
    capital: float,
) -> None:
    """Give a book what its targets at the window's end say, at the last close and free of cost: it was held before."""
    for i in range(len(rows)):
        unit = rows[i].lot_numerator / rows[i].lot_denominator
        lots[i] = wanted_change(targets[i], capital * budgets[i], start[i], unit, 0, 0.0)
        if lots[i] != 0:
            book_net(rows, i, account, lots[i], int(start[i] * 1e6 + 0.5), 0, start[i])


@njit(cache=True, nogil=True)
def fill_all(  # noqa: PLR0917 - compiled code is called with positions
    rows: Any,
    account: Any,
    lots: Any,
    pending: Any,
    owned: Float64Array,
    path: Float64Array,
    closes: Float64Array,
    t: int,
    spread: float,
    depth: float,
    costs: Any,
    returns: Float64Array,
) -> float:
    """Fill what waits at the open of bar t; return the value traded, at the open. ``owned`` f8 [n]: lots in units."""
    traded = 0.0
    for i in range(len(rows)):
        if pending[i] == 0:
            continue
        sigma = deviation(closes, i, len(closes) - len(path) + t - 1, returns)
        volume = path[t, i, VOLUME] / depth
        done = fill(rows, i, account, pending[i], path[t, i, OPEN], volume, sigma, spread, costs)
        pending[i] -= done
        lots[i] += done
        owned[i] = lots[i] * (rows[i].lot_numerator / rows[i].lot_denominator)
        traded += abs(done) * rows[i].lot_numerator / rows[i].lot_denominator * path[t, i, OPEN]
    return traded


@njit(cache=True, nogil=True, inline="always")
def value(cash: float, owned: Float64Array, closes: Float64Array, at: int) -> tuple[float, float]:
    """Return equity and gross exposure of cash and units ``owned`` f8 [n] at the closes of row ``at``."""
    equity, gross = cash, 0.0
    for i in range(len(owned)):
        worth = owned[i] * closes[at, i]
        equity += worth
        gross += abs(worth)
    return equity, gross


@njit(cache=True, nogil=True, inline="always")
def stays(  # noqa: PLR0917 - compiled code is called with positions
    owned: Float64Array,
    now: Float64Array,
    steps: Float64Array,
    closes: Float64Array,
    at: int,
    budgets: Float64Array,
    capital: float,
    band: float,
) -> bool:
    """Whether a book that waits for nothing, with the lots and targets it was last sized by, surely wants nothing.

    What ``sizing.wanted_change`` finds inside the band, without its branches: truncation adds less than a lot (of
    ``steps`` f8 [n] units, 0 where nothing is held or wanted), rounding far less than the billionth left for it.
    """
    outside = 0
    for i in range(len(owned)):
        mine, price = capital * budgets[i], closes[at, i]
        most = abs(now[i] * mine - owned[i] * price) + steps[i] * price
        outside += not most + 1e-9 * abs(mine) < band * mine  # so is what is not a number
    return outside == 0


@njit(cache=True, nogil=True)
def size_all(  # noqa: PLR0917 - compiled code is called with positions
    lots: Any,
    pending: Any,
    units: Float64Array,
    steps: Float64Array,
    closes: Float64Array,
    at: int,
    now: Float64Array,
    budgets: Float64Array,
    capital: float,
    band: float,
) -> tuple[int, int]:
    """Let the book want what its targets say at the closes that it sees; write ``steps`` for ``stays``.

    Returns in how many symbols it waits for a fill, and in how many it holds, waits or wants anything.
    """
    waits, busy = 0, 0
    for i in range(len(lots)):
        steps[i] = 0.0
        if now[i] != 0.0 or lots[i] != 0 or pending[i] != 0:
            pending[i] = renewed(now[i], capital * budgets[i], closes[at, i], units[i], lots[i], pending[i], band)
            steps[i] = units[i]
            busy += 1
        waits += pending[i] != 0
    return waits, busy


@njit(cache=True, nogil=True, inline="always")
def told(targets: Float64Array, k: int, now: Float64Array) -> bool:
    """Write the targets [n] of decision k, within -1 and 1, into ``now``; return whether they are what it held."""
    changed = 0
    for i in range(len(now)):
        target = min(1.0, max(-1.0, targets[k, i]))
        changed += target != now[i]
        now[i] = target
    return changed == 0


@njit(cache=True, nogil=True)
def run_path(  # noqa: PLR0917 - compiled code is called with positions
    rows: Any,
    account: Any,
    path: Float64Array,
    closes: Float64Array,
    seen: Float64Array,
    spoilt: bool,  # noqa: FBT001 - compiled
    held: Float64Array,
    targets: Float64Array,
    group: int,
    budgets: Float64Array,
    weight: float,
    band: float,
    costs: Any,
    event: int,
    spread: float,
    depth: float,
    equity: Float64Array,
    result: Float64Array,
) -> None:
    """Trade one path: sized by what is seen, filled and valued at what is true.

    rows SYMBOL [n] and account ACCOUNT [1], fresh, are changed; path f8 [bars, n, 5]; closes and seen f8 [h + bars, n],
    those before it first, ``spoilt`` where they differ; held f8 [n] and targets f8 [decisions, n], one each ``group``
    bars; equity f8 [bars] and result f8 [8] are written.
    """
    n, bars, capital, known = len(rows), len(path), account[0].cash_micro * 1e-6, len(closes) - len(path)
    lots, pending, steps = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n)
    units, returns = rows.lot_numerator / rows.lot_denominator, np.empty(costs[0].volatility_bars)
    hold(rows, account, lots, held, closes[known - 1], budgets, capital * weight)
    owned, cash, now = lots * units, account[0].cash_micro * 1e-6, np.minimum(1.0, np.maximum(-1.0, held))
    result[:], waits, busy, same, flat = 0.0, 0, 1, False, -1
    for t in range(bars):
        if waits > 0:
            wide, thin = (spread, depth) if t >= event else (1.0, 1.0)
            result[TURNOVER] += fill_all(
                rows, account, lots, pending, owned, path, closes, t, wide, thin, costs, returns
            )
            cash = account[0].cash_micro * 1e-6
        equity[t], gross = value(cash, owned, closes, known + t) if busy > 0 else (equity[t - 1], 0.0)
        result[GROSS] += gross
        if flat < 0 and t >= event and gross == 0.0:
            flat = t - event
        if (t + 1) % group == 0 or t == bars - 1:
            same &= told(targets, t // group, now)
        if same and busy == 0:
            continue
        believed = weight * (value(cash, owned, seen, known + t)[0] if spoilt else equity[t])
        if same and waits == 0 and stays(owned, now, steps, seen, known + t, budgets, believed, band):
            continue
        waits, busy = size_all(lots, pending, units, steps, seen, known + t, now, budgets, believed, band)
        same = True
    result[PNL] = equity[bars - 1] / capital - 1.0
    result[GROSS] /= bars * capital
    result[TURNOVER] /= capital
    result[COST] = (account[0].slippage + account[0].fees_micro * 1e-6) / capital
    result[FLAT] = flat if flat >= 0 else bars - event
    recovery(equity, event, capital, result)


@njit(cache=True, nogil=True)
def recovery(equity: Float64Array, event: int, capital: float, result: Float64Array) -> None:
    """Write the deepest fall below the equity before the event, how much came back and how long that took."""
    before = equity[event - 1] if event > 0 else capital
    deepest, at = before, event
    for t in range(event, len(equity)):
        if equity[t] < deepest:
            deepest, at = equity[t], t
    if not before > 0.0 or deepest >= before:
        result[REGAINED] = 1.0
        return
    best = deepest
    for t in range(at, len(equity)):
        result[REGAIN] = t - at
        best = max(best, equity[t])
        if best >= before:
            break
    result[FALL] = 1.0 - deepest / before
    result[REGAINED] = min(1.0, (best - deepest) / (before - deepest))


@njit(cache=True, nogil=True)
def run_paths(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any,
    accounts: Any,
    paths: Float64Array,
    closes: Float64Array,
    seen: Float64Array,
    spoilt: bool,  # noqa: FBT001 - compiled
    held: Float64Array,
    targets: Float64Array,
    group: int,
    budgets: Float64Array,
    weight: float,
    band: float,
    costs: Any,
    event: int,
    spread: float,
    depth: float,
    equity: Float64Array,
    results: Float64Array,
) -> None:
    """Trade paths [p, bars, n, 5], each from the fresh tables; targets f8 [decisions, p, n]; see ``run_path``."""
    for p in range(len(paths)):
        run_path(
            symbols.copy(), accounts.copy(), paths[p], closes[p], seen[p], spoilt, held, targets[:, p].copy(), group,
            budgets, weight, band, costs, event, spread, depth, equity[p], results[p],
        )  # fmt: skip

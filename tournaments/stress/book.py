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
from tournaments.stress.compiled import lean
from tournaments.stress.paths import CLOSE, HISTORY, OPEN, VOLUME
from tournaments.stress.sizing import renewed, wanted_change

Float64Array = npt.NDArray[np.float64]

PNL, GROSS, TURNOVER, COST, FLAT, FALL, REGAINED, REGAIN = range(8)
RESULTS = 8
"""Columns of a path's result: profit, mean gross exposure, turnover and costs as fractions of the capital at its start;
bars from the event until the book is flat; deepest fall below the equity before the event, as a fraction of it; the
share of that fall regained, and the bars it took (to the path's end where it was not regained whole)."""
BLOCK = 16  # bars looked ahead at once


def room_of(bars: int) -> int:
    """Return how many closes of a symbol a path needs room for: those known before, its own, and a block beyond."""
    return HISTORY + bars + BLOCK


@lean
def dense_closes(path: Float64Array, out: Float64Array) -> None:
    """Write the closes of a path [bars, n, 5] behind the ``HISTORY`` known before in ``out`` [n, room_of(bars)]."""
    for i in range(path.shape[1]):
        for t in range(path.shape[0]):
            out[i, HISTORY + t] = path[t, i, CLOSE]


@lean
def deviation(closes: Float64Array, at: int, returns: Float64Array) -> float:
    """Return the deviation of a symbol's returns up to bar ``at`` of its closes, as engine.kernel.mark_symbols has it.

    The kernel carries a ring of returns along bar by bar; only fills ask for the deviation, and few bars have one.
    ``returns`` [bars to count] is overwritten.
    """
    count, mean, squares = len(returns), 0.0, 0.0
    later, earlier = closes[at - count + 1 : at + 1], closes[at - count : at]
    for k in range(count):
        returns[k] = later[k] / earlier[k] - 1.0
    for k in range(count - 1, -1, -1):  # the newest first, apart from the quotients: those fill vector registers
        mean += returns[k]
    mean /= count
    for k in range(count - 1, -1, -1):
        distance = returns[k] - mean
        squares += distance * distance
    return float(np.sqrt(squares / (count - 1)))


@lean
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


@lean
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


@lean
def fill_all(  # noqa: PLR0917 - compiled code is called with positions
    rows: Any,
    account: Any,
    lots: Any,
    pending: Any,
    owned: Float64Array,
    units: Float64Array,
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
        sigma = deviation(closes[i], HISTORY + t - 1, returns)
        volume = path[t, i, VOLUME] / depth
        done = fill(rows, i, account, pending[i], path[t, i, OPEN], volume, sigma, spread, costs)
        pending[i] -= done
        lots[i] += done
        owned[i] = lots[i] * units[i]
        traded += abs(done) * rows[i].lot_numerator / rows[i].lot_denominator * path[t, i, OPEN]
    return traded


@lean
def value(cash: float, owned: Float64Array, closes: Float64Array, at: int) -> tuple[float, float]:
    """Return equity and gross exposure of cash and units ``owned`` f8 [n] at the closes of bar ``at``."""
    equity, gross = cash, 0.0
    for i in range(len(owned)):
        worth = owned[i] * closes[i, at]
        equity += worth
        gross += abs(worth)
    return equity, gross


@lean
def value_block(  # noqa: PLR0917 - compiled code is called with positions
    cash: float, owned: Float64Array, active: Any, busy: int, closes: Float64Array, at: int, equity: Float64Array,
    gross: Float64Array,
) -> None:  # fmt: skip
    """Write what ``value`` returns for each of a block's bars from ``at`` on; of symbols ``busy`` are ``active``."""
    equity[:], gross[:] = cash, 0.0
    for a in range(busy):
        units, prices = owned[active[a]], closes[active[a], at : at + len(equity)]
        for j in range(len(prices)):  # a length that is known beforehand would be unrolled, not put in registers
            worth = units * prices[j]
            equity[j] += worth
            gross[j] += abs(worth)


@lean
def stays(  # noqa: PLR0917 - compiled code is called with positions
    owned: Float64Array,
    now: Float64Array,
    units: Float64Array,
    active: Any,
    busy: int,
    closes: Float64Array,
    at: int,
    budgets: Float64Array,
    weight: float,
    believed: Float64Array,
    band: float,
    outside: Any,
) -> int:
    """Return for how many bars of a block a book that waits for nothing surely wants nothing, as it was sized last.

    What ``sizing.wanted_change`` finds inside the band, without its branches: truncation adds less than a lot,
    rounding far less than the billionth left for it. ``outside`` i8 [block] is overwritten.
    """
    outside[:] = 0
    for a in range(busy):
        i = active[a]
        if now[i] == 0.0:  # what is left of a position closes, however small
            return 0
        target, has, unit, budget, prices = now[i], owned[i], units[i], budgets[i], closes[i, at : at + len(outside)]
        for j in range(len(prices)):
            mine, price = weight * believed[j] * budget, prices[j]
            most = abs(target * mine - has * price) + unit * price
            outside[j] += not most + 1e-9 * abs(mine) < band * mine  # so is what is not a number
    for j in range(len(outside)):
        if outside[j] != 0:
            return j
    return len(outside)


@lean
def size_all(  # noqa: PLR0917 - compiled code is called with positions
    lots: Any,
    pending: Any,
    units: Float64Array,
    active: Any,
    closes: Float64Array,
    at: int,
    now: Float64Array,
    budgets: Float64Array,
    capital: float,
    band: float,
) -> tuple[int, int]:
    """Let the book want what its targets say at the closes that it sees; list in ``active`` what it deals with.

    Returns in how many symbols it waits for a fill, and in how many it holds, waits or wants anything.
    """
    waits, busy = 0, 0
    for i in range(len(lots)):
        if now[i] != 0.0 or lots[i] != 0 or pending[i] != 0:
            pending[i] = renewed(now[i], capital * budgets[i], closes[i, at], units[i], lots[i], pending[i], band)
            waits += pending[i] != 0
            active[busy] = i
            busy += 1
    return waits, busy


@lean
def bounded(target: float) -> float:
    """Return a target within -1 and 1."""
    return min(1.0, max(-1.0, target))


@lean
def next_turn(targets: Float64Array, now: Float64Array, group: int, bars: int, t: int) -> int:
    """Return the first bar from t on at whose close targets [decisions, n] are others than ``now``; else ``bars``."""
    for k in range(t // group, len(targets)):
        changed = 0
        for i in range(len(now)):
            changed += bounded(targets[k, i]) != now[i]
        if changed > 0:
            return min((k + 1) * group, bars) - 1
    return bars


@lean
def look_ahead(  # noqa: PLR0917 - compiled code is called with positions
    cash: float,
    owned: Float64Array,
    now: Float64Array,
    units: Float64Array,
    active: Any,
    busy: int,
    closes: Float64Array,
    seen: Float64Array,
    spoilt: bool,  # noqa: FBT001 - compiled
    budgets: Float64Array,
    weight: float,
    band: float,
    t: int,
    turn: int,
    worth: Float64Array,
    outside: Any,
) -> int:
    """Value a book that waits for nothing from bar t on; return the first bar at which it must be sized, or ``turn``.

    All bars of a block at once, in vector registers: what a book holds is the same until it is sized, and most bars
    change nothing. ``worth`` f8 [4, bars + block]: equity, gross exposure, and a block of both as the book believes.
    """
    last = min(turn, worth.shape[1] - BLOCK - 1)
    while t <= last:
        equity, gross, at = worth[0, t : t + BLOCK], worth[1, t : t + BLOCK], HISTORY + t
        value_block(cash, owned, active, busy, closes, at, equity, gross)
        believed = equity
        if spoilt:
            believed = worth[2, :BLOCK]
            value_block(cash, owned, active, busy, seen, at, believed, worth[3, :BLOCK])
        quiet: int = stays(owned, now, units, active, busy, seen, at, budgets, weight, believed, band, outside)
        if quiet < BLOCK:
            return min(t + quiet, turn)
        t += BLOCK
    return turn


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

    rows SYMBOL [n] and account ACCOUNT [1], fresh, are changed; path f8 [bars, n, 5]; closes and seen f8
    [n, room_of(bars)], those before it first, ``spoilt`` where they differ; held f8 [n] and targets f8 [decisions, n],
    one each ``group`` bars; equity f8 [bars] and result f8 [8] are written.
    """
    n, bars, capital = len(rows), len(path), account[0].cash_micro * 1e-6
    lots, pending, active = np.zeros(n, np.int64), np.zeros(n, np.int64), np.arange(n)
    units, returns = rows.lot_numerator / rows.lot_denominator, np.empty(costs[0].volatility_bars)
    worth, outside = np.empty((4, bars + BLOCK)), np.empty(BLOCK, np.int64)
    hold(rows, account, lots, held, closes[:, HISTORY - 1], budgets, capital * weight)
    owned, cash, now = lots * units, account[0].cash_micro * 1e-6, np.minimum(1.0, np.maximum(-1.0, held))
    result[:], waits, busy, t, turn = 0.0, 0, n, 0, 0
    while True:
        if waits > 0:
            wide, thin = (spread, depth) if t >= event else (1.0, 1.0)
            result[TURNOVER] += fill_all(
                rows, account, lots, pending, owned, units, path, closes, t, wide, thin, costs, returns
            )
            cash = account[0].cash_micro * 1e-6
            worth[0, t], worth[1, t] = value(cash, owned, closes, HISTORY + t)
        else:
            t = look_ahead(
                cash, owned, now, units, active, busy, closes, seen, spoilt, budgets, weight, band, t, turn, worth,
                outside,
            )  # fmt: skip
        if t >= bars:
            break
        if (t + 1) % group == 0 or t == bars - 1:
            for i in range(n):
                now[i] = bounded(targets[t // group, i])
        believed = weight * (value(cash, owned, seen, HISTORY + t)[0] if spoilt else worth[0, t])
        waits, busy = size_all(lots, pending, units, active, seen, HISTORY + t, now, budgets, believed, band)
        if t == turn:
            turn = next_turn(targets, now, group, bars, t + 1)
        t += 1
        if t >= bars:
            break
    equity[:] = worth[0, :bars]
    conclude(account, worth[1, :bars], event, capital, equity, result)


@lean
def conclude(  # noqa: PLR0917 - compiled code is called with positions
    account: Any, gross: Float64Array, event: int, capital: float, equity: Float64Array, result: Float64Array
) -> None:
    """Write the result [8] of a path from its equity and gross exposure [bars]; turnover is there already."""
    bars = len(equity)
    flat = event
    while flat < bars and gross[flat] != 0.0:
        flat += 1
    for t in range(bars):
        result[GROSS] += gross[t]
    result[PNL] = equity[bars - 1] / capital - 1.0
    result[GROSS] /= bars * capital
    result[TURNOVER] /= capital
    result[COST] = (account[0].slippage + account[0].fees_micro * 1e-6) / capital
    result[FLAT] = flat - event
    recovery(equity, event, capital, result)


@lean
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

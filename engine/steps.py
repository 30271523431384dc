"""The compiled parts of a slice, put together so that Python crosses into compiled code few times.

Tables of one row (account, costs, limits) come as arrays: a record as an argument costs ten times as much to pass.
"""

from typing import Any

from numba import njit

from engine.decisions import decide, overshoots
from engine.kernel import mark_symbols, renew_rates, value_account
from engine.outcomes import settle
from engine.units import fill_units, size_units
from risk.black_swan import detect, write_variances
from risk.breakers import judge_books


@njit(cache=True)
def lay_bars(symbols: Any, bars: Any, opens: Any, closes: Any, placed: Any) -> None:
    """Lay a slice over the tables: ``placed`` engine.layout.PLACED [k]; every other row has no bar.

    A bar of another session than the row's last one begins a new session: the mark becomes the previous close.
    """
    for i in range(len(symbols)):
        symbols[i].present = 0
        bars[i].present = False
    for k in range(len(placed)):
        given = placed[k]
        row, bar = symbols[given.row], bars[given.row]
        bar.open, bar.high, bar.low, bar.close, bar.volume = (
            given.open,
            given.high,
            given.low,
            given.close,
            given.volume,
        )
        bar.open_ns, bar.close_ns, bar.present = given.open_ns, given.close_ns, True
        opens[given.row], closes[given.row] = given.session_open_ns, given.session_close_ns
        if row.session_open_ns != given.session_open_ns:
            row.previous_close = row.mark
            row.session_open_ns, row.session_close_ns = given.session_open_ns, given.session_close_ns
        row.present = 1
        row.interval_ns = given.interval_ns


@njit(cache=True)
def fill_and_mark(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any,
    bars: Any,
    books: Any,
    strategies: Any,
    account: Any,
    costs: Any,
    limits: Any,
    rates: Any,
    sources: Any,
    now_ns: int,
    swans: Any,
    station: Any,
    minutes: Any,
    variances: Any,
    of_strategies: Any,
    of_symbols: Any,
) -> tuple[int, int]:
    """Fill the unit books at the open, take the closes as marks and rates, value account and strategies.

    Returns how many findings the black-swan detector has, and how many breakers of strategies and symbols reached a
    level.
    """
    fill_units(symbols, bars, books, strategies, costs[0], rates)
    found = detect(swans, station, minutes, symbols, bars, now_ns)
    write_variances(swans, variances)
    mark_symbols(symbols, bars, costs[0].volatility_bars)
    renew_rates(account[0], symbols, rates, sources)
    value_account(account[0], symbols, books, strategies, rates)
    reached = judge_books(
        of_strategies, of_symbols, strategies, symbols, account[0], limits[0], rates, costs[0].symbol_budget
    )
    return found, reached


@njit(cache=True)
def value(account: Any, symbols: Any, books: Any, strategies: Any, rates: Any) -> None:
    """Value account and strategies at marks that no bar has moved."""
    value_account(account[0], symbols, books, strategies, rates)


@njit(cache=True)
def size_and_decide(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any,
    books: Any,
    strategies: Any,
    account: Any,
    costs: Any,
    limits: Any,
    rates: Any,
    now_ns: int,
    blocked: bool,  # noqa: FBT001 - compiled
    wants: Any,
    masks: Any,
    risk: Any,
    weights: Any,
    covariance: Any,
    variances: Any,
    values: Any,
    limits_met: Any,
) -> int:
    """Size the unit books and, unless blocked, decide; return how many symbols have something to say."""
    size_units(symbols, books, strategies, limits[0], rates, costs[0].symbol_budget)
    if blocked:
        return 0
    said: int = decide(
        symbols, books, strategies, account[0], costs[0], limits[0], rates, now_ns, wants, masks, risk[0], weights,
        covariance, variances, values, limits_met,
    )  # fmt: skip
    return said


@njit(cache=True)
def contradicts(  # noqa: PLR0917 - compiled code is called with positions
    i: int, side: int, symbols: Any, books: Any, strategies: Any, account: Any, costs: Any, limits: Any, rates: Any
) -> bool:
    """Whether open orders of symbol i on a side would go beyond what the targets want (engine/decisions.py)."""
    budget = costs[0].symbol_budget
    beyond: bool = overshoots(i, side, symbols, books, strategies, account[0], limits[0], rates, budget)
    return beyond


@njit(cache=True)
def select(closed: Any, rows: Any) -> tuple[int, int]:
    """Write where an interval's bars [2, n] are present into ``rows`` bool [2, n]; return how many of each."""
    earlier, now = 0, 0
    for i in range(closed.shape[1]):
        rows[0, i] = closed[0, i].present
        rows[1, i] = closed[1, i].present
        earlier += rows[0, i]
        now += rows[1, i]
    return earlier, now


@njit(cache=True)
def take_targets(  # noqa: PLR0917 - compiled code is called with positions
    books: Any,
    closed: Any,
    bars: Any,
    targets: Any,
    scores: Any,
    horizon: int,
    turned: Any,
    before: Any,
    settled: Any,
    outcomes: Any,
) -> tuple[int, int]:
    """Take a policy's new targets into one strategy's books [n] and settle its outcomes.

    Returns how many targets turned (rows in ``turned`` i8 [n], their old targets in ``before`` f8 [n]) and how many
    outcomes settled (engine/outcomes.py).
    """
    count = 0
    for i in range(len(closed)):
        if closed[i] and books[i].target != targets[i]:
            turned[count] = i
            before[count] = books[i].target
            books[i].target = targets[i]
            count += 1
    return count, settle(books, closed, bars, scores, horizon, settled, outcomes)

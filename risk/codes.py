"""Denial codes of the pre-trade checks, and the order in which they are named when several decide."""

from enum import IntEnum


class Code(IntEnum):
    """Bit of a check's mask; all set bits are journaled, the first of them in the order of NAMED is the headline."""

    KILLED = 0
    MODE_NOT_ACTIVE = 1
    UNRECONCILED = 2
    UNKNOWN_SYMBOL = 3
    RESTRICTED_SYMBOL = 4
    HALTED_SYMBOL = 5
    SESSION_CLOSED = 6
    BAD_NUMBER = 7
    STALE_PRICE = 8
    PRICE_COLLAR = 9
    DUPLICATE = 10
    SELF_MATCH = 11
    REDUCING_ONLY = 12
    DAILY_LOSS = 13
    DRAWDOWN = 14
    SHORT_NOT_ALLOWED = 15
    NO_CASH = 16
    MAX_ORDER_QTY = 17
    MAX_ORDER_VALUE = 18
    MAX_POSITION = 19
    MAX_STRATEGY = 20
    MAX_GROSS = 21
    MAX_NET = 22
    ORDER_RATE = 23
    VAR_LIMIT = 24  # bits are never given again: journals and snapshots hold them


MEANINGS: dict[Code, str] = {
    Code.KILLED: "a person pressed kill for all, the account, this symbol or a strategy in the order",
    Code.MODE_NOT_ACTIVE: "the station is HALTED, in MAINTENANCE or not configured",
    Code.UNRECONCILED: "orders and positions do not yet agree with the broker's",
    Code.UNKNOWN_SYMBOL: "no such instrument in the configuration",
    Code.RESTRICTED_SYMBOL: "the instrument is restricted or not tradable",
    Code.HALTED_SYMBOL: "this symbol is halted",
    Code.SESSION_CLOSED: "decided outside the symbol's session",
    Code.BAD_NUMBER: "price or quantity is not finite, not above zero, off the tick or off the lot",
    Code.STALE_PRICE: "the symbol's mark is older than two intervals and the limit's seconds",
    Code.PRICE_COLLAR: "the price is further from the last mark than the collar",
    Code.DUPLICATE: "the same order was already decided at this instant",
    Code.SELF_MATCH: "an own working order stands on the other side",
    Code.REDUCING_ONLY: "the station is REDUCING and this order could raise exposure",
    Code.DAILY_LOSS: "the day's loss is beyond its limit and this order raises exposure",
    Code.DRAWDOWN: "the drawdown is beyond its limit and this order raises exposure",
    Code.SHORT_NOT_ALLOWED: "the order would make a short position where none is allowed",
    Code.NO_CASH: "cash less what working buys have reserved does not cover the order with its fee and expected costs",
    Code.MAX_ORDER_QTY: "more lots than one order may have",
    Code.MAX_ORDER_VALUE: "more value than one order may have",
    Code.MAX_POSITION: "the position would be larger than one symbol may have",
    Code.MAX_STRATEGY: "a strategy's gross exposure would be larger than it may be",
    Code.MAX_GROSS: "the account's gross exposure would be larger than it may be",
    Code.MAX_NET: "the account's net exposure would be larger than it may be",
    Code.VAR_LIMIT: "the one-day value at risk after the trade would be above its limit, or its covariance is too old",
    Code.ORDER_RATE: "the message limit of the station or of a strategy in the order is used up",
}
"""One line a code, in the order in which they are named: the documentation's table is made from it."""

NAMED = tuple(MEANINGS)
"""All codes in their order: what says that nothing may be traded first, then what is wrong with the order, with its
exposure, and last that there were too many."""

STATION_CODES = frozenset({Code.KILLED, Code.MODE_NOT_ACTIVE, Code.UNRECONCILED, Code.REDUCING_ONLY})
"""Denials that say nothing of the strategy that asked, and so do not count towards switching it off."""


def named(mask: int) -> list[Code]:
    """Return the codes of a mask; the first is the headline."""
    return [code for code in NAMED if mask & (1 << code)]


def table() -> str:
    """Return all codes as a Markdown table, in the order in which they are named."""
    lines = ["| Code | Denied because | Counts against the strategy |", "|---|---|---|"]
    for code, meaning in MEANINGS.items():
        lines.append(f"| `{code.name}` | {meaning} | {'no' if code in STATION_CODES else 'yes'} |")
    return "\n".join(lines) + "\n"

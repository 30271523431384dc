"""The kernel's state: a handful of record arrays, one row a symbol, strategy or (strategy, symbol).

Rows instead of loose arrays: a compiled call reads one argument a table, and the tables' types do not depend on how
many symbols there are, so nothing is compiled again for another universe.
"""

import numpy as np
from numpy.typing import NDArray

from risk.limits import Limits

RETURNS = 64  # longest ring of bar returns that a volatility may ask for
CURRENCIES = 8  # of one account: its own in slot 0 and those that a rate is configured for

Table = NDArray[np.void]

SYMBOL = np.dtype(
    [
        ("lot_numerator", "i8"),
        ("lot_denominator", "i8"),
        ("tick", "f8"),
        ("currency", "i8"),
        ("calendar", "i8"),
        ("tradable", "i8"),
        ("shortable", "i8"),
        ("restricted", "i8"),
        ("halted", "i8"),
        ("killed", "i8"),
        ("interval_ns", "i8"),
        ("present", "i8"),  # this slice holds an in-session bar of the symbol
        ("session_open_ns", "i8"),
        ("session_close_ns", "i8"),
        ("mark", "f8"),
        ("mark_ns", "i8"),
        ("previous_close", "f8"),
        ("volume", "f8"),
        ("volume_average", "f8"),  # exponential, over costs.volatility_bars
        ("bars", "i8"),
        ("sigma", "f8"),
        ("returns_seen", "i8"),
        ("returns", "f8", (RETURNS,)),
        ("lots", "i8"),  # net position
        ("basis", "f8"),  # what the position cost, in the instrument's currency; compensated
        ("basis_rest", "f8"),
        ("realised", "f8"),
        ("realised_rest", "f8"),
        ("working_buy", "i8"),
        ("working_sell", "i8"),
        ("last_decided_ns", "i8"),
        ("fee_ppm", "i8"),  # the venue's schedule: a taker's share of the notional, a maker's, ...
        ("fee_maker_ppm", "i8"),
        ("fee_unit_micro", "i8"),  # ... so much a unit, at least so much a fill
        ("fee_minimum_micro", "i8"),
    ]
)

BOOK = np.dtype(
    [
        ("target", "f8"),
        ("stance", "f8"),
        ("lots", "i8"),
        ("basis", "f8"),
        ("basis_rest", "f8"),
        ("realised", "f8"),
        ("realised_rest", "f8"),
        ("fees_micro", "i8"),
        ("working", "i8"),  # signed lots of open orders not booked yet
        ("working_gross", "i8"),  # the same without their signs: orders of both sides may be open
        ("crossing", "i8"),  # signed lots that wait for the next open, no broker involved
        ("unit_lots", "i8"),
        ("unit_pending", "i8"),
        ("outcome_direction", "i8"),
        ("outcome_left", "i8"),
        ("outcome_price", "f8"),
        ("outcome_score", "f8"),
        ("outcome_ns", "i8"),
    ]
)

STRATEGY = np.dtype(
    [
        ("weight", "f8"),
        ("enabled", "i8"),  # 0: switched off, it may only reduce
        ("killed", "i8"),
        ("tokens", "f8"),
        ("tokens_ns", "i8"),
        ("denial_code", "i8"),
        ("denial_run", "i8"),
        ("day_start_pnl", "f8"),
        ("pnl", "f8"),
        ("gross", "f8"),
        ("net", "f8"),
        ("unit_cash_micro", "i8"),
        ("unit_equity", "f8"),
        ("hits", "i8"),
        ("outcomes", "i8"),
    ]
)

ACCOUNT = np.dtype(
    [
        ("cash_micro", "i8"),
        ("initial_micro", "i8"),
        ("fees_micro", "i8"),
        ("slippage", "f8"),
        ("equity", "f8"),
        ("gross", "f8"),
        ("net", "f8"),
        ("realised", "f8"),
        ("unrealised", "f8"),
        ("high_water", "f8"),
        ("drawdown", "f8"),
        ("breaker_high_water", "f8"),  # where a person's release left it
        ("day_start_equity", "f8"),
        ("breaker_day_start", "f8"),
        ("day", "i8"),  # open of the home calendar's session
        ("state", "i8"),
        ("killed", "i8"),
        ("reconciled", "i8"),
        ("tokens", "f8"),
        ("tokens_ns", "i8"),
        ("engine_ns", "i8"),
        ("financing_micro", "i8"),  # paid for shorts
        ("dividends_micro", "i8"),  # received, those that shorts paid taken off
        ("foreign_micro", "i8", (CURRENCIES,)),  # cash of other currencies, by their slot
        ("foreign_fees_micro", "i8", (CURRENCIES,)),
        ("foreign_rate", "f8", (CURRENCIES,)),
        ("foreign_value", "f8"),  # of that cash at the rates, account currency
    ]
)

COSTS = np.dtype(
    [
        ("fee_ppm", "i8"),
        ("half_spread", "f8"),
        ("impact_eta", "f8"),
        ("volatility_bars", "i8"),
        ("volume_share", "f8"),
        ("symbol_budget", "f8"),
        ("financing_ppm", "i8"),
    ]
)

LIMITS = np.dtype([(name, "f8") for name in Limits.__struct_fields__])

STATES = ("UNCONFIGURED", "ACTIVE", "REDUCING", "HALTED", "MAINTENANCE")
UNCONFIGURED, ACTIVE, REDUCING, HALTED, MAINTENANCE = range(5)

RATE = np.dtype([("row", "i8"), ("inverse", "i8")])
"""Where a currency's rate comes from: the row of a pair, as it is or turned over."""

PLACED = np.dtype(
    [
        ("row", "i8"),
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume", "f8"),
        ("open_ns", "i8"),
        ("close_ns", "i8"),
        ("interval_ns", "i8"),
        ("session_open_ns", "i8"),
        ("session_close_ns", "i8"),
    ]
)
"""An in-session bar on its way to its symbol's row."""

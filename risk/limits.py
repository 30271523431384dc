"""The limits of an account. There is no default for a missing one: a station without its limits refuses to start."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Equal to a limit passes, above it is denied. Fractions are of the account's equity unless said otherwise."""

    max_order_value: float  # account currency
    max_order_lots: int
    max_position: float  # fraction, one symbol, absolute
    max_strategy: float  # fraction, gross of one strategy
    max_gross: float  # fraction
    max_net: float  # fraction, absolute
    max_var: float  # fraction: one-day value at risk at 99 % after the trade
    covariance_max_age_sessions: int  # sessions begun since the last one that the covariance was fitted on
    price_collar: float  # fraction between the decision's price and the last mark
    stale_after_s: float  # age of a symbol's mark in its session, seconds beyond two intervals
    daily_loss: float  # fraction of the equity at the day's start
    drawdown_warning: float
    drawdown_reducing: float
    drawdown_halted: float
    strategy_drawdown_warning: float  # fraction of the strategy's capital, its weight's share of the account
    strategy_drawdown: float  # beyond it the strategy may only reduce
    strategy_daily_loss: float
    symbol_drawdown: float  # fraction of the account's budget in one symbol; beyond it the symbol is halted
    symbol_daily_loss: float
    strategy_rate: float  # messages a second
    station_rate: float  # messages a second; cancels have as many of their own
    repeated_denials: int  # the same denial this often in a row switches a strategy off
    stance_low: float  # clamp of a stance's multiplier
    stance_high: float
    no_trade_band: float  # fraction of a strategy's budget in a symbol
    allow_short: bool

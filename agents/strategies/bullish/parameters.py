"""Parameters of the bullish strategy and their places in its array."""

from agents.strategies.policy import Parameter

CHANNEL, EXIT_CHANNEL, TREND, TRAIL, STOP, PATIENCE, REST, SIZE = range(8)

PARAMETERS = (
    Parameter("channel_bars", 14, 5, 60, "bars", "enters above the highest high of this many earlier bars"),
    Parameter("exit_bars", 6, 3, 60, "bars", "leaves below the lowest low of this many earlier bars"),
    Parameter(
        "trend",
        0.2,
        0.0,
        1.0,
        "ratio",
        "least efficiency of the way here: 0 takes any breakout, 1 only a straight line",
    ),
    Parameter("trail_ranges", 2.5, 0.5, 20.0, "true ranges", "leaves this far below the highest close since the entry"),
    Parameter("stop_ranges", 2.0, 0.5, 20.0, "true ranges", "leaves this far below the entry"),
    Parameter("patience_bars", 40, 2, 1000, "bars", "leaves after this many bars that end without a gain"),
    Parameter("rest_bars", 2, 0, 1000, "bars", "waits this long after an exit"),
    Parameter("size", 0.6, 0.1, 1.0, "of the symbol's budget", "target in the symbol's habitual volatility"),
)

"""Parameters of the mean-reversion strategy and their places in its array."""

from agents.strategies.policy import Parameter

WINDOW, ENTRY, EXIT, EDGE, TREND, STOP, PATIENCE, REST, SIZE = range(9)

PARAMETERS = (
    Parameter("window_bars", 24, 6, 60, "bars", "length of the mean and the deviation"),
    Parameter("entry", 2.0, 1.0, 6.0, "deviations", "fades a close at least this far from the mean"),
    Parameter("exit", 0.25, 0.0, 0.9, "deviations", "leaves this close to the mean, or beyond it"),
    Parameter("edge", 0.0015, 0.0, 0.1, "of the price", "least way back to the mean: it has to pay for the round trip"),
    Parameter("trend", 0.5, 0.0, 1.0, "ratio", "leaves alone what came this straight: that is a trend"),
    Parameter("stop", 2.0, 0.25, 10.0, "deviations", "leaves with this many of the entry's deviations lost"),
    Parameter("patience_bars", 24, 1, 1000, "bars", "leaves after this long in any case"),
    Parameter("rest_bars", 3, 0, 1000, "bars", "waits this long after an exit"),
    Parameter("size", 0.5, 0.1, 1.0, "of the symbol's budget", "target in the symbol's habitual volatility"),
)

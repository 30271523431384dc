"""Parameters of the momentum strategy and their places in its array."""

from agents.strategies.policy import Parameter

FAST, MIDDLE, SLOW, ENTRY, EXIT, TRAIL, PATIENCE, REST, SIZE, RESIZE = range(10)

PARAMETERS = (
    Parameter("fast_bars", 6, 2, 10, "bars", "shortest of the three returns that vote"),
    Parameter("middle_bars", 13, 11, 20, "bars", "middle one"),
    Parameter("slow_bars", 26, 21, 60, "bars", "longest one; no entry against its sign"),
    Parameter("entry", 0.9, 0.2, 2.0, "deviations", "follows when the mean vote is at least this strong"),
    Parameter("exit", 0.1, 0.0, 0.15, "deviations", "leaves when the vote for its side is weaker than this"),
    Parameter("trail_ranges", 4.0, 0.5, 20.0, "true ranges", "leaves this far behind the best close since the entry"),
    Parameter("patience_bars", 104, 2, 1000, "bars", "leaves after this long in any case"),
    Parameter("rest_bars", 4, 0, 1000, "bars", "waits this long after an exit"),
    Parameter("size", 0.6, 0.1, 1.0, "of the symbol's budget", "target in the symbol's habitual volatility"),
    Parameter(
        "resize", 0.4, 0.05, 1.0, "of the symbol's budget", "follows volatility with its size in steps no smaller"
    ),
)

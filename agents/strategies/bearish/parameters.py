"""Parameters of the bearish strategy and their places in its array."""

from agents.strategies.policy import Parameter

WINDOW, SLOPE, LOW, WEAK, GOAL, STOP, PATIENCE, REST, SIZE = range(9)

PARAMETERS = (
    Parameter("window_bars", 16, 5, 60, "bars", "length of the volume-weighted average price"),
    Parameter("slope_bars", 5, 1, 30, "bars", "the average must be lower than it was this long ago"),
    Parameter("low_bars", 5, 2, 60, "bars", "sells below the lowest low of this many earlier bars"),
    Parameter("weak_ranges", 0.75, 0.0, 20.0, "true ranges", "sells only this far below the average"),
    Parameter("goal_ranges", 4.0, 0.5, 20.0, "true ranges", "covers with this much gained"),
    Parameter("stop_ranges", 2.0, 0.5, 20.0, "true ranges", "covers with this much lost"),
    Parameter("patience_bars", 20, 2, 1000, "bars", "covers after this long in any case"),
    Parameter("rest_bars", 2, 0, 1000, "bars", "waits this long after covering"),
    Parameter("size", 0.5, 0.1, 1.0, "of the symbol's budget", "target in the symbol's habitual volatility"),
)

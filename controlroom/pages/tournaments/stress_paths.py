"""A claim's stress path as a picture: the fan of the entrant's equity beside the unstressed market, and the ruling."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlroom.pages.formats import SPACE, plain
from controlroom.pages.tournaments.shown import change, percent

if TYPE_CHECKING:
    from tournaments.record import Ruled
    from tournaments.stress.marks import StressPath

LEFT, RIGHT, TOP, BOTTOM = 52.0, 436.0, 10.0, 172.0  # of the plot in the picture of 560 by 200; beside it are names
LINE = 14.0  # between two names, so that none covers another
SERIES = ("low", "high", "median", "worst", "calm")
DAY_S, HOUR_S = 86_400, 3_600
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
ROWS = 12  # of the table of numbers, beside the start


@dataclass(frozen=True)
class Scale:
    """A linear map from values to the picture's units."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value lies."""
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def picture(path: "StressPath", ruled: "Ruled", interval_s: int) -> dict[str, Any]:
    """Return the picture's coordinates as texts, with axes, levels and the numbers at the end of the paths."""
    levels = {"threshold": path.calm[-1] - ruled.threshold, "measured": path.calm[-1] - ruled.measured}
    values = [*(value for name in SERIES for value in getattr(path, name)), *levels.values()]
    room = max(0.06 * (max(values) - min(values)), 1e-5)
    y = Scale(min(values) - room, max(values) + room, BOTTOM, TOP)
    x = Scale(0.0, float(path.bars[-1]), LEFT, RIGHT)
    lines = {name: _points(x, y, path.bars, getattr(path, name)) for name in SERIES}
    begins = path.begins and f"{x.at(path.begins):.1f}"
    return {
        "band": f"{lines['low']} {' '.join(reversed(lines['high'].split()))}",
        "lines": [(name, lines[name]) for name in ("calm", "worst", "median")],
        "rows": _rows(y), "columns": _columns(x, path.bars[-1], interval_s), "begins": begins,
        "levels": _levels(y, levels, ruled), "ends": ends(path),
    }  # fmt: skip


def ends(path: "StressPath") -> dict[str, Any]:
    """Return what each curve comes to at the end of the paths."""
    return {name: change(getattr(path, name)[-1]) for name in SERIES}


def table(path: "StressPath", interval_s: int) -> list[dict[str, Any]]:
    """Return the curves' numbers at about a dozen points, for who cannot see the picture."""
    count = len(path.bars)
    chosen = sorted({round(k * (count - 1) / ROWS) for k in range(ROWS + 1)})
    return [
        {"after": after(path.bars[k], interval_s)} | {name: change(getattr(path, name)[k]) for name in SERIES}
        for k in chosen
    ]


def after(bars: int, interval_s: int) -> str:
    """Return so many bars as time since the paths' start, of sessions alone."""
    if interval_s >= DAY_S:
        return f"{bars} session{'' if bars == 1 else 's'}"
    minutes = bars * interval_s // 60
    return f"{minutes // 60}{SPACE}h {minutes % 60:02d}{SPACE}min"


def explored(path: "StressPath", ruled: "Ruled", interval_s: int) -> dict[str, Any]:
    """Return the curves as the browser's chart takes them: time since the start, and percent of the capital."""
    daily = interval_s >= DAY_S
    unit = 1.0 if daily else interval_s / HOUR_S
    return {
        "x": [bars * unit for bars in path.bars], "unit": "sessions" if daily else "hours of the session",
        "begins": path.begins * unit, "threshold": 100.0 * (path.calm[-1] - ruled.threshold),
        "measured": 100.0 * (path.calm[-1] - ruled.measured),
        "said": {name: percent(getattr(ruled, name), 3) for name in ("threshold", "measured")},
        **{name: [100.0 * value for value in getattr(path, name)] for name in SERIES},
    }  # fmt: skip


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most so many round numbers from ``low`` to ``high``, evenly apart."""
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(size * each for each in STEPS if (high - low) / (size * each) <= most)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _points(x: Scale, y: Scale, bars: tuple[int, ...], values: tuple[float, ...]) -> str:
    return " ".join(f"{x.at(bar):.1f},{y.at(value):.1f}" for bar, value in zip(bars, values, strict=True))


def _rows(y: Scale) -> list[dict[str, Any]]:
    found = ticks(100.0 * y.low, 100.0 * y.high, 5)
    decimals = max(len(f"{value:g}".partition(".")[2]) for value in found)
    return [
        {"y": f"{y.at(value / 100):.1f}", "words": f"{plain(value, decimals)}{SPACE}%", "zero": value == 0.0}
        for value in found
    ]


def _columns(x: Scale, bars: int, interval_s: int) -> list[dict[str, str]]:
    daily = interval_s >= DAY_S
    unit = 1.0 if daily else interval_s / HOUR_S
    found = [value for value in ticks(0.0, bars * unit, 8) if not daily or value == int(value)]
    words = [f"{value:g}" + ("" if value else SPACE + ("sessions" if daily else "h")) for value in found]
    return [{"x": f"{x.at(value / unit):.1f}", "words": each} for value, each in zip(found, words, strict=True)]


def _levels(y: Scale, levels: dict[str, float], ruled: "Ruled") -> list[dict[str, Any]]:
    """Return both levels, each with the height of its name: pushed apart where the two are too close."""
    heights = {name: y.at(value) for name, value in levels.items()}
    upper, lower = sorted(heights, key=lambda name: heights[name])
    names, gap = dict(heights), heights[lower] - heights[upper]
    if gap < LINE:
        middle = min(max(heights[upper] + gap / 2, TOP + LINE / 2), BOTTOM - LINE / 2)
        names = {upper: middle - LINE / 2, lower: middle + LINE / 2}
    return [
        {
            "name": name, "y": f"{heights[name]:.1f}", "text_y": f"{names[name] + 4:.1f}",
            "words": percent(getattr(ruled, name), 3),
        }
        for name in levels
    ]  # fmt: skip

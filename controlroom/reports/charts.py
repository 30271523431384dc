"""Small charts as SVG paths: the geometry here, the drawing in chart.html, so that the template escapes every text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from controlroom.pages.formats import plain

LEFT, RIGHT, TOP, BOTTOM = 54.0, 8.0, 8.0, 20.0
LABEL_WIDTH = 66.0  # of a date below the axis, with the gap to the next

Value = TypeVar("Value")


@dataclass(frozen=True)
class Series:
    """A line through ``y`` at ``x``, None where there is nothing; ``low`` and ``high`` bound its band.

    ``tone`` is a class of the sheet. ``step``: each value holds until the next ``x``. ``dots`` marks each value.
    """

    label: str
    tone: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    step: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Axis:
    """What lies between two ends; ``percent`` labels fractions as percent."""

    low: float
    high: float
    percent: bool = False


@dataclass(frozen=True)
class Tick:
    """A grid line at a coordinate and its label."""

    at: str
    text: str
    kind: str = ""
    anchor: str = "middle"


@dataclass(frozen=True)
class Shape:
    """A path; ``kind`` (band, area, line, dots) and ``tone`` are classes of the sheet."""

    kind: str
    tone: str
    path: str


@dataclass(frozen=True)
class Chart:
    """What chart.html draws; ``name`` is read aloud in its place, coordinates are those of its own box."""

    name: str
    width: str
    height: str
    left: str
    right: str
    top: str
    bottom: str
    below: str
    rows: list[Tick]
    columns: list[Tick]
    shapes: list[Shape]
    legend: list[tuple[str, str]]


@dataclass(frozen=True)
class Frame:
    """A box of user units with its scales."""

    width: float
    height: float
    x: Axis
    y: Axis
    left: float = LEFT

    def across(self, value: float) -> float:
        """Return the coordinate of an x."""
        span = self.x.high - self.x.low
        return self.left + (self.width - self.left - RIGHT) * ((value - self.x.low) / span if span else 0.5)

    def down(self, value: float) -> float:
        """Return the coordinate of a y; what lies outside is drawn at the edge."""
        share = (value - self.y.low) / (self.y.high - self.y.low)
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * min(1.0, max(0.0, share))


def axis_of(values: Sequence[float | None], *, within: Sequence[float] = (), percent: bool = False) -> Axis:
    """Return an axis that holds all values and those of ``within``, with a little room; never empty."""
    found = [value for value in (*values, *within) if value is not None]
    low, high = min(found, default=0.0), max(found, default=1.0)
    if low == high:
        return Axis(low - (abs(low) or 1.0), high + (abs(high) or 1.0), percent)
    room = 0.06 * (high - low)
    return Axis(low - room if low not in within else low, high + room if high not in within else high, percent)


def lines(
    name: str,
    frame: Frame,
    series: Sequence[Series],
    *,
    dates: Sequence[tuple[float, str]] = (),
    marks: Sequence[tuple[float, str]] = (),
) -> Chart:
    """Return a chart of lines; ``dates`` are (x, label) below it, ``marks`` (y, label) lines of their own."""
    shapes = [shape for each in series for shape in _shapes(frame, each)]
    legend = [(each.tone, each.label) for each in series]
    return _chart(name, frame, shapes, legend, dates=dates, marks=marks)


def areas(
    name: str,
    frame: Frame,
    x: Sequence[float],
    layers: Sequence[tuple[str, str, Sequence[float]]],
    *,
    dates: Sequence[tuple[float, str]] = (),
) -> Chart:
    """Return layers (tone, label, values) stacked from below; each value holds until the next x, the last x ends."""
    floor, shapes = [0.0] * len(x[:-1]), []
    for tone, _, values in layers:
        roof = [below + value for below, value in zip(floor, values, strict=True)]
        upper = _steps(frame, x, roof)
        lower = _steps(frame, x, floor)
        shapes.append(Shape("area", tone, f"M{' '.join(upper)} {' '.join(reversed(lower))}Z"))
        floor = roof
    return _chart(name, frame, shapes, [(tone, label) for tone, label, _ in layers], dates=dates, marks=())


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten apart) within low to high, about ``count``."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * each for each in (1.0, 2.0, 2.5, 5.0, 10.0) if power * each >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _chart(
    name: str,
    frame: Frame,
    shapes: list[Shape],
    legend: list[tuple[str, str]],
    *,
    dates: Sequence[tuple[float, str]],
    marks: Sequence[tuple[float, str]],
) -> Chart:
    grid = ticks(frame.y.low, frame.y.high)
    rows = [Tick(_at(frame.down(value)), text) for value, text in zip(grid, _labels(grid, frame.y), strict=True)]
    rows += [Tick(_at(frame.down(value)), text, "mark") for value, text in marks]
    return Chart(
        name=name, width=_at(frame.width), height=_at(frame.height), left=_at(frame.left),
        right=_at(frame.width - RIGHT), top=_at(TOP), bottom=_at(frame.height - BOTTOM), below=_at(frame.height - 6.0),
        rows=rows, columns=_spaced(frame, dates), shapes=shapes, legend=legend,
    )  # fmt: skip


def _spaced(frame: Frame, dates: Sequence[tuple[float, str]]) -> list[Tick]:
    """Return the dates with labels as far as these do not touch, the newest always."""
    found: list[Tick] = []
    free = math.inf  # to the left of the label before
    for value, text in reversed(dates):
        at = frame.across(value)
        inside = at + LABEL_WIDTH / 2.0 <= frame.width
        ends = at + LABEL_WIDTH / 2.0 if inside else at
        if ends <= free:
            found.append(Tick(_at(at), text, anchor="middle" if inside else "end"))
            free = ends - LABEL_WIDTH
    return found[::-1]


def _labels(values: Sequence[float], axis: Axis) -> list[str]:
    scale = 100.0 if axis.percent else 1.0
    shown = [value * scale for value in values]
    decimals = next((d for d in range(8) if all(abs(v - round(v, d)) < 1e-9 * 10 ** (2 - d) for v in shown)), 8)
    return [plain(value, decimals) + ("\u202f%" if axis.percent else "") for value in shown]


def _shapes(frame: Frame, series: Series) -> list[Shape]:
    shapes = []
    if series.low:
        shapes += [Shape("band", series.tone, path) for path in _bands(frame, series)]
    for x, y in _runs(series.x, series.y):
        points = _steps(frame, [*x, x[-1]], y) if series.step else _points(frame, x, y)
        shapes.append(Shape("line", series.tone, f"M{' '.join(points)}"))
    if series.dots:
        told = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None]
        path = "".join(f"M{_at(frame.across(x))},{_at(frame.down(y))}h0" for x, y in told)
        shapes.append(Shape("dots", series.tone, path))
    return shapes


def _bands(frame: Frame, series: Series) -> list[str]:
    """Return the interval's outline run by run; a lone one is a stroke of its own width."""
    found = []
    both = [None if low is None or high is None else (low, high)
            for low, high in zip(series.low, series.high, strict=True)]  # fmt: skip
    for x, pairs in _runs(series.x, both):
        around = ([x[0] - _half(frame), x[0] + _half(frame)], pairs * 2) if len(x) == 1 else (x, pairs)
        upper = _points(frame, around[0], [high for _, high in around[1]])
        lower = _points(frame, around[0], [low for low, _ in around[1]])
        found.append(f"M{' '.join(upper)} {' '.join(reversed(lower))}Z")
    return found


def _half(frame: Frame) -> float:
    """Return half the width, in x, of what one lone point stands for."""
    return (frame.x.high - frame.x.low) * 0.01


def _runs(x: Sequence[float], y: Sequence[Value | None]) -> list[tuple[list[float], list[Value]]]:
    """Return the stretches without a gap."""
    found: list[tuple[list[float], list[Value]]] = []
    broken = True
    for place, value in zip(x, y, strict=True):
        if value is None:
            broken = True
            continue
        if broken:
            found.append(([], []))
            broken = False
        found[-1][0].append(place)
        found[-1][1].append(value)
    return found


def _points(frame: Frame, x: Sequence[float], y: Sequence[float]) -> list[str]:
    return [f"{_at(frame.across(a))},{_at(frame.down(b))}" for a, b in zip(x, y, strict=True)]


def _steps(frame: Frame, x: Sequence[float], y: Sequence[float]) -> list[str]:
    """Return the corners of values [n] that hold from each x to the next [n + 1]."""
    corners = [(place, value) for k, value in enumerate(y) for place in (x[k], x[k + 1])]
    return _points(frame, [a for a, _ in corners], [b for _, b in corners])


def _at(value: float) -> str:
    return f"{value:.1f}"

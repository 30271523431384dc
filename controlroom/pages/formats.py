"""How a value is written for people: the same table as `formats` in static/formats.js, row for row.

Every format takes the raw value and returns the text with the attributes that style it (``sign``, ``state``). Numbers
are rounded half away from zero on their exact binary value, which is what JavaScript's ``toFixed`` does, so that a page
reads the same before and after its first live message.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

SPACE = "\u202f"  # narrow, never broken: thousands separator and between a number and its unit
MINUS = "\u2212"
NOTHING = "\u2013"
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class Shown:
    """A value as a person reads it, with what the style sheet needs to know."""

    text: str
    attributes: dict[str, str] = field(default_factory=dict)


def grouped(value: float, decimals: int) -> str:
    """Return the absolute value with thousands separators and fixed decimals."""
    exact = Decimal(abs(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return f"{exact:,f}".replace(",", SPACE)


def plain(value: float, decimals: int) -> str:
    """Return the value with a true minus sign; a rounded zero has none."""
    text = grouped(value, decimals)
    return MINUS + text if value < 0 and any(digit in "123456789" for digit in text) else text


def signed(value: float, decimals: int, unit: str = "", *, arrow: bool = True) -> Shown:
    """Return the value with its sign and arrow; what rounds to zero is flat."""
    text = grouped(value, decimals)
    if not any(digit in "123456789" for digit in text):
        return Shown(("\u25ac " if arrow else "") + text + unit, {"sign": "flat"})
    if value > 0:
        return Shown(("\u25b2 +" if arrow else "+") + text + unit, {"sign": "up"})
    return Shown(("\u25bc " if arrow else "") + MINUS + text + unit, {"sign": "down"})


def price_decimals(value: float) -> int:
    """Return how many decimals a price of this size is shown with."""
    size = abs(value)
    if size >= 10:
        return 2
    return 4 if size >= 0.1 else 6


def quantity(value: float) -> str:
    """Return a quantity: whole where it is whole, else at most four decimals."""
    if value == int(value):
        return plain(value, 0)
    return plain(value, 4).rstrip("0").rstrip(".")


def duration(milliseconds: float) -> str:
    """Return a length of time in its two largest units."""
    seconds = int(milliseconds // 1000)
    if milliseconds < 10_000:
        return f"{max(0, int(milliseconds // 100)) / 10:.1f}{SPACE}s"
    if seconds < 120:
        return f"{seconds}{SPACE}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return f"{minutes}{SPACE}min"
    if hours < 48:
        return f"{hours}{SPACE}h {minutes % 60}{SPACE}min"
    return f"{days}{SPACE}d {hours % 24}{SPACE}h"


def moment(milliseconds: float, zone: Any) -> datetime:
    """Return an instant, given in milliseconds since 1970, in a zone."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone)


def _clock(zone: Any, pattern: str) -> Callable[[Any], Shown]:
    return lambda value: Shown(moment(value, zone).strftime(pattern))


def _quantity_signed(value: float) -> Shown:
    if value == 0:
        return Shown("0", {"sign": "flat"})
    return Shown(("+" if value > 0 else "") + quantity(value))


def _exposure(value: float) -> Shown:
    if abs(value) < 0.0005:
        return Shown("\u25ac flat", {"sign": "flat"})
    side = "\u25b2 long" if value > 0 else "\u25bc short"
    return Shown(f"{side} {grouped(value * 100, 1)}{SPACE}%")


FORMATS: dict[str, Callable[[Any], Shown]] = {
    "text": lambda value: Shown(str(value)),
    "list": lambda value: Shown(", ".join(str(item) for item in value) if isinstance(value, list) else str(value)),
    "state": lambda value: Shown(str(value), {"state": str(value).lower()}),
    "maybe": lambda value: Shown(str(value)),
    "unusual": lambda value: Shown("" if value == "active" else str(value), {"state": str(value)}),
    "order_type": lambda value: Shown("" if value == "market" else str(value)),
    "fraction": lambda value: Shown(f"{plain(value * 100, 2)}{SPACE}%"),
    "deviations": lambda value: Shown(f"{plain(value, 1)}{SPACE}\u03c3"),
    "when": _clock(NEW_YORK, "%m-%d %H:%M:%S"),
    "money": lambda value: Shown(plain(value, 2)),
    "gain": lambda value: signed(value, 2),
    "gain0": lambda value: signed(value, 0),
    "percent": lambda value: Shown(f"{plain(value * 100, 1)}{SPACE}%"),
    "percent2": lambda value: Shown(f"{plain(value * 100, 2)}{SPACE}%"),
    "change": lambda value: signed(value * 100, 2, f"{SPACE}%"),
    "loss": lambda value: signed(-value * 100, 2, f"{SPACE}%"),
    "integer": lambda value: Shown(plain(value, 0)),
    "quantity": lambda value: Shown(quantity(value)),
    "position": _quantity_signed,
    "exposure": _exposure,
    "price": lambda value: Shown(plain(value, price_decimals(value))),
    "ratio": lambda value: Shown(plain(value, 2)),
    "points": lambda value: signed(value, 1, f"{SPACE}bp", arrow=False),
    "milliseconds": lambda value: Shown(f"{plain(value, 2)}{SPACE}ms"),
    "bytes": lambda value: Shown(
        f"{plain(value / 1e9, 1)}{SPACE}GB" if value >= 1e9 else f"{plain(value / 1e6, 1)}{SPACE}MB"
    ),
    "duration": lambda value: Shown(duration(value)),
    "et": _clock(NEW_YORK, "%H:%M:%S"),
    "et_minute": _clock(NEW_YORK, "%H:%M"),
    "et_day": _clock(NEW_YORK, "%a %Y-%m-%d"),
    "et_day_minute": _clock(NEW_YORK, "%a %H:%M"),
    "et_short": _clock(NEW_YORK, "%m-%d %H:%M:%S"),
    "et_stamp": _clock(NEW_YORK, "%Y-%m-%d %H:%M:%S"),
    "et_full": _clock(NEW_YORK, "%Y-%m-%d %H:%M:%S ET"),
    "utc": _clock(UTC, "%H:%M:%S"),
    "utc_stamp": _clock(UTC, "%Y-%m-%d %H:%M:%S"),
    "utc_full": _clock(UTC, "%Y-%m-%d %H:%M:%S UTC"),
}
"""Instants are milliseconds since 1970; fractions become percent; ``loss`` takes a lost fraction, shown negative."""


QUIET = frozenset({"maybe", "unusual", "order_type", "fraction", "deviations", "when"})
"""Formats of what is only there when they say something."""


def show(value: Any, name: str) -> Shown:
    """Return a value in one of the FORMATS; what is missing or not a number is a dash."""
    if value is None or value == "" or (isinstance(value, float) and not isfinite(value)):
        return Shown("" if name in QUIET else NOTHING)
    return FORMATS[name](value)

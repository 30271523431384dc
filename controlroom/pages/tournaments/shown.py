"""How the tournament's pages write agents, states, errors and small pictures of numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from controlroom.live.rows import strategies, strategy_title
from controlroom.pages.formats import NOTHING, SPACE, Shown, plain, signed

TONES = 6  # of static/tokens.css
WAITING = {"open": "asked for", "settle": "awaits its session"}
ENDED = ("settled", "void")


@dataclass(frozen=True)
class Agent:
    """An entrant as a person reads it; ``tone`` is its colour on every page."""

    name: str
    title: str
    tone: int


@dataclass(frozen=True)
class Span:
    """An interval from 0 to 1 as a line of 100 units with a mark where the value is."""

    low: str
    high: str
    mark: str


def agents_of(view: dict[str, Any], names: Iterable[str]) -> dict[str, Agent]:
    """Return agents by name, in the given order, in the colours that they have on the overview."""
    known = strategies(view)["by"]
    return {
        name: Agent(name, strategy_title(view, name), known.get(name, {}).get("tone") or index % TONES + 1)
        for index, name in enumerate(names)
    }


def state_of(state: str) -> tuple[str, str]:
    """Return a round's state as what the style sheet knows and as words."""
    if state in ENDED:
        return state, state
    return "waits", WAITING.get(state, f"waits for {state}")


def error(value: float | None, decimals: int) -> str:
    """Return a standard error; a dash where nothing has shown it yet."""
    return NOTHING if value is None else f"±{SPACE}{plain(value, decimals)}"


def percent(value: float | None, decimals: int = 1) -> str:
    """Return a fraction as percent."""
    return NOTHING if value is None else f"{plain(value * 100, decimals)}{SPACE}%"


def change(value: float, decimals: int = 2) -> Shown:
    """Return a change of a fraction of the capital, in percentage points."""
    return signed(value * 100, decimals, f"{SPACE}%")


def unit(value: float) -> str:
    """Return a share as a coordinate from 0 to 100; what lies outside is drawn at the edge."""
    return f"{100.0 * min(1.0, max(0.0, value)):.1f}"


def span(low: float, high: float, value: float) -> Span:
    """Return an interval's picture; the numbers stand beside it."""
    return Span(unit(low), unit(high), unit(value))


def milliseconds(ns: int | None) -> int | None:
    """Return an instant as the formats take it."""
    return None if ns is None else ns // 1_000_000

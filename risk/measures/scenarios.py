"""Named days and made-up days: what positions would have lost, or would lose. One table; a new scenario is one line."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from risk.measures.prices import Panel

Float64Array = npt.NDArray[np.float64]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario's loss as a fraction of the capital, negative for a gain; None where the data do not hold its days.

    ``worst`` names the symbol that loses most of it, ``worst_loss`` how much.
    """

    name: str
    kind: str  # historical, hypothetical
    days: str
    loss: float | None
    worst: str = ""
    worst_loss: float = 0.0


@dataclass(frozen=True)
class Historical:
    """From the close before ``start`` to the close of ``end``, ISO dates."""

    name: str
    start: str
    end: str


HISTORICAL = (
    Historical("Russia's default and LTCM", "1998-08-27", "1998-08-31"),
    Historical("dot-com: the week to 14 April 2000", "2000-04-10", "2000-04-14"),
    Historical("the week after 11 September", "2001-09-17", "2001-09-21"),
    Historical("Lehman and AIG", "2008-09-15", "2008-09-17"),
    Historical("October 2008, its worst week", "2008-10-06", "2008-10-10"),
    Historical("flash crash, at the close", "2010-05-06", "2010-05-06"),
    Historical("flash crash and the day after", "2010-05-06", "2010-05-07"),
    Historical("downgrade of the United States", "2011-08-04", "2011-08-08"),
    Historical("China's devaluation", "2015-08-20", "2015-08-24"),
    Historical("short volatility unwound", "2018-02-02", "2018-02-05"),
    Historical("the pandemic's worst week", "2020-03-09", "2020-03-16"),
)

Shock = Callable[[Float64Array, Float64Array], Float64Array]
"""(weights [n], daily volatilities [n]) to returns [n]."""


def _all(change: float) -> Shock:
    return lambda weights, _volatility: np.full(len(weights), change)


def _against(deviations: float) -> Shock:
    return lambda weights, volatility: -np.sign(weights) * deviations * volatility


def _largest(change: float) -> Shock:
    def shock(weights: Float64Array, _volatility: Float64Array) -> Float64Array:
        returns = np.zeros(len(weights))
        if len(weights):
            largest = int(np.argmax(np.abs(weights)))
            returns[largest] = -np.sign(weights[largest]) * change
        return returns

    return shock


HYPOTHETICAL: tuple[tuple[str, Shock], ...] = (
    ("every price falls 10 %", _all(-0.10)),
    ("every price falls 20 %, as on 19 October 1987", _all(-0.20)),
    ("every price rises 10 %", _all(0.10)),
    ("every price moves 3 daily deviations against its position at once", _against(3.0)),
    ("every price moves 6 daily deviations against its position at once", _against(6.0)),
    ("the largest position gaps 50 % against us", _largest(0.50)),
)


def table(panel: Panel, weights: Float64Array, volatility: Float64Array) -> list[Scenario]:
    """Return every scenario's loss of positions ``weights`` [n], fractions of the capital, held unchanged throughout.

    ``volatility`` [n] is each symbol's daily deviation, for the scenarios that are told in deviations.
    """
    found = [_historical(panel, weights, one) for one in HISTORICAL]
    return found + hypothetical(panel.symbols, weights, volatility)


def hypothetical(symbols: tuple[str, ...], weights: Float64Array, volatility: Float64Array) -> list[Scenario]:
    """Return the made-up scenarios alone: they need no history."""
    return [
        _scenario(name, "hypothetical", "", symbols, weights * shock(weights, volatility))
        for name, shock in HYPOTHETICAL
    ]


def _historical(panel: Panel, weights: Float64Array, one: Historical) -> Scenario:
    start, end = np.datetime64(one.start), np.datetime64(one.end)
    days = f"{one.start} to {one.end}"
    before, last = int(panel.dates.searchsorted(start)) - 1, int(panel.dates.searchsorted(end, side="right")) - 1
    inside = before >= 0 and last > before and panel.dates[last] == end and panel.dates[before + 1] == start
    if not inside:
        return Scenario(name=one.name, kind="historical", days=days, loss=None)
    change = panel.closes[last] / panel.closes[before] - 1.0
    return _scenario(one.name, "historical", days, panel.symbols, weights * change)


def _scenario(name: str, kind: str, days: str, symbols: tuple[str, ...], gains: Float64Array) -> Scenario:
    worst = int(np.argmin(gains)) if len(gains) else -1
    return Scenario(
        name=name, kind=kind, days=days, loss=-float(gains.sum()) + 0.0,
        worst=symbols[worst] if worst >= 0 else "", worst_loss=-float(gains[worst]) + 0.0 if worst >= 0 else 0.0,
    )  # fmt: skip

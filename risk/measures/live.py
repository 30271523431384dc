"""Value at risk of a running station: its positions now, the covariance in force, a hundred thousand paths."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from risk.measures.monte_carlo import draw, simulate, tail
from risk.measures.settings import DEGREES, PATHS

UNKNOWN_DEVIATION = 0.02  # a day, of a symbol that the covariance does not have; the kernel's bound takes the same
LEVELS = (0.95, 0.99)
TOTAL = "total"

Float64Array = npt.NDArray[np.float64]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One day's VaR and ES as fractions of the account's equity, positive for a loss."""

    var_95: float
    es_95: float
    var_99: float
    es_99: float


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The account's figures and each strategy's own; ``uncovered`` symbols were taken to move 2 % a day alone."""

    total: Figures
    strategies: dict[str, Figures]
    uncovered: list[str]
    paths: int


def exposures(view: Mapping[str, Any]) -> tuple[list[str], list[str], Float64Array]:
    """Return symbols, names (total first, then strategies) and [names, symbols] positions as fractions of equity."""
    equity = float(view["account"]["equity"])
    held = {symbol: row for symbol, row in view["positions"].items() if row["qty"] or any(row["by_strategy"].values())}
    symbols, strategies = sorted(held), sorted(view["strategies"])
    table = np.zeros((1 + len(strategies), len(symbols)))
    for i, symbol in enumerate(symbols):
        row = held[symbol]
        unit = row["value"] / row["qty"] if row["qty"] else row["mark"]
        table[0, i] = row["value"]
        for k, name in enumerate(strategies, 1):
            table[k, i] = row["by_strategy"].get(name, 0.0) * unit
    return symbols, [TOTAL, *strategies], table / equity if equity > 0.0 else table * 0.0


def covariance_for(symbols: list[str], known: list[str], matrix: Float64Array) -> tuple[Float64Array, list[str]]:
    """Return the covariance of ``symbols`` and which of them are not in ``known``."""
    place = {symbol: i for i, symbol in enumerate(known)}
    found = np.diag(np.full(len(symbols), UNKNOWN_DEVIATION**2))
    here = [i for i, symbol in enumerate(symbols) if symbol in place]
    there = [place[symbols[i]] for i in here]
    if here:
        found[np.ix_(here, here)] = matrix[np.ix_(there, there)]
    return found, [symbol for symbol in symbols if symbol not in place]


def live(view: Mapping[str, Any], known: list[str], matrix: Float64Array, *, paths: int = PATHS, seed: int = 1) -> Live:
    """Return the figures of the worker's view under a covariance [n, n] of the symbols ``known``."""
    symbols, names, table = exposures(view)
    covariance, uncovered = covariance_for(symbols, known, matrix)
    if symbols:
        losses = simulate(draw(paths, len(symbols), seed=seed, degrees=DEGREES), covariance, table)
    else:
        losses = np.zeros((1, len(names)))
    found = {name: _figures(losses[:, k]) for k, name in enumerate(names)}
    return Live(total=found.pop(TOTAL), strategies=found, uncovered=uncovered, paths=paths)


def _figures(losses: Float64Array) -> Figures:
    (var_95, es_95), (var_99, es_99) = (tail(losses, level) for level in LEVELS)
    return Figures(var_95=var_95, es_95=es_95, var_99=var_99, es_99=es_99)

"""What a strategy is to the engine: a name, its parameters and a compiled loop over flat state.

A policy sees closed bars of its own interval and nothing else: not the book, not the clock, not the future. Its exits
work on a notional entry that it keeps in its own state, so that its signals are the same whatever was filled.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


class ParameterError(ValueError):
    """One sentence: the strategy, the parameter, the value, what is allowed."""


@dataclass(frozen=True)
class Parameter:
    """A number that an operator may set, from ``low`` to ``high`` inclusive; unit "bars" means a whole number."""

    name: str
    default: float
    low: float
    high: float
    unit: str
    help: str


@dataclass(frozen=True)
class Policy:
    """A strategy as the engine runs it.

    Attributes
    ----------
    interval_s
        length of the bars that it reads, in seconds; a feed of longer bars is read as it comes, since every parameter
        counts bars.
    warm_up_bars
        closed bars before its target may leave 0, with the default parameters; longer ones make it wait longer.
    horizon_bars
        bars of its interval after which a directional signal is settled: did the close move its way.
    features
        names of the columns of ``features``; the first is always the score behind the target.
    state_dtype
        flat state of one symbol; all zeros is a fresh one.
    prices, volumes
        fields of it that are prices (or distances between prices) and volumes: a split divides and multiplies them by
        its ratio, so that the policy never takes the gap for a move. ``prices`` None: it forgets the symbol instead.
    loop
        ``loop(state, parameters, bars, closed, targets, scores, features)``, compiled: state (n,) of ``state_dtype``,
        parameters (P,) float64, bars (n,) of market.bars.BAR, closed (n,) bool, targets (n,) float64 in [-1, 1],
        scores (n,) float64, features (n, F) float64. Rows that are not closed stay as they are.
    """

    name: str
    title: str
    idea: str
    source: str
    interval_s: int
    warm_up_bars: int
    horizon_bars: int
    parameters: tuple[Parameter, ...]
    features: tuple[str, ...]
    state_dtype: np.dtype[Any]
    loop: Callable[..., None]
    prices: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()


def parameter_array(policy: Policy, overrides: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """Return the (P,) parameters of ``policy``: its defaults with ``overrides`` laid over them.

    Raises
    ------
    ParameterError
        if a name is unknown, or a value is no number, outside its range, or not whole where bars are counted.
    """
    known = {parameter.name: parameter for parameter in policy.parameters}
    for name in overrides:
        if name not in known:
            raise ParameterError(f"{policy.name}: there is no parameter {name}; it has {', '.join(known)}")
    values = [
        _checked(policy, parameter, overrides.get(parameter.name, parameter.default)) for parameter in policy.parameters
    ]
    return np.array(values, dtype=np.float64)


def _checked(policy: Policy, parameter: Parameter, value: Any) -> float:
    allowed = f"{parameter.low:g} to {parameter.high:g} {parameter.unit}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ParameterError(
            f"{policy.name}: parameter {parameter.name} = {value!r} is not a number; allowed is {allowed}"
        )
    if not parameter.low <= value <= parameter.high:
        raise ParameterError(f"{policy.name}: parameter {parameter.name} = {value!r} is outside {allowed}")
    if parameter.unit == "bars" and value != int(value):
        raise ParameterError(
            f"{policy.name}: parameter {parameter.name} = {value!r} is not a whole number of bars; allowed is {allowed}"
        )
    return float(value)

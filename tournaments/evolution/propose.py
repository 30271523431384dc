"""Variants of a strategy: other values of its declared parameters, spread evenly about those in force.

A variant's features are those that its parameters switch: the policies declare no feature that could be left out, but
an ``edge``, ``trend`` or ``exit`` of 0 is one without that condition.
"""

import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from agents.strategies.policy import Parameter, Policy, parameter_array

REACH = 2.0  # a variant's value is at most so many times the parent's, and at least that part of it
REACH_FROM_NOTHING = 0.1  # of the declared range, where the parent's value is 0
CHANGED = 1 / 3  # of the parameters, on average: a person can still read what is different
DIGITS = 3  # significant ones of what is not counted in bars
BATCH = 32  # points are drawn at a time: a power of 2, as Sobol's sequence wants
BATCHES = 64  # after which there is nothing new about this parent

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """``parameters``: every one by name; ``changed``: those that differ from the parent; ``identity``: SHA-256."""

    strategy: str
    parameters: dict[str, float]
    changed: tuple[str, ...]
    identity: str


def complete(policy: Policy, parameters: Mapping[str, float]) -> dict[str, float]:
    """Return every parameter by name, defaults where none is given.

    Raises
    ------
    agents.strategies.policy.ParameterError
        if one is unknown or outside its declared range.
    """
    values = parameter_array(policy, parameters)
    return {each.name: float(value) for each, value in zip(policy.parameters, values, strict=True)}


def identity(policy: Policy, parameters: Mapping[str, float]) -> str:
    """Return the SHA-256 of a strategy and its complete parameters: what is the same trial, whoever proposes it."""
    said = {"strategy": policy.name, "parameters": complete(policy, parameters)}
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


def propose(
    policy: Policy, parent: Mapping[str, float], *, count: int, seed: int, known: Container[str] = frozenset()
) -> list[Variant]:
    """Return at most ``count`` variants of ``parent`` that nobody has tried; fewer where nothing new is about it.

    Points of a scrambled Sobol sequence (I. M. Sobol 1967, "On the distribution of points in a cube"; A. Owen 1998,
    "Scrambling Sobol' and Niederreiter-Xing points"): half of a point's coordinates are values, between half and twice
    the parent's within the declared range, the other half say which of them are taken. Same seed, same variants.

    Parameters
    ----------
    parent : parameters in force, by name; defaults where none is given.
    known : identities of all earlier trials; the parent is never among the variants.

    Raises
    ------
    agents.strategies.policy.ParameterError
        if the parent does not fit the policy.
    """
    before, found = complete(policy, parent), dict[str, Variant]()
    own, size = identity(policy, before), len(policy.parameters)
    points = qmc.Sobol(2 * size, scramble=True, rng=np.random.default_rng(seed))
    for _ in range(BATCHES):
        for point in points.random(BATCH):
            if len(found) == count:
                return list(found.values())
            made = _variant(policy, before, point[:size], point[size:])
            if made.identity not in {own, *found} and made.identity not in known:
                found[made.identity] = made
    return list(found.values())


def _variant(policy: Policy, before: Mapping[str, float], where: Float64Array, chance: Float64Array) -> Variant:
    chosen = chance <= max(CHANGED, float(chance.min()))  # one of them at least
    parameters = dict(before)
    for each, take, share in zip(policy.parameters, chosen, where, strict=True):
        if take:
            parameters[each.name] = _value(each, before[each.name], float(share))
    changed = tuple(name for name, value in parameters.items() if value != before[name])
    return Variant(policy.name, parameters, changed, identity(policy, parameters))


def _value(parameter: Parameter, before: float, share: float) -> float:
    """Return a value ``share`` of the way between the bounds that the parent's value leaves, as a person writes it."""
    low, high = before / REACH, before * REACH
    if before <= 0.0:
        low, high = before, before + REACH_FROM_NOTHING * (parameter.high - parameter.low)
    low, high = max(low, parameter.low), min(high, parameter.high)
    value = low + share * (high - low)
    rounded = round(value) if parameter.unit == "bars" else float(f"{value:.{DIGITS}g}")
    return float(min(max(rounded, parameter.low), parameter.high))

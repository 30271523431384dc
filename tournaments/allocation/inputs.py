"""What every function of this package refuses: arrays of another shape, and numbers that are not finite or in range."""

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ROUNDING = 1e-9  # sums and bounds may miss by so much before they are refused


class AllocationError(ValueError):
    """One sentence: the field, its value and what is allowed."""


def number(name: str, value: float, low: float, high: float) -> float:
    """Return ``value`` if it is finite and within ``low`` to ``high``, both allowed.

    Raises
    ------
    AllocationError
        otherwise.
    """
    if not math.isfinite(value) or not low <= value <= high:
        raise AllocationError(f"{name} = {value:g} is outside {low:g} to {high:g}")
    return float(value)


def vector(
    name: str, values: npt.ArrayLike, entrants: int, low: float, high: float, *, missing: bool = False
) -> FloatArray:
    """Return ``values`` as float64 [entrants], each within ``low`` to ``high``; NaN passes where ``missing``.

    Raises
    ------
    AllocationError
        if the shape is another, or a value is outside.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (entrants,):
        raise AllocationError(f"{name} has shape {array.shape}; it needs one number for each of {entrants} entrants")
    return _within(name, array, low, high, missing=missing)


def matrix(name: str, values: npt.ArrayLike, low: float, high: float, *, missing: bool = False) -> FloatArray:
    """Return ``values`` as float64 [row, entrant] with at least one entrant; otherwise as ``vector``.

    Raises
    ------
    AllocationError
        if it has another number of dimensions or no entrant, or a value is outside.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise AllocationError(f"{name} has shape {array.shape}; it needs rows with a column for each entrant")
    return _within(name, array, low, high, missing=missing)


def flags(name: str, values: npt.ArrayLike, entrants: int) -> BoolArray:
    """Return ``values`` as bool [entrants].

    Raises
    ------
    AllocationError
        if the shape is another or the values are not true and false.
    """
    array = np.asarray(values)
    if array.shape != (entrants,) or array.dtype != np.bool_:
        raise AllocationError(f"{name} is {array.dtype} {array.shape}; it needs true or false for {entrants} entrants")
    return array


def shares(name: str, values: npt.ArrayLike, entrants: int, most: float = 1.0) -> FloatArray:
    """Return ``values`` as float64 [entrants], none below 0, their sum at most ``most``.

    Raises
    ------
    AllocationError
        otherwise.
    """
    array = np.maximum(vector(name, values, entrants, -ROUNDING, most + ROUNDING), 0.0)
    if array.sum() > most + ROUNDING:
        raise AllocationError(f"{name} sums to {array.sum():g}; at most {most:g} is allowed")
    return array


def _within(name: str, array: FloatArray, low: float, high: float, *, missing: bool) -> FloatArray:
    bad = ~((array >= low) & (array <= high))  # NaN is in no range
    if missing and bad.any():
        bad &= ~np.isnan(array)
    if bad.any():
        place = [int(index) for index in np.argwhere(bad)[0]]
        raise AllocationError(f"{name}{place} = {array[tuple(place)]:g} is outside {low:g} to {high:g}")
    return array

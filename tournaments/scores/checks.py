"""What every score asks of its numbers before it reads them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class ScoreError(ValueError):
    """One sentence: which input of a score is wrong, its value and what is allowed."""


def finite(name: str, values: npt.ArrayLike, *, dimensions: int | None = None) -> Float64Array:
    """Return ``values`` as doubles.

    Raises
    ------
    ScoreError
        if one of them is not a finite number, or the array has not ``dimensions`` axes.
    """
    array = np.asarray(values, dtype=np.float64)
    if dimensions is not None and array.ndim != dimensions:
        raise ScoreError(f"{name} has {array.ndim} axes; {dimensions} are needed")
    bad = ~np.isfinite(array)
    if bad.any():
        raise ScoreError(f"{name} holds {array[bad].flat[0]}; every value must be a finite number")
    return array


def within(name: str, value: float, low: float, high: float) -> float:
    """Return ``value``; raise ScoreError unless low <= value <= high, which a NaN is not."""
    if not low <= value <= high:
        raise ScoreError(f"{name} = {value} is outside {low:g} to {high:g}")
    return value


def same_length(**arrays: Iterable[Any]) -> int:
    """Return the common length of the named arrays; raise ScoreError if they differ."""
    lengths = {name: len(np.atleast_1d(np.asarray(array))) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ScoreError(f"the lengths differ ({said}); they must be the same")
    return next(iter(lengths.values()))

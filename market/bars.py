"""One bar of every symbol as a record array: what policies, aggregation and fills read."""

from typing import Any

import numpy as np
import numpy.typing as npt

BAR = np.dtype(
    [
        ("open", np.float64),
        ("high", np.float64),
        ("low", np.float64),
        ("close", np.float64),
        ("volume", np.float64),
        ("open_ns", np.int64),
        ("close_ns", np.int64),
        ("present", np.bool_),
    ]
)
"""Prices in the instrument's currency per unit, volume in units, times in UTC nanoseconds. Where ``present`` is False
the symbol had no bar and nothing else of the row means anything."""

BarArray = npt.NDArray[Any]


def empty_bars(*shape: int) -> BarArray:
    """Return bars of this shape, none of them present."""
    return np.zeros(shape, dtype=BAR)

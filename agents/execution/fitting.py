"""Fits the slippage model on past orders: gradient boosting of what the spread model missed, exported to ONNX.

Friedman 2001, "Greedy Function Approximation: A Gradient Boosting Machine". A fitted model is used only where it beat
the spread model walk-forward by more than a standard error. It runs as a process of its own (``python -m``),
observations in and the model out as JSON: its libraries cost 150 MB, which end with it.
"""

import base64
import math
import sys
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from agents.execution.slippage import FEATURES, LEAF_BPS, SlippageModel, WalkForward

NEEDED = 100  # orders with executions
MOST = 50_000  # newest orders that a fit reads
FOLDS = 5
CLIPPED = (1.0, 99.0)  # percentiles to which a fit's targets are clipped
METHOD = "gradient boosting of the spread model's error"

Floats = npt.NDArray[np.float64]


class Observation(msgspec.Struct, frozen=True, array_like=True):
    """An order with executions: when it was decided, its features in the order of FEATURES, what was obtained (bps)."""

    engine_ns: int
    features: list[float]
    obtained_bps: float


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the fitting process reads."""

    version: int
    fitted_through_ns: int
    observations: list[Observation]


def fit(request: Request) -> SlippageModel:
    """Return the model of these observations, without ONNX where the spread model is the better one.

    The order of the observations does not matter; the same ones give the same bytes.

    Raises
    ------
    ValueError
        with fewer than 100 observations, or a number that is not finite.
    """
    given = sorted(request.observations, key=lambda each: (each.engine_ns, each.features, each.obtained_bps))[-MOST:]
    if len(given) < NEEDED:
        raise ValueError(f"{len(given)} orders with executions are too few for a slippage model; it needs {NEEDED}")
    x = np.array([each.features for each in given], dtype=np.float32).astype(np.float64)
    missed = np.array([each.obtained_bps for each in given]) - x[:, FEATURES.index("spread_bps")]
    if not (np.isfinite(x).all() and np.isfinite(missed).all()):
        raise ValueError("an order's features or slippage are not finite numbers")
    walked = walk_forward(x, missed)
    better = walked.gain > walked.gain_error
    return SlippageModel(
        version=request.version,
        features=list(FEATURES),
        onnx=base64.b64encode(to_onnx(_fitted(x, _clipped(missed, missed)))).decode() if better else "",
        observations=len(given),
        fitted_through_ns=request.fitted_through_ns,
        walk_forward=walked,
        method=METHOD,
    )


def walk_forward(x: Floats, missed: Floats) -> WalkForward:
    """Forecast the second half of the orders, fold by fold, each from a fit on all orders before it.

    Parameters
    ----------
    x : f8 [n, features], in the order of the decisions.
    missed : f8 [n], what was obtained less the spread model's forecast, basis points.
    """
    targets, forecasts = [], []
    for first, last in pairwise(np.linspace(len(x) // 2, len(x), FOLDS + 1).astype(int)):
        past = missed[:first]
        targets.append(_clipped(missed[first:last], past))
        forecasts.append(_fitted(x[:first], _clipped(past, past)).predict(x[first:last]))
    actual = np.concatenate(targets)
    errors = actual - np.concatenate(forecasts)
    gains = (actual**2 - errors**2).tolist()
    mean = math.fsum(gains) / len(gains)
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in gains) / (len(gains) - 1))
    return WalkForward(
        folds=FOLDS,
        orders=len(gains),
        model_rmse=_rounded(np.sqrt(np.mean(errors**2))),
        spread_rmse=_rounded(np.sqrt(np.mean(actual**2))),
        model_mae=_rounded(np.mean(np.abs(errors))),
        spread_mae=_rounded(np.mean(np.abs(actual))),
        gain=_rounded(mean),
        gain_error=_rounded(deviation / math.sqrt(len(gains))),
    )


def _rounded(value: Any) -> float:
    return round(float(value), 6)


def _clipped(values: Floats, past: Floats) -> Floats:
    low, high = np.percentile(past, CLIPPED)
    return np.clip(values, low, high)


def _fitted(x: Floats, target: Floats) -> Any:
    """Return shallow, slow, regularised trees: the noise of one bar is a hundred times what they look for."""
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415 - only a fit needs it

    return GradientBoostingRegressor(
        n_estimators=60, learning_rate=0.05, max_depth=2, min_samples_leaf=max(20, len(x) // 50), random_state=0
    ).fit(x, target)


def to_onnx(model: Any) -> bytes:
    """Return the model as ONNX, its leaves rounded to 1/1024 basis point: their sums are exact in float32."""
    import onnx  # noqa: PLC0415
    from skl2onnx import convert_sklearn  # noqa: PLC0415
    from skl2onnx.common.data_types import FloatTensorType  # noqa: PLC0415

    made = convert_sklearn(model, name="slippage", initial_types=[("features", FloatTensorType([None, len(FEATURES)]))])
    [trees] = [node for node in made.graph.node if node.op_type == "TreeEnsembleRegressor"]
    for attribute in trees.attribute:
        if attribute.name in {"target_weights", "base_values"}:
            attribute.floats[:] = [round(each * LEAF_BPS) / LEAF_BPS for each in attribute.floats]
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString(deterministic=True))


def main() -> int:
    """Read a request, write the model."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    sys.stdout.buffer.write(msgspec.json.encode(fit(request)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

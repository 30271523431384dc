"""What an execution may be expected to cost: features known at the decision, the spread model, the fitted model's form.

The spread model is the fill model's own cost at the volume to be expected: half the spread plus the square-root impact.
A fitted model corrects it: a forecast is the spread model's plus what the model adds. All of it is plain arithmetic,
and a fitted model's leaves are whole multiples of 1/1024 basis point, so that their float32 sums are exact in any
order: the same model and the same decision give the same bits on every machine.
"""

import base64
import binascii
import hashlib
import math
from typing import Any

import msgspec

NAME = "slippage"
SPREAD = "spread"
"""The name of the model that every station has: half the spread plus the impact, as the fill model has them."""
FEATURES = (
    "side", "size", "sigma_bps", "half_spread_bps", "spread_bps", "minute", "asset_class", "interval_s",
)  # fmt: skip
"""Order of a model's inputs. ``size`` is the order's quantity in average bar volumes, ``minute`` of the session."""

ASSET_CLASSES = ("equity", "etf", "index", "crypto")
LEAF_BPS = 1024  # a leaf is a whole number of so many parts of a basis point
MOST_BARS = 1e6  # as the fill model caps it: a sliver of volume must cost no infinity
MINUTE_NS = 60_000_000_000


class SlippageError(ValueError):
    """One sentence: which model, and what is wrong with it."""


class WalkForward(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Errors out of sample, in basis points, each fold forecast by a fit on all before it.

    ``gain`` is the mean of the spread model's squared error less the fitted one's, ``gain_error`` its standard error;
    targets are clipped to the 1st and 99th percentile of the fold's past, so that no overnight gap decides.
    """

    folds: int
    orders: int
    model_rmse: float
    spread_rmse: float
    model_mae: float
    spread_mae: float
    gain: float
    gain_error: float


class SlippageModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fitted slippage model; without ``onnx`` it says that the spread model is the better one.

    ``onnx`` is base64: one input float32 [n, features], one output float32 [n, 1], what to add to the spread model's
    forecast in basis points.
    """

    version: int
    features: list[str]
    onnx: str
    observations: int
    fitted_through_ns: int
    walk_forward: WalkForward | None
    method: str

    @property
    def label(self) -> str:
        """NAME@VERSION, "spread" where the spread model is the better one."""
        return f"{NAME}@{self.version}" if self.onnx else SPREAD


def spread_bps(*, price: float, tick: float, half_spread: float, impact_eta: float, sigma: float, bars: float) -> float:
    """Return half the spread plus the impact in basis points of the price (engine/fills.py, Almgren et al. 2005).

    Parameters
    ----------
    price, tick : in the instrument's currency.
    half_spread : as a fraction of the price; half a tick where that is more.
    sigma : deviation of the bar returns.
    bars : the order's quantity in average bar volumes.
    """
    if not price > 0.0:
        return 0.0
    half = max(0.5 * tick / price, half_spread)
    impact = min(impact_eta * sigma * math.sqrt(min(max(bars, 0.0), MOST_BARS)), 1.0)
    return (half + impact) * 1e4


def features(
    *, side: int, quantity: float, price: float, row: Any, costs: Any, asset_class: str, now_ns: int
) -> dict[str, float]:
    """Return what is known of an order at its decision, by the names of ``FEATURES``.

    Parameters
    ----------
    side : +1 buys, -1 sells.
    quantity, price : in units, and the decision's price.
    row, costs : rows of engine.layout.SYMBOL and COSTS, as the decision left them.
    """
    average, sigma = float(row["volume_average"]), float(row["sigma"])
    bars = quantity / average if average > 0.0 else 0.0
    tick, half_spread, eta = float(row["tick"]), float(costs["half_spread"]), float(costs["impact_eta"])
    half = max(0.5 * tick / price, half_spread) if price > 0.0 else half_spread
    return {
        "side": float(side),
        "size": bars,
        "sigma_bps": sigma * 1e4,
        "half_spread_bps": half * 1e4,
        "spread_bps": spread_bps(
            price=price, tick=tick, half_spread=half_spread, impact_eta=eta, sigma=sigma, bars=bars
        ),
        "minute": float((now_ns - int(row["session_open_ns"])) // MINUTE_NS),
        "asset_class": float(ASSET_CLASSES.index(asset_class)) if asset_class in ASSET_CLASSES else -1.0,
        "interval_s": float(int(row["interval_ns"]) // 1_000_000_000),
    }


def decode(content: bytes, sha256: str) -> SlippageModel:
    """Return the model that an artefact holds.

    Raises
    ------
    SlippageError
        if it is no model, does not have the hash that it names, or reads features that this version does not make.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SlippageError("the slippage model does not have the hash that it names")
    try:
        model = msgspec.json.decode(content, type=SlippageModel)
        base64.b64decode(model.onnx, validate=True)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise SlippageError(f"this is no slippage model: {error}") from error
    if model.onnx and tuple(model.features) != FEATURES:
        raise SlippageError(
            f"{model.label} reads {', '.join(model.features)}; this version gives {', '.join(FEATURES)}"
        )
    return model

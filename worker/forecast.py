"""What each order is expected to cost, said in the batch of its intent: by the fitted model, else the spread model.

A forecast decides nothing. It is made inside the step all the same: it is on the disk before the broker hears of the
order, and a replay makes it again and compares it. The model is an input of the journal, its arithmetic exact.
"""

import base64
from typing import Any

import msgspec
import numpy as np

from agents.execution.slippage import FEATURES, NAME, SPREAD, SlippageError, SlippageModel, decode, features
from engine.engine import Engine
from events.types import ForecastEvent, ModelEvent, OrderEvent

AGENT = "execution"


class Forecaster:
    """The slippage models in force and to come; onnxruntime is loaded with the first of them."""

    def __init__(self) -> None:
        self._events: list[ModelEvent] = []
        self._loaded: list[tuple[int, SlippageModel, Any]] = []  # from when on, the model, its session

    def take(self, event: ModelEvent, now_ns: int) -> str:
        """Take a fitted model, in force from its effective_from but not before now; return why not, or ""."""
        if event.name != NAME or event.outcome != "fitted":
            return ""
        try:
            loaded = _load(event, now_ns)
        except SlippageError as error:
            return f"{event.occurrence}: {error}; forecasts stay as they were"
        self._events.append(msgspec.structs.replace(event, effective_from_ns=loaded[0]))
        self._loaded.append(loaded)
        return ""

    def forecast(self, engine: Engine, order: OrderEvent) -> ForecastEvent:
        """Return what an order is expected to cost, from the engine's tables as its decision left them."""
        universe = engine.state.universe
        i = universe.index[order.symbol]
        known = engine.state.orders.get(order.order_id)
        given = features(
            side=1 if order.side == "BUY" else -1,
            quantity=order.lots * universe.lot_sizes[i],
            price=order.expected_price,
            row=universe.symbols[i],
            costs=engine.state.costs[0],
            asset_class=universe.instruments[i].asset_class,
            now_ns=order.engine_ns,
        )
        model, session = self._in_force(order.engine_ns)
        return ForecastEvent(
            engine_ns=order.engine_ns,
            order_id=order.order_id,
            parent_id=known.parent_id if known is not None else "",
            symbol=order.symbol,
            features=given,
            spread_bps=given["spread_bps"],
            forecast_bps=given["spread_bps"] + _correction(session, given),
            model=SPREAD if model is None else model.label,
        )

    def _in_force(self, now_ns: int) -> tuple[SlippageModel | None, Any]:
        """Return the newest model that has begun; those before it are forgotten."""
        while len(self._loaded) > 1 and self._loaded[1][0] <= now_ns:
            del self._loaded[0], self._events[0]
        if not self._loaded or self._loaded[0][0] > now_ns:
            return None, None
        return self._loaded[0][1:]

    def keep(self) -> list[bytes]:
        """Return the models for a snapshot."""
        return [msgspec.json.encode(event) for event in self._events]

    def restore(self, kept: list[bytes]) -> None:
        """Continue from a snapshot.

        Raises
        ------
        agents.execution.slippage.SlippageError
            if a model that was taken once cannot be loaded any more.
        """
        self._events = [msgspec.json.decode(raw, type=ModelEvent) for raw in kept]
        self._loaded = [_load(event, 0) for event in self._events]


def _load(event: ModelEvent, now_ns: int) -> tuple[int, SlippageModel, Any]:
    model = decode(bytes(event.content), event.sha256)
    return max(event.effective_from_ns, now_ns), model, _session(model) if model.onnx else None


def _session(model: SlippageModel) -> Any:
    """Return a session on one thread that gives one finite number for a decision's features.

    Raises
    ------
    SlippageError
        if the runtime cannot load it, or it gives something else.
    """
    import onnxruntime  # noqa: PLC0415 - 26 MB that a worker without a model does not carry

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            base64.b64decode(model.onnx), options, providers=["CPUExecutionProvider"]
        )
        [made] = session.run(None, {session.get_inputs()[0].name: np.zeros((1, len(FEATURES)), dtype=np.float32)})
        fits = made.shape == (1, 1) and bool(np.isfinite(made).all())
    except Exception as error:  # the runtime has its own errors, none of them a class that it exports
        raise SlippageError(f"{model.label} cannot be loaded: {error}") from error
    if not fits:
        raise SlippageError(f"{model.label} does not give one number for a decision")
    return session


def _correction(session: Any, given: dict[str, float]) -> float:
    if session is None:
        return 0.0
    row = np.array([[given[name] for name in FEATURES]], dtype=np.float32)
    return float(session.run(None, {session.get_inputs()[0].name: row})[0][0, 0])

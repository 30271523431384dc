"""A refit of the slippage model: the journal's executed orders go to a process that fits, its model comes back."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from agents.execution.fitting import NEEDED, Observation, Request
from agents.execution.orders import Collector, ExecutedOrder
from agents.execution.slippage import FEATURES, SlippageModel
from agents.settled import JournalBehindError
from events.children import bound_to_us
from events.reader import JournalReader

FIT_S = 50.0  # a replay waits 60 s for the word
ROOT = Path(__file__).resolve().parents[2]


class Refit(NamedTuple):
    """What a refit found; ``model`` is None with too few orders, ``reason`` says in one sentence what was found."""

    model: SlippageModel | None
    reason: str


def observations(orders: list[ExecutedOrder]) -> list[Observation]:
    """Return what executed orders tell: one observation an order, all its executions together."""
    return [
        Observation(order.engine_ns, [order.features[name] for name in FEATURES], order.slippage_bps)
        for order in orders
        if order.slippage_bps is not None and order.features.keys() >= set(FEATURES)
    ]


def read_orders(journal: Path, *, through_seq: int) -> list[ExecutedOrder]:
    """Return the orders that the records up to ``through_seq`` tell of, in order-id order; each slice is one.

    Raises
    ------
    agents.settled.JournalBehindError
        if the journal ends before it.
    events.segments.JournalDamaged
        if a record does not hold.
    """
    collector, last = Collector(), -1
    for record in JournalReader(journal).read():
        if record.seq > through_seq:
            break
        last = record.seq
        collector.take(record)
    if last < through_seq:
        raise JournalBehindError(f"the execution journal ends at {last}, before {through_seq}")
    return sorted(collector.orders.values(), key=lambda order: order.order_id)


def refit(journal: Path, *, through_seq: int, version: int, fitted_through_ns: int) -> Refit:
    """Fit on all orders that were executed so far.

    Raises
    ------
    RuntimeError
        if the fitting process failed; subprocess.TimeoutExpired if it took too long.
    """
    found = observations(read_orders(journal, through_seq=through_seq))
    if len(found) < NEEDED:
        return Refit(None, f"executed orders: {len(found)}; {NEEDED} are needed")
    request = Request(version=version, fitted_through_ns=fitted_through_ns, observations=found)
    model = msgspec.json.decode(_run(msgspec.json.encode(request)), type=SlippageModel)
    walked = model.walk_forward
    if walked is None:
        raise RuntimeError("the fitting process gave a model that nobody tested")
    verdict = "better than" if model.onnx else "not better than"
    return Refit(
        model,
        f"executed orders: {len(found)}; walk-forward over {walked.orders} {verdict} the spread model: error "
        f"{walked.model_rmse:.3f} against {walked.spread_rmse:.3f} bp (root mean square), squared "
        f"{walked.gain:.3f} +- {walked.gain_error:.3f} bp2 less",
    )


def _run(request: bytes) -> bytes:
    done = subprocess.run(
        bound_to_us([sys.executable, "-m", "agents.execution.fitting"]),
        input=request, capture_output=True, check=False, timeout=FIT_S, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the fitting process failed: {done.stderr.decode(errors='replace')[-500:].strip()}")
    return done.stdout

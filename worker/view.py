"""The worker's whole view: the engine's part and what only the worker knows. docs/architecture.md names every key."""

from typing import Any

from worker.machine import Machine

LAST_VIEW = "worker-view.json"
"""File below DATA/run that a worker leaves when it ends: its last view."""

EMPTY_ACCOUNT: dict[str, Any] = {}


class Arrivals:
    """When the feed was last heard, on the wall and by symbol."""

    def __init__(self) -> None:
        self.last_ns = 0
        self.by_symbol: dict[str, int] = {}


def build(machine: Machine, arrivals: Arrivals, own: dict[str, Any]) -> dict[str, Any]:
    """Return the view.

    Parameters
    ----------
    own : the worker's part: wall_ns, seq, run, killed, failed, tick_to_order_ms, journal.
    """
    projection = machine.projection
    shown: dict[str, Any] = {
        "seq": own["seq"],
        "run": own["run"],
        "engine_ns": machine.engine_ns,
        "wall_ns": own["wall_ns"],
        "mode": "PAPER",
        "operators": 1 if machine.configuration is None else machine.configuration.operators,
        "state": "UNCONFIGURED",
        "killed": [],
        "configuration": 0,
        "reconciled": False,
        "account": EMPTY_ACCOUNT,
        "positions": {},
        "strategies": {},
        "symbols": {},
        "phases": {},
    }
    if machine.engine is not None:
        shown |= machine.engine.view()
    shown["source"] = _source(machine, arrivals)
    _strategies(shown["strategies"], machine)
    for symbol, row in shown["symbols"].items():
        row["arrival_ns"] = arrivals.by_symbol.get(symbol, 0)
    shown |= projection.latest()
    shown["counts"] = _counts(machine)
    shown["by_strategy"] = projection.by_strategy
    shown["orders_sha256"] = projection.digest.hexdigest()
    return shown | own


def _source(machine: Machine, arrivals: Arrivals) -> dict[str, Any]:
    source = None if machine.configuration is None else machine.configuration.source
    return {
        "feed": source.feed if source is not None else "",
        "label": source.label if source is not None else None,
        "detail": source.detail if source is not None else "",
        "interval_s": source.interval_s if source is not None else None,
        "ended": machine.ended,
        "last_arrival_ns": arrivals.last_ns,
        "last_close_ns": machine.last_close_ns,
    }


def _strategies(strategies: dict[str, Any], machine: Machine) -> None:
    projection = machine.projection
    for name, row in strategies.items():
        counted = projection.by_strategy.get(name, {})
        row["orders"], row["fills"] = counted.get("orders", 0), counted.get("fills", 0)
        row["denied"] = projection.denied_by.get(name, 0)


def _counts(machine: Machine) -> dict[str, Any]:
    counts = machine.projection.counts
    return {
        "bars": counts.bars,
        "slices": counts.slices,
        "orders": counts.orders,
        "denied": counts.denied,
        "fills": counts.fills,
        "alerts": counts.alerts,
        "refused": counts.refused,
        "late": counts.refused.get("LATE", 0),
        "gaps": machine.validator.counts["GAP"],
    }

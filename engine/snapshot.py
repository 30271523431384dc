"""The engine's state as bytes: tables as they lie in memory, lists as MessagePack."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine import breakers, clock, opinions, rounds, vetoes
from engine.allocation import Allocation
from engine.configuration import Configuration
from engine.fills import Taken
from engine.orders import Order
from engine.parents import Parent

if TYPE_CHECKING:
    from engine.engine import Engine


class SnapshotError(ValueError):
    """The bytes are not a snapshot, or one of another layout."""


class Packed(msgspec.Struct, kw_only=True):
    """A snapshot; ``tables`` by name, each with its dtype's description and its bytes."""

    configuration: bytes
    tables: dict[str, tuple[str, bytes]]
    orders: list[Order]
    closed_orders: list[Order]
    order_count: int
    version: int
    killed: list[str]
    warned: bool
    flattening: list[str]
    interrupted: int
    taken: Taken
    trips: list[breakers.Trip]
    vetoes: vetoes.Kept
    opinions: opinions.Kept
    clock: clock.Kept
    parents: list[Parent] = []
    parent_count: int = 0
    financing: dict[str, int] = {}
    allocation: Allocation | None = None
    allocation_version: int = 0
    scheduled: rounds.Kept = msgspec.field(default_factory=rounds.Kept)


def _tables(engine: "Engine") -> dict[str, Any]:
    state, universe = engine.state, engine.state.universe
    tables = {
        "symbols": universe.symbols, "session_open": universe.session_open_ns,
        "session_close": universe.session_close_ns,
        "books": state.books, "strategies": state.strategies, "account": state.account,
        "costs": state.costs, "limits": state.limits, "rates": universe.rates,
    }  # fmt: skip
    tables |= state.guards.kept()
    for interval, aggregate in state.aggregates.items():
        tables[f"buckets.{interval}"] = aggregate.buckets
    for run in state.runs:
        for name in ("state", "targets", "scores", "features"):
            tables[f"policy.{run.policy.name}.{name}"] = getattr(run, name)
    return tables


def pack(engine: "Engine") -> bytes:
    """Return the engine's whole state."""
    state = engine.state
    return msgspec.msgpack.encode(Packed(
        configuration=msgspec.json.encode(state.configuration),
        tables={name: (str(table.dtype.descr), table.tobytes()) for name, table in _tables(engine).items()},
        orders=list(state.orders.values()), closed_orders=list(state.closed_orders.values()),
        order_count=state.order_count,
        version=state.version, killed=engine.control.killed, warned=engine.control.warned,
        flattening=engine.control.flattening, interrupted=engine.control.interrupted, taken=state.taken,
        trips=engine.control.trips, vetoes=engine.vetoes.keep(),
        opinions=engine.opinions.keep(), clock=engine.clock.keep(),
        parents=list(state.parents.values()), parent_count=state.parent_count,
        financing=engine.financing.due,
        allocation=state.allocation, allocation_version=state.allocation_version,
        scheduled=engine.rounds.kept,
    ))  # fmt: skip


def unpack(content: bytes) -> tuple[Configuration, Callable[["Engine"], None]]:
    """Return the snapshot's configuration, and what lays the rest over an engine made from it.

    Raises
    ------
    SnapshotError
        if the bytes are no snapshot, or a table has another layout than this version's.
    """
    try:
        packed = msgspec.msgpack.decode(content, type=Packed)
        configuration = msgspec.json.decode(packed.configuration, type=Configuration)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"this is no snapshot of the engine: {error}") from error

    def fill_in(engine: "Engine") -> None:
        for name, table in _tables(engine).items():
            _lay(name, table, packed.tables.get(name))
        state = engine.state
        state.orders = {order.order_id: order for order in packed.orders}
        state.closed_orders = {order.order_id: order for order in packed.closed_orders}
        state.order_count, state.version = packed.order_count, packed.version
        state.parents = {parent.parent_id: parent for parent in packed.parents}
        state.parent_count = packed.parent_count
        state.crossing = bool(state.books["crossing"].any())
        engine.control.killed, engine.control.warned = packed.killed, packed.warned
        engine.control.flattening, engine.control.interrupted = packed.flattening, packed.interrupted
        state.taken = packed.taken
        engine.control.trips = packed.trips
        engine.vetoes.restore(packed.vetoes)
        engine.opinions.restore(packed.opinions)
        engine.clock.restore(packed.clock)
        engine.financing.due = packed.financing
        state.allocation, state.allocation_version = packed.allocation, packed.allocation_version
        engine.rounds.kept = packed.scheduled

    return configuration, fill_in


def _lay(name: str, table: Any, given: tuple[str, bytes] | None) -> None:
    if given is None or given[0] != str(table.dtype.descr) or len(given[1]) != table.nbytes:
        raise SnapshotError(f"table {name} of the snapshot has another layout than this version's")
    table.flat[:] = np.frombuffer(given[1], dtype=table.dtype)

"""What must hold after a start and at the end, one function a sentence; each raises Finding."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from events.codec import decode_payload
from events.reader import JournalReader, Stored, verify
from events.types import ControlEvent, FillEvent, MarketSlice, OrderEvent
from tests.simulation.exchange import held
from tests.simulation.limits import check_limits
from tests.simulation.world import Finding
from worker.machine import Machine
from worker.reconcile import difference
from worker.resume import ReplayDiffersError, resume

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

FEED_STREAM = "market.simulated"


class FromTheBeginning(JournalReader):
    """Reads a journal as if it held no snapshot."""

    def last_of(self, *types: str, before: int | None = None) -> Stored | None:
        return None if "SnapshotEvent" in types else super().last_of(*types, before=before)


def check_start(sim: "Simulation") -> None:
    """After a start: what reached a broker or the bus before the crash is in what the disk kept."""
    if sim.submitted or sim.bus.told:
        records = list(JournalReader(sim.folder).stored())
        intents_on_disk(sim, [stored.record for stored in records])
        nothing_told_that_is_not_there(sim, [stored.record for stored in records])


def check_end(sim: "Simulation") -> None:
    """Look at what a seed leaves."""
    chain_holds(sim.folder)
    records = [stored.record for stored in JournalReader(sim.folder).stored()]
    payloads = [(record.type, decode_payload(record.type, record.payload)) for record in records]
    fills = [payload for kind, payload in payloads if kind == "FillEvent"]
    sim.script.counts["fills"] = len(fills)
    sim.script.counts["records"] = len(records)
    sim.script.counts["denied"] = sum(
        kind == "OrderEvent" and payload.state == "RISK_DENIED" for kind, payload in payloads
    )
    intents_on_disk(sim, records)
    nothing_told_that_is_not_there(sim, records)
    fills_once(fills)
    machine = replay_gives_the_same(sim)
    nothing_lost(sim, [payload for kind, payload in payloads if kind == "MarketSlice"])
    requests_once([payload for kind, payload in payloads if kind == "ControlEvent"])
    kill_latch_is_the_journals(sim, [payload for kind, payload in payloads if kind == "ControlEvent"])
    check_limits(payloads)
    books_agree(sim, machine, fills)
    reserved_is_open(sim)
    nothing_works_unknown(sim)
    nothing_killed_works(sim)


def chain_holds(folder: Path) -> None:
    """The chain is valid, every byte of it."""
    found = verify(folder, "execution")
    if not found.ok:
        raise Finding("chain", str(found.first_bad))


def intents_on_disk(sim: "Simulation", records: list[Any]) -> None:
    """No order reached the broker without its intent on the disk that survived."""
    there = {order.order_id for order in _orders(records) if order.state == "INTENT"}
    lost = [order_id for order_id in sim.submitted if order_id not in there]
    if lost:
        raise Finding("intent before order", f"{lost} reached the broker, and their intents are not in the journal")


def nothing_told_that_is_not_there(sim: "Simulation", records: list[Any]) -> None:
    """Nobody was told of what the journal does not hold."""
    by_seq = {record.seq: record for record in records}
    for told_id, payload in sim.bus.told.items():
        kind, _, number = told_id.partition(":")
        if kind != "execution":
            continue
        record = by_seq.get(int(number))
        if record is None or bytes(record.payload) != payload:
            raise Finding("told after written", f"{told_id} was published and is not in the journal")


def fills_once(fills: list[FillEvent]) -> None:
    """Every execution is in the journal once."""
    double = [key for key, count in Counter(fill.execution_id for fill in fills).items() if count > 1]
    if double:
        raise Finding("fills once", f"{double} were journaled more than once")


def replay_gives_the_same(sim: "Simulation") -> Machine:
    """A replay of the journal from record 0 gives the same records, byte for byte."""
    machine = Machine(sim.replay_broker) if sim.replay_broker else Machine()
    try:
        done = resume(machine, FromTheBeginning(sim.folder), {"simulation": "one process"})
    except ReplayDiffersError as error:
        raise Finding("replay", str(error)) from error
    if not done.exact:
        raise Finding("replay", "it was not compared byte for byte")
    live = sim.core.machine if sim.core is not None else None
    if live is not None and live.engine is not None and machine.engine is not None:
        same = live.engine.view() == machine.engine.view()
        if not same:
            raise Finding("replay", "the engine that lived shows another state than the one that was replayed")
    return machine


def nothing_lost(sim: "Simulation", slices: list[MarketSlice]) -> None:
    """Every slice that the feed sent was taken, once and in order, unless the bus lost it."""
    positions = [market.position for market in slices]
    if len(set(positions)) != len(positions) or positions != sorted(positions, key=_number):
        raise Finding("slices once", f"taken: {positions}")
    if sim.bus.emptied or not sim.script.over:
        return
    missing = [position for position in sim.script.sent if position not in set(positions)]
    if missing:
        raise Finding("no slice lost", f"{missing[:5]} of {len(sim.script.sent)} were sent and are not in the journal")


def requests_once(controls: list[ControlEvent]) -> None:
    """A request that came twice was taken once."""
    double = [key for key, count in Counter(event.request_id for event in controls).items() if count > 1]
    if double:
        raise Finding("requests once", f"{double} are in the journal more than once")


def kill_latch_is_the_journals(sim: "Simulation", controls: list[ControlEvent]) -> None:
    """KILLED is what the journal's kills and releases say, and every kill that was told is among them."""
    latched: set[str] = set()
    for event in controls:
        if event.action == "kill":
            latched.add("all" if event.scope in {"all", "account"} else f"{event.scope}:{event.target}")
        elif event.action == "release":
            latched.clear()
    core = sim.core
    if core is None:
        return
    if core.machine.killed != latched:
        raise Finding("KILLED stays", f"the journal says {sorted(latched)}, the worker {sorted(core.machine.killed)}")
    sim.oracle.check_started(core.switch.words & latched)


def books_agree(sim: "Simulation", machine: Machine, fills: list[FillEvent]) -> None:
    """Positions, cash and fees are the broker's fills; the worker's reconciliation sees the same."""
    engine, core = machine.engine, sim.core
    if engine is None or core is None or core.machine.engine is None or sim.exchange.foreign:
        return
    ours = _lots(engine)
    if ours != {symbol: lots for symbol, lots in held(fills).items() if lots}:
        raise Finding("books", f"positions {ours} are not the journal's fills")
    fees, cash = int(engine.state.account[0]["fees_micro"]), int(engine.state.account[0]["cash_micro"])
    if fees != sum(fill.fee_micro for fill in fills):
        raise Finding("books", f"fees {fees} are not the sum of the fills'")
    spent = sum((1 if fill.side == "BUY" else -1) * fill.lots * fill.price_micro + fill.fee_micro for fill in fills)
    if cash != 1_000_000_000_000 - spent:
        raise Finding("books", f"cash {cash} is not what the fills leave")
    if sim.script.on_exchange:
        _exchange_agrees(sim, ours, cash)
    different = difference(core.machine)
    if not different and not core.machine.reconciled:
        raise Finding("reconciled", "everything agrees and the station still says UNRECONCILED")
    if different and core.machine.reconciled:
        raise Finding("reconciled", f"the station says that all agrees, and {different}")


def _exchange_agrees(sim: "Simulation", ours: dict[str, int], cash: int) -> None:
    theirs = {symbol: lots for symbol, lots in sim.exchange.lots.items() if lots}
    if ours != theirs or cash != sim.exchange.cash_micro:
        raise Finding(
            "books", f"the station has {ours} and {cash}, the exchange {theirs} and {sim.exchange.cash_micro}"
        )


def reserved_is_open(sim: "Simulation") -> None:
    """What is reserved is what open orders may still fill, in lots."""
    core = sim.core
    if core is None or core.machine.engine is None:
        return
    state = core.machine.engine.state
    for instrument, row in zip(state.universe.instruments, state.universe.symbols, strict=True):
        for side, column in (("BUY", "working_buy"), ("SELL", "working_sell")):
            open_orders = [o for o in state.orders.values() if o.symbol == instrument.symbol and o.side == side]
            left = sum(order.lots - order.filled_lots for order in open_orders)
            if left != int(row[column]):
                raise Finding("reservations", f"{instrument.symbol} {side}: {int(row[column])} reserved, {left} open")


def nothing_works_unknown(sim: "Simulation") -> None:
    """At no time does an order work at the exchange that the station believes to have ended."""
    core = sim.core
    if core is None or core.machine.engine is None:
        return
    ended = core.machine.engine.state.closed_orders
    strange = [kept.order.order_id for kept in sim.exchange.working() if kept.order.order_id in ended]
    if strange:
        raise Finding("no orphans", f"{strange} work at the broker and have ended here")


def nothing_killed_works(sim: "Simulation") -> None:
    """In the end no order works at the broker that a kill should have cancelled."""
    core = sim.core
    if core is None or core.machine.broker is None:
        return
    for order in core.machine.broker.working():
        scopes = {"all", f"symbol:{order.symbol}", *(f"strategy:{name}" for name in order.lots_by_strategy)}
        if scopes & core.machine.killed:
            raise Finding(
                "a kill cancels", f"{order.order_id} still works under {sorted(scopes & core.machine.killed)}"
            )


def _orders(records: list[Any]) -> Iterator[OrderEvent]:
    for record in records:
        if record.type == "OrderEvent":
            yield decode_payload("OrderEvent", record.payload)


def _lots(engine: Any) -> dict[str, int]:
    names = [instrument.symbol for instrument in engine.state.universe.instruments]
    return {
        name: lots for name, lots in zip(names, engine.state.universe.symbols["lots"].tolist(), strict=True) if lots
    }


def _number(position: str) -> int:
    return int(position.partition("-")[0])

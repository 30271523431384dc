"""The broken functions. Each is what somebody might write; the sentence beside it says what is wrong with it."""

from typing import Any

import msgspec
import numpy as np

from engine import answers, execution
from engine.engine import Engine
from engine.output import Output
from engine.snapshot import Packed
from events import journal as journals
from events import segments
from events.journal import JournalWriter
from events.segments import Scan
from events.types import BrokerEvent, FillEvent
from worker import orders
from worker.core import Core
from worker.kill import KillSwitch
from worker.loop import Loop
from worker.machine import Machine
from worker.orders import OrderDesk

_settle, _restore, _read_kills, _commit = Core.settle, Engine.restore, KillSwitch._read, Loop._commit
_snapshot, _configured, _on_fill = Engine.snapshot, Loop._configured, Engine.on_fill
_scan_segments, _kill = segments.scan_segments, Core.kill


def settle_unsynced(self: Core, sent_ns: int = 0, *, resend: bool = False) -> None:
    sync = self.keeper.sync
    self.keeper.sync = lambda: False  # type: ignore[method-assign]
    try:
        _settle(self, sent_ns, resend=resend)
    finally:
        self.keeper.sync = sync  # type: ignore[method-assign]


def apply_sending_first(self: Core, event: Output, sent_ns: int = 0) -> None:
    with self.stepping:
        batch = self.machine.step(event)
    broker = self.machine.broker
    answers = self.desk.send(broker, list(self.machine.intents.values())) if broker is not None else []
    self.keeper.append(batch)
    for answer in answers:
        self.keeper.append(self.machine.step(Output("BrokerEvent", answer.broker, answer)))
    self.machine.catch_up()


def booked_but_the_last(self: Engine, fill: FillEvent) -> bool | None:
    order = self.state.orders.get(fill.order_id) or self.state.closed_orders.get(fill.order_id)
    return None if order is None else f"{fill.broker}:{fill.execution_id}" in order.executions[:-1]


def always_first(self: Machine, key: str) -> bool:
    self._seen[key] = None
    return True


def resend_unasked(self: OrderDesk, broker: Any, intents: Any) -> list[BrokerEvent]:
    return self.send(broker, intents)


def never_blocked(*_: Any) -> bool:
    return False


def read_with_release(self: KillSwitch, signature: object) -> None:
    if signature is None:
        self.words = frozenset()
    _read_kills(self, signature)


def cut_nothing(self: JournalWriter, segment: str, found: Scan) -> None:
    self.cut = journals.Cut(segment, 0, 0, found.tail)


def scan_halves(*given: Any, **named: Any) -> Scan | None:
    found = _scan_segments(*given, **named)
    return None if found is None else Scan(found.end, found.end, "kept")


def bus_position(self: Loop) -> None:
    """Go on where the bus was read, which another process would have kept."""
    _configured(self)
    if self._intake is None:
        return
    there = self._link._last.get(self._intake.stream, (0, 0))[0]  # type: ignore[attr-defined]
    read = int(self._market_cursor.partition("-")[0])
    if self.core.keeper.inputs and not self._queue and 0 < read < there - 1:
        self._market_cursor = self._intake.cursor = f"{read + 1}-0"


def unknown_is_rejected(broker: Any, order_id: str, reason: str) -> BrokerEvent:
    return BrokerEvent(broker=broker.name, order_id=order_id, kind="REJECTED", broker_ns=0, reason=reason)


def release_nothing(*_: Any) -> None:
    return


@staticmethod
def unreserved(content: bytes) -> Engine:
    engine = _restore(content)
    for column in ("working_buy", "working_sell"):
        engine.state.universe.symbols[column] = 0
    for column in ("working", "working_gross"):
        engine.state.books[column] = np.zeros_like(engine.state.books[column])
    return engine


def without_orders(self: Engine) -> bytes:
    packed = msgspec.msgpack.decode(_snapshot(self), type=Packed)
    return msgspec.msgpack.encode(msgspec.structs.replace(packed, orders=[]))


def sync_retried(self: JournalWriter) -> None:
    try:
        self._disk.fdatasync(self._fd)
    except OSError:
        self._disk.fdatasync(self._fd)
    self._confirm()


@staticmethod
def unlimited(content: bytes) -> Engine:
    engine = _restore(content)
    for name in ("max_order_value", "max_position", "max_gross"):
        engine.state.limits[0][name] = 1e9
    return engine


def told_first(self: Loop, *, last: bool = False) -> None:
    keeper = self.core.keeper
    self._link.tell(keeper.outbox.__class__(keeper._staged), {})
    _commit(self, last=last)


def latch_nothing(self: KillSwitch, words: Any) -> None:
    """Rely on the kill file alone."""


def no_late_fills(self: Engine, event: FillEvent) -> list[Output]:
    return [] if event.order_id in self.state.closed_orders else _on_fill(self, event)


def kill_without_cancels(self: Core, request: Any) -> int:
    self.desk.cancel, cancel = lambda *_: [], self.desk.cancel  # type: ignore[method-assign]
    try:
        return _kill(self, request)
    finally:
        self.desk.cancel = cancel  # type: ignore[method-assign]


def cancel_forgotten(self: Engine, event: BrokerEvent) -> list[Output]:
    order = self.state.orders.get(event.order_id)
    if order is not None:
        order.canceling = ""
    return answers.on_broker(self.state, event, self.now_ns)


def cache_believed(self: JournalWriter) -> None:
    """Trust the page cache after a failed sync."""


ALL: tuple[tuple[str, str, Any, str, Any, int], ...] = (
    ("sync dropped", "orders leave before their intents are synced", Core, "settle", settle_unsynced, 20),
    ("intent after order", "the intent is journaled after the order has left", Core, "apply", apply_sending_first, 20),
    ("fill dedupe off by one", "an order's last fill is not recognised", Engine, "booked", booked_but_the_last, 40),
    ("request dedupe dropped", "a request that comes twice is taken twice", Machine, "_first", always_first, 40),
    ("resend without asking", "after a crash orders are sent again at once", OrderDesk, "resend", resend_unasked, 60),
    ("kill check dropped", "no look at the kill before the broker is called", orders, "blocks", never_blocked, 100),
    ("deleting releases", "a kill file that vanishes lifts the kill", KillSwitch, "_read", read_with_release, 60),
    ("torn tail accepted", "what follows the last batch stays in place", JournalWriter, "_cut", cut_nothing, 100),
    ("half a batch kept", "records of a batch without its end count", journals, "scan_segments", scan_halves, 60),
    ("position before journal", "the bus is read on from where it was read", Loop, "_configured", bus_position, 60),
    ("unknown is rejected", "a time-out counts as a refusal", orders, "_unknown", unknown_is_rejected, 60),
    ("reservation kept", "an ended order stays reserved", execution, "release_rest", release_nothing, 40),
    ("reservation lost", "a snapshot brings back no reservation", Engine, "restore", unreserved, 60),
    ("snapshot without orders", "a snapshot leaves out open orders", Engine, "snapshot", without_orders, 60),
    ("sync retried", "a failed fdatasync is called again and believed", JournalWriter, "sync", sync_retried, 60),
    ("limits forgotten", "a start goes on with other limits", Engine, "restore", unlimited, 60),
    ("told before synced", "events are published before they are synced", Loop, "_commit", told_first, 60),
    ("latch forgotten", "a start believes the kill file alone", KillSwitch, "latch", latch_nothing, 60),
    ("late fills dropped", "an execution on an ended order is ignored", Engine, "on_fill", no_late_fills, 60),
    ("kill without cancels", "a kill blocks and cancels nothing", Core, "kill", kill_without_cancels, 60),
    ("cancel forgotten", "an order whose cancel got lost works on", Engine, "on_order_event", cancel_forgotten, 100),
    ("cache believed", "a start believes what a failed sync left", JournalWriter, "_write_again", cache_believed, 60),
)
"""Name, what is wrong, what is replaced by what, and within how many seeds it is found."""

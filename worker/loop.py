"""The trading thread: reads the bus, steps the core, syncs, tells.

One synchronous loop with blocking reads and no event loop: for one reader on one socket a blocking XREAD wakes the
thread straight out of the kernel, without a selector, a callback and a task switch in between. Kill file and control
socket have threads of their own.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from engine.layout import STATES
from engine.output import Output
from engine.rounds import HOLD
from events.bus import Entry
from events.codec import CodecError, decode_envelope, decode_payload, encode_payload
from events.metrics import Metrics
from events.streams import CONTROL_WORKER, REQUEST_KILL, market_stream
from events.types import ControlEvent, MarketSlice, ModelEvent
from worker.approvals import SIGNED, Gate, Used
from worker.calls import Calls
from worker.core import WORKER, Core
from worker.intake import EntriesLostError, Incoming, MarketIntake, control_input
from worker.keeper import Told
from worker.kill import Kill
from worker.ports import Bus
from worker.view import Arrivals, build

BLOCK_MS = 20
READ_AT_ONCE = 2_000
GROUP_S = 0.050  # a step waits at most this long for its sync
VIEW_S = 0.25
SECOND_S = 1.0
RECONCILE_S = 30.0
JOBS_AGAIN_S = 10.0  # a job that nobody has answered is named again
SILENCE_S = 60.0  # a replay waits this long for a model
ROUND_S = 900.0  # and this long for a round, which may compile its simulator first and be begun anew after a crash
SNAPSHOT_S, SNAPSHOT_INPUTS = 300.0, 20_000
ORIGIN = "0-0"

BY_BUS = frozenset(
    {
        "configure", "pause", "resume", "enable", "halt", "reduce", "unreconciled", "maintenance", "adopt", "ignore",
        "flatten_external", *SIGNED,
    }
)  # fmt: skip
"""Acts that an entry of control.worker may ask for, beside the kill; what loosens only with a signature of approvers.
A flatten trades: it takes the socket, a password and a code."""

log = logging.getLogger(__name__)


class Loop:
    """The worker's main loop; ``stop`` ends it after the present step."""

    def __init__(self, core: Core, link: Bus, calls: Calls, run: str, gate: Gate) -> None:
        self.core = core
        self._gate = gate
        self._clock = core.clock
        self.stopping = False
        self.failed = ""
        self._link = link
        self._calls = calls
        self._run = run
        self._queue: deque[Entry] = deque()
        self._intake: MarketIntake | None = None
        self._cursors = dict.fromkeys((CONTROL_WORKER, REQUEST_KILL), ORIGIN)
        self._market_cursor = ORIGIN
        self._lost = False
        self._gap = False
        self._waiting_since = 0.0
        self._resumed_ns = 0  # when the last job was answered for which market input had to wait
        self._arrivals = Arrivals()
        self._viewed_seq = -2
        self._due = dict.fromkeys(("view", "second", "control"), 0.0)
        self._due["jobs"] = self._clock.monotonic() + JOBS_AGAIN_S
        self._due["reconcile"] = self._clock.monotonic() + RECONCILE_S
        self._due["snapshot"] = self._clock.monotonic() + SNAPSHOT_S
        self._hello_sent = False
        self.watches: list[Callable[[], object]] = []  # what else looks around once a second
        self.metrics = Metrics("worker")

    def stop(self) -> None:
        """Finish the present step, then end."""
        self.stopping = True

    def run(self) -> None:
        """Work until stopped.

        Raises
        ------
        events.journal.JournalError
            if the disk fails: the process must end.
        """
        machine = self.core.machine
        self._cursors |= {stream: machine.positions.get(stream, ORIGIN) for stream in self._cursors}
        if machine.engine is not None:
            self.core.settle(resend=True)
            self.core.reconcile()
            self.core.tell_jobs_again()
        self._configured()
        while not self.stopping:
            self.core.kill_requested()
            self.core.take_executions()
            self._calls.serve()
            self._every_second()
            self._read()
            self._work()
            if not self._queue or self._waits() or self.core.keeper.due(GROUP_S):
                self._commit()
        self._commit(last=True)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        now = self._clock.monotonic()
        if self._queue and not self._waits():
            if now < self._due["control"]:
                return
            positions, block_ms = self._cursors, None
        else:
            positions, block_ms = dict(self._cursors), BLOCK_MS
            if self._intake is not None and not self._queue and not self._lost and not self._waits():
                positions[self._intake.stream] = self._market_cursor
        self._due["control"] = now + BLOCK_MS / 1000
        for entry in self._link.read(positions, count=READ_AT_ONCE, block_ms=block_ms):
            if entry.stream in self._cursors:
                self._cursors[entry.stream] = entry.id
                self._control(entry)
            else:
                self._market_cursor = entry.id
                self._queue.append(entry)

    def _control(self, entry: Entry) -> None:
        if entry.stream == REQUEST_KILL:
            self._kill_request(entry)
            return
        event = control_input(entry)
        if event is None:
            log.error("entry %s of %s is no control or model event", entry.id, entry.stream)
        elif self.core.machine.engine is None and event.type != "ControlEvent":
            log.error("entry %s: %s before a configuration", entry.id, event.type)
        elif event.type == "ModelEvent":
            self._model(event)
        elif event.payload.action == "kill":
            self._kill_request(entry)
        elif event.payload.action not in BY_BUS:
            self.core.refuse(event.payload, "no bus may ask for it")
        elif why := self._forged(event.payload):
            self.core.refuse(event.payload, why)
        elif event.payload.action == "release":
            if not self.core.machine.seen(event.payload.request_id):
                self.core.released_by(event)
        else:
            self.core.apply(event)
            self._configured()

    def _model(self, event: Output) -> None:
        """Take the word of a fit that the models key has given; a repeated one changes nothing."""
        model: ModelEvent = event.payload
        repeated = self.core.machine.seen(f"model:{model.occurrence}")
        if not repeated and (why := self._gate.model_refusal(model)):
            told = f"{model.name} {model.version} of {model.occurrence[:64]!r}: {why}"
            self.core.alert("FORGED_MODEL", told)
            return
        waited = self._waits()
        self.core.apply(event)
        if waited and not self._waits():
            self._resumed_ns = self._clock.utc_ns()
        self._configured()

    def _forged(self, event: ControlEvent) -> str:
        """Return why an act that loosens lacks its approval, "" where it has it or loosens nothing.

        Asked before anything is journaled: a replay of the journal steps what was let through without asking again.
        """
        if self.core.machine.seen(event.request_id):
            return ""  # a repeated entry, which changes nothing
        machine = self.core.machine
        return self._gate.refusal(
            event, machine.configuration, self._clock.utc_ns(), Used(machine.allocation, machine.engine_ns)
        )

    def _kill_request(self, entry: Entry) -> None:
        """Take whatever comes on the kill's stream as a kill: what cannot be read kills everything."""
        kill = Kill(scope="all", target="", actor="bus", reason="unreadable kill request", request_id=entry.id)
        try:
            message = decode_envelope(entry.event)
            event: ControlEvent = decode_payload("ControlEvent", message.payload)
            if event.action != "kill":
                return
            kill = Kill(
                scope=event.scope, target=event.target, actor=event.actor, reason=event.reason,
                request_id=event.request_id, ts_ns=message.timestamp,
            )  # fmt: skip
        except CodecError:
            log.exception("entry %s of %s cannot be read: everything is killed", entry.id, entry.stream)
        if not self.core.machine.seen(kill.request_id):
            self.core.switch.request(kill, "bus", f"{entry.stream} {entry.id}")
            self.core.kill_requested()

    # --- working ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        until = self._clock.monotonic() + GROUP_S
        while self._queue and not self._lost and self._intake is not None and not self._waits():
            try:
                incoming = self._intake.take(self._queue.popleft())
            except EntriesLostError as error:
                self._gap = True
                self._bus_lost(str(error))
                return
            if incoming is not None:
                self._apply(incoming)
            if self.core.switch.requests or self._calls or self.stopping or self._clock.monotonic() > until:
                return

    def _apply(self, incoming: Incoming) -> None:
        # a slice that had to wait for a job has its order's time counted from the answer: until then time stood still
        self.core.apply(incoming.event, incoming.sent_ns and max(incoming.sent_ns, self._resumed_ns))
        market = incoming.event.payload
        if isinstance(market, MarketSlice):
            self._arrivals.last_ns = incoming.sent_ns or self._clock.utc_ns()
            for bar in market.bars:
                self._arrivals.by_symbol[bar.symbol] = self._arrivals.last_ns

    def _waits(self) -> bool:
        return bool(self.core.machine.jobs) and bool(self.core.machine.waiting)

    def _configured(self) -> None:
        """Once a configuration is in force: reconcile, and know which feed to read."""
        machine = self.core.machine
        if machine.configuration is None:
            return
        if not machine.reconciled:
            self.core.reconcile()
        stream = market_stream(machine.configuration.source.feed)
        if self._intake is None or self._intake.stream != stream:
            position = self._market_cursor = machine.positions.get(stream, ORIGIN)
            self._queue.clear()
            self._intake = MarketIntake(
                stream,
                position,
                machine.stance_position,
                machine.last_close_ns,
                machine.validator_check,
                validate_quote=machine.validator_check_quote,
            )

    def _bus_lost(self, message: str) -> None:
        """Halt loudly: what the bus should still hold is gone, so whatever follows would be traded blind."""
        self._lost, self.failed = True, message
        self._queue.clear()
        self.core.alert("BUS_LOST", f"{message}: entries are missing, the station is HALTED")
        self._stay_halted()

    def _stay_halted(self) -> None:
        """Halt again after a release: it lifts a kill, not the loss, which a bus that has all again does."""
        engine = self.core.machine.engine
        if engine is not None and STATES[int(engine.state.account[0]["state"])] != "HALTED":
            self.core.control("halt", WORKER, self.failed)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _commit(self, *, last: bool = False) -> None:
        keeper = self.core.keeper
        synced = keeper.sync()
        now = self._clock.monotonic()
        changed = keeper.journal.seq != self._viewed_seq
        view = None
        if last or (changed and now >= self._due["view"]):
            view = self.view()
            self._due["view"] = now + VIEW_S
        if synced or keeper.outbox or view is not None:
            told = self._link.tell(keeper.outbox, self.core.machine.positions, view)
            if told and view is not None:
                self._viewed_seq = keeper.journal.seq
            while last and told and keeper.outbox:
                told = self._link.tell(keeper.outbox, {})

    def view(self) -> bytes:
        """Return the whole view as JSON."""
        journal, desk = self.core.keeper.journal, self.core.desk
        latency = desk.latency_ms.summary()
        own: dict[str, Any] = {
            "wall_ns": self._clock.utc_ns(),
            "seq": journal.seq,
            "run": self._run,
            "killed": sorted(self.core.switch.words | self.core.machine.killed),
            "failed": self.failed,
            "waiting": [job.occurrence for job in self.core.machine.waiting],
            "tick_to_order_ms": {name: latency.get(name) for name in ("p50", "p95", "p99", "max")}
            | {"n": int(latency["n"])},
            "journal": {"seq": journal.seq, "head": journal.head, "unsynced": self.core.keeper.unsynced},
        }
        return msgspec.json.encode(build(self.core.machine, self._arrivals, own))

    # --- every second -------------------------------------------------------------------------------------------------

    def _every_second(self) -> None:
        now = self._clock.monotonic()
        if now < self._due["second"]:
            return
        self._due["second"] = now + SECOND_S
        self._hello()
        self._check_bus()
        self._check_waiting(now)
        for watch in self.watches:
            watch()
        self.core.ask_unknown()
        if now >= self._due["reconcile"]:
            self._due["reconcile"] = now + RECONCILE_S
            self.core.reconcile()
        inputs = self.core.keeper.inputs
        if inputs >= SNAPSHOT_INPUTS or (inputs and now >= self._due["snapshot"]):
            self._due["snapshot"] = now + SNAPSHOT_S
            self.core.snapshot()
        self._link.beat(self._numbers())

    def _hello(self) -> None:
        """Ask the relay for the configuration: each second until there is one, else once."""
        version = 0 if self.core.machine.configuration is None else self.core.machine.configuration.version
        if version and self._hello_sent:
            return
        content = msgspec.Raw(msgspec.json.encode({"version": version}))
        event = ControlEvent(
            action="hello", scope="all", target="", actor=WORKER, reason="start",
            request_id=f"hello:{self._run}:{self._clock.utc_ns()}", content=content,
        )  # fmt: skip
        told = Told(event.request_id, "ControlEvent", WORKER, encode_payload(event), None, self._clock.utc_ns())
        self._hello_sent = self._link.send(told)

    def _check_bus(self) -> None:
        """Compare every stream's last id with what was read of it: a lower one means that the bus was emptied."""
        if self._lost:
            self._stay_halted()
        known = dict(self._cursors)
        if self._intake is not None:
            known[self._intake.stream] = self._market_cursor
        found = self._link.last_ids(list(known)) or known
        behind = {stream: last for stream, last in found.items() if _order(last) < _order(known[stream])}
        for stream, last in behind.items():
            lost = f"{stream} ends with {last}, {known[stream]} was read"
            if stream in self._cursors:
                self._requests_lost(stream, last, lost)
            elif not self._lost:
                self._bus_lost(lost)
        if self._lost and not self._gap and behind.keys() <= self._cursors.keys() and found is not known:
            self._bus_restored()

    def _requests_lost(self, stream: str, last: str, lost: str) -> None:
        """Halt, and read what comes from now on: who asked for what was lost still waits for an answer."""
        self._cursors[stream] = last
        self.core.alert("BUS_LOST", f"{lost}: entries are missing, the station is HALTED")
        self.core.control("halt", WORKER, lost, position=f"{stream} {last}")

    def _bus_restored(self) -> None:
        """Read on where the journal stands: the feed has sent again what was lost. The state stays HALTED."""
        self._lost, self.failed = False, ""
        self._intake = None
        self._configured()
        self.core.alert("BUS_RESTORED", "the feed has sent again what the bus had lost; HALTED until a release", "info")

    def _check_waiting(self, now: float) -> None:
        waiting = self.core.machine.waiting
        if not waiting:
            self._waiting_since = 0.0
            return
        self._waiting_since = self._waiting_since or now
        if now >= self._due["jobs"]:
            self._due["jobs"] = now + JOBS_AGAIN_S
            self.core.tell_jobs_again()
        patience_s = ROUND_S if any(job.job == HOLD for job in waiting) else SILENCE_S
        if now - self._waiting_since > patience_s and not self.failed:
            names = ", ".join(job.occurrence for job in waiting)
            self.failed = f"no model came for {names} within {patience_s:g} s"
            self.core.alert("MODEL_SILENT", self.failed)

    def _numbers(self) -> dict[str, float]:
        keeper = self.core.keeper
        set_to = {
            "seq": keeper.journal.seq,
            "unsynced": keeper.unsynced,
            "queue": len(self._queue),
            "outbox": len(keeper.outbox),
            "bus_reconnects": self._link.reconnects,
            "bars": self.core.machine.projection.counts.bars,
        }
        for name, value in set_to.items():
            self.metrics.gauge(name).set(float(value))
        latency = self.core.desk.latency_ms.summary()
        return self.metrics.snapshot() | {f"tick_to_order_ms.{name}": value for name, value in latency.items()}


def _order(position: str) -> tuple[int, int]:
    first, _, second = position.partition("-")
    return int(first), int(second or 0)

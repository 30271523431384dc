"""Machine, journal, broker and kill together: one input is stepped, journaled, synced and acted on, in this order."""

import logging
import threading
from typing import Literal

from engine.output import Output
from events.codec import encode_payload
from events.ports import SYSTEM_CLOCK, Clock
from events.types import ControlAck, ControlEvent, RiskAlert
from worker.brokers.port import Broker, BrokerTimeoutError, BrokerUnavailableError
from worker.keeper import Keeper, Told
from worker.kill import Kill, KillSwitch, Request, word
from worker.machine import Machine
from worker.orders import OrderDesk, ask
from worker.reconcile import difference, endings, never_heard, strangers
from worker.resume import snapshot_event

log = logging.getLogger(__name__)

WORKER = "worker"
TURNS = 4  # of a settlement: intents, their cancels, what a flatten sends after them
UNHEARD_S = 5.0  # between the two times that a broker says that it has never heard of an order
KILLS_KEPT = 100  # kills whose number of canceled orders may still be asked for
Severity = Literal["info", "warning", "critical"]


class Core:
    """The trading thread's work without the bus. ``stepping`` is held while a step may make fills."""

    def __init__(
        self, machine: Machine, keeper: Keeper, switch: KillSwitch, desk: OrderDesk, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.clock = clock
        self.machine = machine
        self.keeper = keeper
        self.switch = switch
        self.desk = desk
        self.stepping = threading.Lock()
        self._canceled: dict[str, int] = {}
        self._unheard: dict[str, float] = {}  # orders that the broker says it has never heard of, and since when
        self._drilled: Kill | None = None  # whose block stands until the drill is over
        self._meanwhile: set[str] = set()  # scopes that somebody killed since the drill began

    def apply(self, event: Output, sent_ns: int = 0) -> list[Output]:
        """Take one input; when it makes intents, sync and send them; return what the step journaled."""
        batch = self._step(event)
        if self.machine.asks:
            self.settle(sent_ns)
        self.machine.catch_up()
        return batch

    def settle(self, sent_ns: int = 0, *, resend: bool = False) -> None:
        """Sync, then tell the broker of every intent and cancel that waits, and journal its answers.

        Parameters
        ----------
        sent_ns : wall time of the XADD that caused them, 0 if none did.
        resend : after a start: whether they were sent is unknown, so the broker is asked first.
        """
        if self.machine.broker is None:
            return
        self._permit()
        for turn in range(TURNS):  # an answer may ask for more: a flatten waits for its cancels
            self._tell(self.machine.broker, sent_ns, resend=resend and turn == 0)
            if not self.machine.asks:
                return

    def _tell(self, broker: Broker, sent_ns: int, *, resend: bool) -> None:
        machine = self.machine
        self.keeper.sync()
        intents = list(machine.intents.values())
        answers = self.desk.resend(broker, intents) if resend else self.desk.send(broker, intents, sent_ns)
        answers += self.desk.modify(broker, list(machine.updates.values()))
        answers += self.desk.cancel(broker, list(machine.cancels))
        batch = self._executed()  # what was filled before a cancel is booked before it
        for answer in answers:
            batch += machine.step(Output("BrokerEvent", broker.name, answer))
        self.keeper.append(batch)
        self._permit()

    def _permit(self) -> None:
        """Tell the switch which scopes are being flattened."""
        engine = self.machine.engine
        words = engine.control.flattening if engine is not None else []
        if words or self.switch.permits:
            self.switch.permit(words)

    def take_executions(self) -> None:
        """Book what the broker executed of itself."""
        self.keeper.append(self._executed())

    def kill_requested(self) -> None:
        """Do every kill that waits."""
        while self.switch.requests:
            request = self.switch.requests.popleft()
            canceled = self.kill(request)
            # a kill comes by several ways: the first of them is the one that canceled
            self._canceled.setdefault(request.kill.request_id, canceled)
            if len(self._canceled) > KILLS_KEPT:
                del self._canceled[next(iter(self._canceled))]

    def canceled_by(self, request_id: str) -> int:
        """Return how many orders a kill canceled, by whichever of its ways it came first."""
        self.kill_requested()
        return self._canceled.get(request_id, 0)

    def kill(self, request: Request) -> int:
        """Cancel first, whatever the disk does, then journal; return how many orders were canceled."""
        machine, kill, request_id = self.machine, request.kill, request.kill.request_id
        if self._drilled is not None and request_id != self._drilled.request_id:
            self._meanwhile.add(word(kill.scope, kill.target))
        if machine.seen(request_id):
            if request.source != "file" or word(kill.scope, kill.target) in machine.killed:
                return 0
            request_id = f"{request_id}@{self.clock.utc_ns()}"
        event = ControlEvent(
            action="kill", scope=kill.scope, target=kill.target, actor=kill.actor, reason=kill.reason,
            request_id=request_id, position=request.position,
        )  # fmt: skip
        with self.stepping:
            batch = machine.step(Output("ControlEvent", WORKER, event))
        canceled = 0
        if machine.broker is not None and machine.cancels:
            answers = self.desk.cancel(machine.broker, list(machine.cancels))
            canceled = len(answers)
            self.keeper.append(batch)
            batch = []
            for answer in answers:
                batch += machine.step(Output("BrokerEvent", machine.broker.name, answer))
        self.keeper.append(batch)
        self.keeper.sync()
        log.warning("killed %s by %s", word(kill.scope, kill.target), kill.actor, extra={"event_type": "kill"})
        return canceled

    def release(self, user: str, reason: str, scope: str = "all", target: str = "") -> str:
        """Journal the release, then take its scope out of the kill file; return why a kill stands, "" if none does.

        Of everything, the whole file goes; of a strategy or a symbol its own kills, and all others stand.
        """
        self.kill_requested()
        return self._released(self.control("release", user, reason, scope, target), word(scope, target))

    def released_by(self, signed: Output) -> str:
        """As :meth:`release`, of one that came by the bus, its signature found right."""
        self.kill_requested()
        event: ControlEvent = signed.payload
        return self._released(self.apply(signed), word(event.scope, event.target))

    def _released(self, batch: list[Output], asked: str) -> str:
        self.keeper.sync()
        refused = _refusal(batch)
        if asked == "all" and not self.machine.killed and self.switch.release():
            return ""
        if asked != "all" and not refused and asked not in self.machine.killed and self.switch.release_scope(asked):
            return ""
        self._stands("the release did not come through, so this kill stands")
        return refused or "another kill stands"

    def _stands(self, why: str) -> None:
        self.kill_requested()
        for standing in sorted(self.switch.words - self.machine.killed):
            scope, _, target = standing.partition(":")
            self.control("kill", "kill file", why, scope, target)
        self.keeper.sync()

    def act(self, action: str, actor: str, reason: str, scope: str, target: str) -> str:
        """Take what a person with password and code asked for; return why the engine refused it, "" if it did not."""
        batch = self.control(action, actor, reason, scope, target)
        self.keeper.sync()
        return _refusal(batch)

    # --- drills -------------------------------------------------------------------------------------------------------

    def begin_drill(self, kill: Kill) -> str:
        """Be ready for a drill's kill; return why there can be none now, "" if there can."""
        configuration, asked = self.machine.configuration, word(kill.scope, kill.target)
        if configuration is None:
            return "the worker has no configuration yet"
        if (mode := str(configuration.mode)) != "PAPER":
            return f"the station is {mode}; a drill is for PAPER"
        if standing := (self.switch.words | self.machine.killed) & {asked, "all"}:
            return f"killed already ({', '.join(sorted(standing))}): a drill could not tell its own block from it"
        if self.machine.engine is not None and self.machine.engine.control.flattening:
            return "positions are being flattened, which a kill would end"
        if self._drilled is not None:
            return f"a drill of {self._drilled.actor} is under way"
        self._drilled, self._meanwhile = kill, set()
        return ""

    def end_drill(self, request_id: str) -> str:
        """Lift a drill's own block, and none that anybody set meanwhile; return why it stands, "" if it does not."""
        self.kill_requested()
        kill, self._drilled = self._drilled, None
        if kill is None or kill.request_id != request_id:
            self._drilled = kill
            return f"no drill {request_id} is under way; what is killed stays so until a release"
        lifted = word(kill.scope, kill.target)
        if lifted in self._meanwhile:
            return "somebody killed it meanwhile; that kill stands until a release"
        self.control("drill_over", kill.actor, kill.reason, kill.scope, kill.target)
        self.keeper.sync()
        if self.switch.lift(request_id, lifted):
            return ""
        self._stands("the drill's end did not come through, so this kill stands")
        return "another kill came, or the kill file cannot be rewritten: it stands until a release"

    def refuse(self, event: ControlEvent, why: str) -> None:
        """Alarm of a control event that nobody approved; it is not journaled as an input, so no replay meets it."""
        asked = f"{event.action} {event.scope} {event.target}".strip()
        self.alert(
            "FORGED_CONTROL", f"{asked}, said to be by {event.actor[:64]!r} (request {event.request_id[:64]}): {why}"
        )
        ack = ControlAck(
            engine_ns=self.machine.engine_ns,
            request_id=event.request_id,
            action=event.action,
            accepted=False,
            reason=why,
        )
        told = Told(f"refused:{event.request_id}", "ControlAck", WORKER, encode_payload(ack), None, self.clock.utc_ns())
        self.keeper.outbox.append(told)

    def control(
        self, action: str, actor: str, reason: str, scope: str = "all", target: str = "", *, position: str = ""
    ) -> list[Output]:
        """Take an act that did not come by the bus; ``position`` sets a stream's place anew."""
        journal = self.keeper.journal
        request_id = f"{action}:{journal.run}:{journal.seq + 1}"
        event = ControlEvent(
            action=action, scope=scope, target=target, actor=actor, reason=reason, request_id=request_id,  # type: ignore[arg-type]
            position=position,
        )  # fmt: skip
        return self.apply(Output("ControlEvent", WORKER, event))

    def reconcile(self) -> None:
        """Compare orders, fills, positions and cash with the broker; journal it when the answer changed.

        An order that it works on and nobody here asked for is taken in as EXTERNAL; one that works here and not there
        has ended as the broker says.
        """
        machine = self.machine
        if machine.engine is None or machine.broker is None:
            return
        self.take_executions()
        self.ask_unknown()
        for answer in strangers(machine) + endings(machine):
            self.apply(Output("BrokerEvent", answer.broker, answer))
        different = difference(machine)
        reconciled = machine.reconciled
        if different and reconciled:
            self.control("unreconciled", WORKER, different)
            self.alert("UNRECONCILED", different)
        elif not different and not reconciled:
            self.control("reconciled", WORKER, "orders, positions and cash agree with the broker's")

    def ask_unknown(self) -> None:
        """Ask the broker of every order whose answer did not come; its word is journaled, its silence is not.

        That it has never heard of an order is evidence once it has said so twice with time between: the order ends.
        """
        broker, now = self.machine.broker, self.clock.monotonic()
        if broker is None:
            return
        self._unheard = {order_id: at for order_id, at in self._unheard.items() if order_id in self.machine.unknown}
        for order_id in list(self.machine.unknown):
            known = ask(broker, order_id)
            if known is None:
                if now - self._unheard.setdefault(order_id, now) >= UNHEARD_S:
                    self.apply(Output("BrokerEvent", broker.name, never_heard(self.machine, broker.name, order_id)))
            elif known.kind != "UNKNOWN":
                self._unheard.pop(order_id, None)
                self.apply(Output("BrokerEvent", broker.name, known))

    def alert(self, rule: str, message: str, severity: Severity = "critical") -> None:
        """Journal an alert of the worker's own."""
        payload = RiskAlert(
            engine_ns=self.machine.engine_ns,
            rule=rule,
            severity=severity,
            scope="account",
            message=message,
        )
        self.note(Output("RiskAlert", WORKER, payload))
        log.error("%s: %s", rule, message, extra={"event_type": "RiskAlert"})

    def tell_jobs_again(self) -> None:
        """Name every job again whose model is not here: whoever had heard of it knows its occurrence."""
        for job in self.machine.jobs.values():
            self.keeper.tell_again("JobDue", job, self.keeper.journal.durable_seq)

    def note(self, record: Output) -> None:
        """Journal a record that is neither an input nor follows from one."""
        self.machine.remember(record)
        self.keeper.append([record])

    def snapshot(self) -> None:
        """Journal the whole state."""
        self.keeper.append([Output("SnapshotEvent", WORKER, snapshot_event(self.machine))])
        self.keeper.sync()
        self.keeper.inputs = 0

    def _executed(self) -> list[Output]:
        """Step every execution that the broker tells; one that does not answer is asked again the next time."""
        machine, batch = self.machine, list[Output]()
        if machine.broker is None:
            return batch
        try:
            fills = machine.broker.executions()
        except (BrokerTimeoutError, BrokerUnavailableError):
            return batch
        for fill in fills:
            batch += machine.step(Output("FillEvent", machine.broker.name, fill))
        return batch

    def _step(self, event: Output) -> list[Output]:
        with self.stepping:
            batch = self.machine.step(event)
        self.keeper.append(batch)
        self._permit()
        return batch


def _refusal(batch: list[Output]) -> str:
    """Return why a step refused what a person asked for, "" if it did not."""
    answers = [output.payload for output in batch if isinstance(output.payload, ControlAck)]
    return next((ack.reason or "refused" for ack in answers if not ack.accepted), "")

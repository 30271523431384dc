"""Machine, journal, broker and kill together: one input is stepped, journaled, synced and acted on, in this order."""

import logging
import threading
from typing import Literal

from engine.output import Output
from events.ports import SYSTEM_CLOCK, Clock
from events.types import ControlEvent, RiskAlert
from worker.brokers.port import Broker, BrokerTimeoutError, BrokerUnavailableError
from worker.keeper import Keeper
from worker.kill import KillSwitch, Request, word
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

    def apply(self, event: Output, sent_ns: int = 0) -> None:
        """Take one input; when it makes intents, sync and send them."""
        self._step(event)
        if self.machine.asks:
            self.settle(sent_ns)
        self.machine.catch_up()

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

    def release(self, user: str, reason: str) -> bool:
        """Journal the release, then remove the kill file; return False where a kill stands after it."""
        self.kill_requested()
        self.control("release", user, reason)
        self.keeper.sync()
        if self.switch.release():
            return True
        self.kill_requested()
        for standing in sorted(self.switch.words - self.machine.killed):
            scope, _, target = standing.partition(":")
            self.control("kill", "kill file", "the release did not come through, so this kill stands", scope, target)
        self.keeper.sync()
        return False

    def control(
        self, action: str, actor: str, reason: str, scope: str = "all", target: str = "", *, position: str = ""
    ) -> None:
        """Take an act that did not come by the bus; ``position`` sets a stream's place anew."""
        journal = self.keeper.journal
        request_id = f"{action}:{journal.run}:{journal.seq + 1}"
        event = ControlEvent(
            action=action, scope=scope, target=target, actor=actor, reason=reason, request_id=request_id,  # type: ignore[arg-type]
            position=position,
        )  # fmt: skip
        self.apply(Output("ControlEvent", WORKER, event))

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

    def _step(self, event: Output) -> None:
        with self.stepping:
            batch = self.machine.step(event)
        self.keeper.append(batch)
        self._permit()

"""The deterministic part of the worker: one input in, one batch of records out; no clock, no file, no bus.

The same code makes the records of a live run and of a resume, which is why a resume can compare them byte for byte.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.allocation import Allocation
from engine.configuration import Configuration
from engine.engine import Engine
from engine.output import Output
from events.streams import market_stream
from events.types import (
    AdjustmentEvent,
    Bar,
    BrokerEvent,
    ControlAck,
    ControlEvent,
    CorporateActionEvent,
    FillEvent,
    JobDue,
    MarketSlice,
    ModelEvent,
    OrderEvent,
    Quote,
    RiskAlert,
    StanceEvent,
    TimerEvent,
)
from market.validation import Validator
from worker.brokers import open_broker
from worker.brokers.port import Broker
from worker.forecast import AGENT, Forecaster
from worker.kill import word
from worker.projection import FINAL, Kept, Projection

EXTERNAL = frozenset(
    {"MarketSlice", "CorporateActionEvent", "StanceEvent", "ModelEvent", "BrokerEvent", "ControlEvent"}
)
"""Inputs that come from outside; timers and the paper broker's fills are made again from the slice."""

SEEN_LIMIT = 10_000  # request ids kept to recognise a repeated one: the relay's stream holds no more

Handler = Callable[[Any], list[Output]]


class MachineState(msgspec.Struct, kw_only=True):
    """Everything that a snapshot holds."""

    engine: bytes | None
    broker: bytes
    configuration: bytes
    positions: dict[str, str]
    stance_position: str
    seen: list[str]
    killed: list[str]
    early: list[bytes]  # JSON: MessagePack has no place for the raw JSON inside them
    jobs: list[JobDue]
    intents: list[OrderEvent]
    cancels: list[str]
    updates: list[OrderEvent]
    unknown: list[str]
    engine_ns: int
    last_close_ns: int
    ended: bool
    validator: bytes
    projection: Kept
    slippage: list[bytes] = []  # JSON of the ModelEvents in force and to come


class Machine:
    """Engine, broker's memory and what the worker must not forget, stepped by inputs alone."""

    def __init__(self, connect: Callable[[Configuration, Engine], Broker] = open_broker) -> None:
        self._connect = connect
        self.engine: Engine | None = None
        self.broker: Broker | None = None
        self.configuration: Configuration | None = None
        self.positions: dict[str, str] = {}
        self.stance_position = ""
        self.killed: set[str] = set()
        self.jobs: dict[str, JobDue] = {}  # due, their ModelEvent not here yet
        self.intents: dict[str, OrderEvent] = {}
        self.cancels: dict[str, None] = {}
        self.updates: dict[str, OrderEvent] = {}
        self.unknown: dict[str, None] = {}
        self.validator = Validator(())
        self.engine_ns = 0
        self.last_close_ns = 0
        self.ended = False
        self._forecaster = Forecaster()
        self._decided: list[OrderEvent] = []  # intents of the step that have no forecast yet
        self._shown = Projection()
        self._unshown: list[Any] = []
        self._seen: dict[str, None] = {}
        self._early: list[ControlEvent] = []
        self._steps: dict[str, Callable[[Output], list[Output]]] = {
            "MarketSlice": self._market,
            "CorporateActionEvent": self._corporate_action,
            "StanceEvent": self._stance,
            "ModelEvent": self._model,
            "BrokerEvent": self._broker,
            "FillEvent": self._execution,
            "ControlEvent": self._control,
        }

    def step(self, event: Output) -> list[Output]:
        """Return the batch of one external input: it, what came before it, what follows; empty for a repeated one.

        Raises
        ------
        RuntimeError
            if an input but a ControlEvent comes before a configuration is in force.
        """
        if self.engine is None and event.type != "ControlEvent":
            raise RuntimeError(f"{event.type} came before a configuration was in force")
        return self._steps[event.type](event)

    @property
    def projection(self) -> Projection:
        """Counts, digest and latest orders, brought up to date."""
        self.catch_up()
        return self._shown

    def catch_up(self) -> None:
        """Bring the projection up to date: after the broker calls, since no order needs to wait for it."""
        for payload in self._unshown:
            self._shown.take(payload)
        self._unshown.clear()

    @property
    def waiting(self) -> list[JobDue]:
        """Jobs without whose ModelEvent no further market input may be taken."""
        if not self.jobs or self.configuration is None or not self.configuration.source.waits:
            return []
        return [job for job in self.jobs.values() if job.wait]

    @property
    def asks(self) -> bool:
        """Whether the broker has to be told of an intent, a change or a cancel."""
        return bool(self.intents or self.updates or self.cancels)

    @property
    def allocation(self) -> Allocation:
        """What each strategy may use of the capital; version 0 is what the settings say."""
        if self.engine is None:
            return Allocation(version=0, round_id="", weights={})
        state = self.engine.state
        weights = dict(zip(state.names, state.strategies["weight"].tolist(), strict=True))
        return state.allocation or Allocation(version=0, round_id="", weights=weights)

    @property
    def reconciled(self) -> bool:
        """Whether the engine was told that the broker agrees."""
        return self.engine is not None and bool(self.engine.state.account[0]["reconciled"])

    def seen(self, key: str) -> bool:
        """Whether an input with this key (request id, occurrence) was taken already."""
        return key in self._seen

    # --- inputs -------------------------------------------------------------------------------------------------------

    def _market(self, event: Output) -> list[Output]:
        engine, broker, market = self.in_force(), self._connected(), event.payload
        assert isinstance(market, MarketSlice)  # noqa: S101 - narrows the type; the table above says it
        batch: list[Output] = []
        while (instant_ns := engine.due(market.close_ns)) is not None:
            timer = Output("TimerEvent", "engine", TimerEvent(instant_ns=instant_ns))
            batch += self._through(timer, engine.on_timer)
        for fill in broker.fills(market):
            batch += self._through(Output("FillEvent", broker.name, fill), engine.on_fill)
        batch += self._through(event, engine.on_slice)
        self.positions[market_stream(market.feed)] = market.position
        self.engine_ns = self.last_close_ns = market.close_ns
        self.ended = self.ended or market.ended
        return batch

    def _corporate_action(self, event: Output) -> list[Output]:
        """Take a split or dividend after what is due before it: a night's charge is for the lots of the day before."""
        engine, action = self.in_force(), event.payload
        assert isinstance(action, CorporateActionEvent)  # noqa: S101 - narrows the type
        batch: list[Output] = []
        while (instant_ns := engine.due(action.effective_from_ns)) is not None:
            batch += self._through(Output("TimerEvent", "engine", TimerEvent(instant_ns=instant_ns)), engine.on_timer)
        self.stance_position = action.position
        return batch + self._through(event, engine.on_corporate_action)

    def _stance(self, event: Output) -> list[Output]:
        stance: StanceEvent = event.payload
        self.stance_position = stance.position
        return self._through(event, self.in_force().on_stance)

    def _model(self, event: Output) -> list[Output]:
        model: ModelEvent = event.payload
        self._moved(model.position)
        if not self._first(f"model:{model.occurrence}"):
            return []
        self.jobs.pop(model.occurrence, None)
        return self._through(event, self._taken)

    def _taken(self, model: ModelEvent) -> list[Output]:
        """Let the engine and the forecasts take a model, each what is theirs."""
        outputs = self.in_force().on_model(model)
        refused = self._forecaster.take(model, self.engine_ns)
        if refused:
            alert = RiskAlert(
                engine_ns=self.engine_ns, rule="MODEL_REFUSED", severity="warning", scope="account", message=refused
            )
            outputs.append(Output("RiskAlert", AGENT, alert))
        return outputs

    def _broker(self, event: Output) -> list[Output]:
        broker_event: BrokerEvent = event.payload
        order_id = broker_event.order_id
        order = self.intents.pop(order_id, None)
        self.cancels.pop(order_id, None)
        self.updates.pop(order_id, None)
        self.unknown.pop(order_id, None)
        if broker_event.kind == "UNKNOWN":
            self.unknown[order_id] = None
        if order is not None and broker_event.kind == "ACCEPTED":
            self._connected().observe(order)
        self._connected().observe(broker_event)
        return self._through(event, self.in_force().on_order_event)

    def _execution(self, event: Output) -> list[Output]:
        """Take an execution of a broker that keeps its own books; the paper broker's come with their slice."""
        fill: FillEvent = event.payload
        booked = self.in_force().booked(fill)
        if booked or (booked is None and not self._first(f"fill:{fill.broker}:{fill.execution_id}")):
            return []
        return self._through(event, self.in_force().on_fill)

    def _control(self, event: Output) -> list[Output]:
        control: ControlEvent = event.payload
        self._moved(control.position)
        if not self._first(control.request_id):
            return []
        if control.action == "configure":
            return self._configure(event, control)
        if control.action == "kill":
            self.killed.add(word(control.scope, control.target))
        elif control.action == "drill_over":
            self.killed.discard(word(control.scope, control.target))
        elif control.action == "release":
            self._early = [kill for kill in self._early if not _covers(control, kill)]
        if self.engine is not None:
            batch = self._through(event, self.engine.on_control)
            if control.action == "release":  # of one scope alone, or refused: the others stand
                self.killed &= set(self.engine.control.killed)
            return batch
        if control.action == "release":
            self.killed = {word(kill.scope, kill.target) for kill in self._early}
        if control.action == "kill":
            self._early.append(control)
        return [event, self._ack(control, accepted=control.action in {"kill", "release"}, reason="UNCONFIGURED")]

    def _configure(self, event: Output, control: ControlEvent) -> list[Output]:
        try:
            given = msgspec.json.decode(control.content, type=Configuration)
        except msgspec.DecodeError as error:
            return [event, self._ack(control, accepted=False, reason=f"configuration: {error}")]
        if self.configuration is not None and given.version <= self.configuration.version:
            reason = f"version {given.version} is not above {self.configuration.version}, which is in force"
            return [event, self._ack(control, accepted=given == self.configuration, reason=reason)]
        first = self.engine is None
        if first:
            self.engine = Engine(given)
            self.broker = self._connect(given, self.engine)
        batch = self._through(event, self.in_force().on_control)
        self.configuration = self.in_force().state.configuration
        self._connected().configure(self.configuration)
        self._judge_by(self.configuration)
        for kill in self._early if first else ():
            for output in self.in_force().on_control(kill):
                self._note(output)
                batch.append(output)
        self._early.clear()
        return batch

    def readmit(self, market: MarketSlice) -> None:
        """Let the validator see the bars of a slice that comes from the journal, as it saw them when they were new."""
        for bar in market.bars:
            self.validator.check(bar, self.last_close_ns)

    def validator_check(self, bar: Bar, last_close_ns: int) -> str | None:
        """Judge a new bar by the configuration in force."""
        return self.validator.check(bar, last_close_ns)

    def validator_check_quote(self, quote: Quote, last_close_ns: int) -> str | None:
        """Judge a new quote by the configuration in force."""
        return self.validator.check_quote(quote, last_close_ns)

    def remember(self, note: Output) -> None:
        """Show an alert of the worker's own; it is no input and changes nothing else."""
        if isinstance(note.payload, RiskAlert):
            self._unshown.append(note.payload)

    def _judge_by(self, configuration: Configuration) -> None:
        known = self.validator.snapshot()
        self.validator = Validator(configuration.instruments)
        self.validator.restore(known)

    # --- what a step leaves behind ------------------------------------------------------------------------------------

    def _through(self, event: Output, handler: Handler) -> list[Output]:
        outputs = handler(event.payload)
        self._note(event)
        for output in outputs:
            self._note(output)
        return [event, *outputs, *self._forecasts()] if self._decided else [event, *outputs]

    def _forecasts(self) -> list[Output]:
        """Say of each order that this step decided what it is expected to cost: in the batch of its intent."""
        engine, decided = self.in_force(), self._decided
        self._decided = []
        return [Output("ForecastEvent", AGENT, self._forecaster.forecast(engine, order)) for order in decided]

    def _note(self, record: Output) -> None:
        self._unshown.append(record.payload)
        match record.payload:
            case OrderEvent() as order:
                self._order(order)
            case FillEvent() as fill:
                self._connected().observe(fill)
            case AdjustmentEvent() as adjustment:
                self._connected().observe(adjustment)
            case JobDue() as job:
                self.jobs[job.occurrence] = job

    def _order(self, order: OrderEvent) -> None:
        if order.state == "INTENT":
            self.intents[order.order_id] = order
            self._decided.append(order)
        elif order.state == "PENDING_CANCEL":
            self.intents.pop(order.order_id, None)
            self.updates.pop(order.order_id, None)
            self.cancels[order.order_id] = None
        elif order.state == "PENDING_UPDATE":
            self.updates[order.order_id] = order
        elif order.state in FINAL:
            for table in (self.intents, self.cancels, self.updates, self.unknown):
                table.pop(order.order_id, None)
            self._connected().observe(order)

    def _first(self, key: str) -> bool:
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > SEEN_LIMIT:
            del self._seen[next(iter(self._seen))]
        return True

    def _moved(self, position: str) -> None:
        if position:
            stream, _, entry = position.partition(" ")
            self.positions[stream] = entry

    def _ack(self, control: ControlEvent, *, accepted: bool, reason: str) -> Output:
        acknowledged = ControlAck(
            engine_ns=self.engine_ns,
            request_id=control.request_id,
            action=control.action,
            accepted=accepted,
            reason=reason,
        )
        return Output("ControlAck", "worker", acknowledged)

    def in_force(self) -> Engine:
        """Return the engine.

        Raises
        ------
        RuntimeError
            if no configuration is in force.
        """
        if self.engine is None:
            raise RuntimeError("no configuration is in force")
        return self.engine

    def _connected(self) -> Broker:
        if self.broker is None:
            raise RuntimeError("no configuration is in force, so there is no broker")
        return self.broker

    # --- snapshots ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Return the whole state."""
        state = MachineState(
            engine=None if self.engine is None else self.engine.snapshot(),
            broker=b"" if self.broker is None else self.broker.snapshot(),
            configuration=msgspec.json.encode(self.configuration),
            positions=self.positions,
            stance_position=self.stance_position,
            seen=list(self._seen),
            killed=sorted(self.killed),
            early=[msgspec.json.encode(event) for event in self._early],
            jobs=list(self.jobs.values()),
            intents=list(self.intents.values()),
            cancels=list(self.cancels),
            updates=list(self.updates.values()),
            unknown=list(self.unknown),
            engine_ns=self.engine_ns,
            last_close_ns=self.last_close_ns,
            ended=self.ended,
            validator=msgspec.json.encode(self.validator.snapshot()),
            projection=self.projection.snapshot(),
            slippage=self._forecaster.keep(),
        )
        return msgspec.msgpack.encode(state)

    def restore(self, raw: bytes) -> None:
        """Continue from a snapshot.

        Raises
        ------
        msgspec.DecodeError
            if the bytes are not one of this version's.
        """
        state = msgspec.msgpack.decode(raw, type=MachineState)
        if state.engine is not None:
            self.configuration = msgspec.json.decode(state.configuration, type=Configuration)
            self.engine = Engine.restore(state.engine)
            self.broker = self._connect(self.configuration, self.engine)
            self.broker.restore(state.broker)
            self.validator = Validator(self.configuration.instruments)
            self.validator.restore(msgspec.json.decode(state.validator))
        self.positions, self.stance_position = state.positions, state.stance_position
        self.killed = set(state.killed)
        self._early = [msgspec.json.decode(event, type=ControlEvent) for event in state.early]
        self.jobs = {job.occurrence: job for job in state.jobs}
        self.intents = {order.order_id: order for order in state.intents}
        self.updates = {order.order_id: order for order in state.updates}
        self.cancels, self.unknown = dict.fromkeys(state.cancels), dict.fromkeys(state.unknown)
        self._seen = dict.fromkeys(state.seen)
        self._forecaster.restore(state.slippage)
        self.engine_ns, self.last_close_ns, self.ended = state.engine_ns, state.last_close_ns, state.ended
        self._unshown.clear()
        self._shown.restore(state.projection)


def _covers(release: ControlEvent, kill: ControlEvent) -> bool:
    released = word(release.scope, release.target)
    return released in {"all", word(kill.scope, kill.target)}

"""The event types all rooms speak: names and envelope of the source document, payloads typed.

Times are UTC nanoseconds since 1970 (``*_ns``), prices are in the instrument's currency per unit, quantities in units
(``quantity``) or whole lots (``lots``), money in micro-units of the account's currency (``*_micro``) where it must be
exact. A payload's field order is its order on disk.
"""

from typing import Literal

import msgspec


class Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every payload: immutable, keyword-only, unknown fields refused."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One message on the bus: the source document's fields, ours (``id``, ``type``) beside them.

    ``id`` is set by writers whose entries may be repeated (the relay: its outbox row), so that a reader can drop the
    second one. ``payload`` stays undecoded until a reader knows that it wants it.
    """

    type: str
    timestamp: int
    agent_id: str
    confidence_score: float | None = None
    competitive_score: float | None = None
    id: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"{}")


# --- market -----------------------------------------------------------------------------------------------------------


class Bar(Payload, frozen=True, tag="bar", tag_field="kind"):
    """A bar as its source gave it, not to be trusted: a number that JSON cannot carry (NaN, infinity) is None."""

    feed: str
    symbol: str
    open_ns: int
    interval_s: int
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    close_ns: int  # when it is known: open + length, for a daily bar its session's close
    exchange: str = ""
    data_source: str = ""
    revision: int = 0


class Quote(Payload, frozen=True, tag="quote", tag_field="kind"):
    """Best bid and offer at an instant; sizes in units."""

    feed: str
    symbol: str
    ts_ns: int
    bid: float | None
    bid_size: float | None
    ask: float | None
    ask_size: float | None
    revision: int = 0


class Trade(Payload, frozen=True, tag="trade", tag_field="kind"):
    """One print; size in units."""

    feed: str
    symbol: str
    ts_ns: int
    price: float | None
    size: float | None
    revision: int = 0


MarketEvent = Bar | Quote | Trade


class SliceEnd(Payload, frozen=True):
    """Ends one close: every bar of ``close_ns`` has been sent."""

    feed: str
    close_ns: int
    bars: int


class FeedEnd(Payload, frozen=True):
    """The source has no more data; ``bars`` is the number of source bars sent since the beginning."""

    feed: str
    bars: int
    last_close_ns: int


class Refusal(Payload, frozen=True):
    """A bar that changes nothing, with the code of market/validation.py."""

    code: str
    symbol: str
    open_ns: int


class MarketSlice(Payload, frozen=True):
    """The engine's input of one close: valid bars in symbol order, what was refused, and the bus position after it."""

    feed: str
    position: str
    close_ns: int
    bars: list[Bar]
    refused: list[Refusal] = []
    ended: bool = False  # the feed's last word: no bar comes after this slice
    quotes: list[Quote] = []  # valid ones since the slice before, in order of time


class CorporateActionEvent(Payload, frozen=True):
    """A split or a dividend, sent before the first slice that it is in force for: an input of the engine.

    ``effective_from_ns`` is its first instant, for a listed share the open of the session of its (ex-)date. A split
    gives ``numerator`` units for ``denominator`` old ones, a dividend ``amount_micro`` of the instrument's currency a
    unit.
    """

    feed: str
    symbol: str
    kind: Literal["split", "dividend"]
    effective_from_ns: int
    numerator: int = 1
    denominator: int = 1
    amount_micro: int = 0
    source: str = ""
    position: str = ""  # "STREAM ID" of the bus entry, set by the worker when it journals the event


# --- opinions ---------------------------------------------------------------------------------------------------------


class StanceEvent(Payload, frozen=True):
    """An agent's opinion beside the path: scales a policy's target by clip(1 + bias x confidence, clamp).

    ``symbol`` "*" means every symbol; bias is in [-1, 1], confidence in [0, 1].
    """

    strategy: str
    symbol: str
    bias: float
    confidence: float
    effective_from_ns: int
    expiry_ns: int
    source: str
    version: int = 0
    position: str = ""  # "STREAM ID" of the bus entry, set by the worker when it journals the event


class SignalEvent(Payload, frozen=True):
    """A policy changed its target. The envelope's confidence is the calibrated probability, if known."""

    engine_ns: int
    strategy: str
    symbol: str
    interval_s: int
    target: float
    previous_target: float
    score: float
    features: dict[str, float]
    stance_multiplier: float
    calibrator: str  # NAME@VERSION, or "uncalibrated": the confidence is then the base rate of `outcomes` settled ones
    outcomes: int


class OutcomeEvent(Payload, frozen=True):
    """A directional signal settled after its horizon: did the price move its way."""

    engine_ns: int
    strategy: str
    symbol: str
    signal_ns: int
    score: float
    direction: int
    hit: bool
    return_: float = msgspec.field(name="return")


class ModelEvent(Payload, frozen=True):
    """A fitted artefact (calibrator, covariance, ...) or the news that its fit failed. An input of the engine."""

    name: str
    version: int
    outcome: Literal["fitted", "unchanged", "failed"]
    occurrence: str
    sha256: str
    effective_from_ns: int
    content: msgspec.Raw
    reason: str = ""
    signature: str = ""  # of the models key (audit/artefacts.py)
    position: str = ""  # "STREAM ID" of the bus entry, set by the worker when it journals the event


# --- orders -----------------------------------------------------------------------------------------------------------


class Denial(Payload, frozen=True):
    """Why an order may not leave: the code, the value that decided and the limit it met."""

    code: str
    value: float
    limit: float


OrderType = Literal["MARKET", "LIMIT", "STOP", "STOP_LIMIT"]
TimeInForce = Literal["DAY", "IOC", "GTC"]


class Checked(Payload, frozen=True):
    """The record of an order's pre-trade checks: which ran, under which version of the configuration (its limits)."""

    codes: list[str]
    version: int


class Change(Payload, frozen=True):
    """What a working order is asked to become: all of its lots (filled ones included) and its prices in ticks."""

    lots: int
    limit_ticks: int | None
    stop_ticks: int | None


class OrderEvent(Payload, frozen=True):
    """An order entered a state. INTENT carries everything that is sent to a broker, the record of its checks too.

    ``change`` is what a PENDING_UPDATE asks for; ``purpose`` "flatten" marks what alone may leave under a kill.
    """

    engine_ns: int
    order_id: str
    state: str
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    filled_lots: int
    type: OrderType
    limit_ticks: int | None
    stop_ticks: int | None
    time_in_force: TimeInForce
    expires_ns: int | None
    lots_by_strategy: dict[str, int]
    expected_price: float
    denials: list[Denial] = []
    reason: str = ""
    purpose: Literal["", "flatten"] = ""
    checked: Checked | None = None
    change: Change | None = None


class ForecastEvent(Payload, frozen=True):
    """What an order's execution was expected to cost when it was decided; ``features`` are what was known then."""

    engine_ns: int
    order_id: str
    parent_id: str  # the order of which this one is a slice, "" for none
    symbol: str
    features: dict[str, float]
    spread_bps: float  # by the spread model: half the spread plus the impact
    forecast_bps: float
    model: str  # NAME@VERSION, or "spread": no fitted model was in force


class ParentEvent(Payload, frozen=True):
    """A decision that an algorithm works in slices began, or ended; its slices are orders of their own."""

    engine_ns: int
    parent_id: str
    state: Literal["WORKING", "DONE", "CANCELED", "EXPIRED"]
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    sent_lots: int
    algorithm: str
    slices: int  # planned, 0 where volume decides
    lots_by_strategy: dict[str, int]
    expected_price: float
    expires_ns: int | None
    reason: str = ""


class BrokerEvent(Payload, frozen=True):
    """What a broker said of an order: an input of the engine.

    EXTERNAL: the broker works on an order that the station does not know; ``order`` says what it is.
    """

    broker: str
    order_id: str
    kind: Literal["ACCEPTED", "REJECTED", "CANCELED", "EXPIRED", "UNKNOWN", "UPDATED", "UPDATE_REJECTED", "EXTERNAL"]
    broker_ns: int
    reason: str = ""
    order: OrderEvent | None = None


class FillEvent(Payload, frozen=True):
    """An execution: an input of the engine, keyed by (broker, execution_id).

    A CORRECTION says what the execution ``amends`` truly was (lots, price, fee), a BUST that it never happened; both
    have an execution id of their own.
    """

    broker: str
    execution_id: str
    order_id: str
    broker_ns: int
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    price_micro: int
    fee_micro: int
    reference_price: float  # the open (or quote) before spread and impact
    kind: Literal["FILL", "CORRECTION", "BUST"] = "FILL"
    amends: str = ""


class TradeEvent(Payload, frozen=True):
    """A fill as the ledger booked it: what each strategy got and what it cost against the decision's price."""

    engine_ns: int
    execution_id: str
    order_id: str
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    quantity: float
    price: float
    fee_micro: int
    slippage: float  # money lost against the expected price, fee not included
    lots_by_strategy: dict[str, int]  # signed; crossed lots included
    crossed_lots: int
    realised: dict[str, float]


class VetoEvent(Payload, frozen=True):
    """What a denied order would have made: profit = (mark - price) x signed quantity, costs left out."""

    engine_ns: int
    order_id: str  # of the first such denial
    symbol: str
    side: str
    code: str  # its headline
    lots: int
    lots_by_strategy: dict[str, int]
    decided_ns: int
    price: float  # the decision's mark
    mark: float  # some bars later, or at the session's close
    profit: float  # account currency: below zero the denial saved it
    asked: int  # how often the same was asked for meanwhile


class AdjustmentEvent(Payload, frozen=True):
    """The ledger moved without a fill: a split, a dividend, the financing of a short.

    Cash is signed, in micro-units of ``currency``; the strategies' shares of it add up to it exactly. Of a split it is
    what the fractions of a lot were settled for at ``price``, the mark after it; lots are those after it.
    """

    engine_ns: int
    symbol: str
    kind: Literal["split", "dividend", "financing"]
    currency: str
    price: float
    lots_before: int
    lots: int
    quantity: float
    cash_micro: int
    lots_by_strategy: dict[str, int]
    cash_by_strategy_micro: dict[str, int]
    realised: dict[str, float]
    numerator: int = 1
    denominator: int = 1


# --- state ------------------------------------------------------------------------------------------------------------


class ControlEvent(Payload, frozen=True):
    """A person's (or rule's) act. ``signature`` is for what loosens: an `worker.approvals.Approved` as JSON."""

    action: Literal[
        "kill",
        "release",
        "configure",
        "pause",
        "resume",
        "enable",
        "hello",
        "reconciled",
        "unreconciled",
        "halt",
        "reduce",
        "flatten",
        "maintenance",
        "resume_maintenance",
        "adopt",
        "ignore",
        "flatten_external",
        "allocate",  # content: an engine.allocation.Allocation
        "drill_over",  # lifts the one kill of a drill: no state, no breaker, no other scope
    ]
    scope: Literal["all", "account", "strategy", "symbol"]
    target: str
    actor: str
    reason: str
    request_id: str
    effective_from_ns: int = 0
    content: msgspec.Raw = msgspec.Raw(b"null")  # of configure: the complete configuration
    signature: str = ""
    position: str = ""  # "STREAM ID" of the bus entry, set by the worker when it journals the event


class AuditEvent(Payload, frozen=True):
    """A person (or the station's start) changed what no other event tells of: logins, people, passwords, releases."""

    wall_ns: int
    action: str
    target: str
    actor: str
    outcome: str  # done, refused
    reason: str = ""


class FeedControl(Payload, frozen=True):
    """A person steers a replay's pace (stream control.feed); ``speed``, of action speed alone: 0 is the fastest."""

    action: Literal["pause", "resume", "step", "speed"]
    actor: str
    speed: float = 0.0


class ControlAck(Payload, frozen=True):
    """The worker's answer to a ControlEvent: what it did, or why not."""

    engine_ns: int
    request_id: str
    action: str
    accepted: bool
    reason: str


class StateEvent(Payload, frozen=True):
    """The station's trading state changed."""

    engine_ns: int
    state: Literal["ACTIVE", "REDUCING", "HALTED", "MAINTENANCE"]
    previous: str
    killed: list[str]  # scopes under the kill latch: "all", "strategy:momentum", "symbol:AAPL"
    cause: str


class TimerEvent(Payload, frozen=True):
    """An instant of the engine's due table was reached."""

    instant_ns: int


class RiskAlert(Payload, frozen=True):
    """A rule saw something a person should know; numbers name their units."""

    engine_ns: int
    rule: str
    severity: Literal["info", "warning", "critical"]
    scope: str
    message: str
    numbers: dict[str, float] = {}


class PhaseEvent(Payload, frozen=True):
    """A calendar entered a phase."""

    engine_ns: int
    calendar: str
    phase: str
    session: str  # session date, ISO
    until_ns: int


class JobDue(Payload, frozen=True):
    """A job of the phase table is due; ``wait`` says that a replay must not go on without its ModelEvent."""

    engine_ns: int
    job: str
    occurrence: str  # its key: one occurrence is done once
    effective_from_ns: int
    through_seq: (
        int  # read the execution journal up to here; the engine says -1, the worker puts the record's own sequence
    )
    wait: bool


class AccountEvent(Payload, frozen=True):
    """The account at a mark. Equity = cash + marked positions."""

    engine_ns: int
    cash_micro: int
    fees_micro: int
    equity: float
    gross: float
    net: float
    realised: float
    unrealised: float
    high_water: float
    drawdown: float  # fraction of the high-water mark, >= 0
    day_pnl: float
    strategies: dict[str, float]  # profit and loss since the start, each strategy's share of the account
    units: dict[str, float]  # equity of each strategy's unit book
    financing_micro: int = 0
    dividends_micro: int = 0
    foreign_micro: dict[str, int] = {}  # cash of other currencies, where there is any


class RunStarted(Payload, frozen=True):
    """First record of a run: what must be the same for a replay to be identical byte for byte."""

    station_version: str
    fingerprint: dict[str, str]  # numba, llvmlite, cpu, sources, python
    resumed_from: int  # sequence of the snapshot, -1 at the very start
    replayed: int  # input records applied after it


class SnapshotEvent(Payload, frozen=True):
    """The engine's and paper broker's whole state, compressed, with its hash."""

    engine_ns: int
    sha256: str
    state: str  # base64


class BusPosition(Payload, frozen=True):
    """Last record of each batch of the recorder: how far the journal holds each stream; nothing is taken twice."""

    streams: dict[str, str]


class UnreadableEntry(Payload, frozen=True):
    """A stream entry that is no event, kept as it came."""

    stream: str
    entry: str
    content: str  # base64


PAYLOADS: dict[str, type] = {
    "SliceEnd": SliceEnd,
    "FeedEnd": FeedEnd,
    "MarketSlice": MarketSlice,
    "CorporateActionEvent": CorporateActionEvent,
    "StanceEvent": StanceEvent,
    "SignalEvent": SignalEvent,
    "OutcomeEvent": OutcomeEvent,
    "ModelEvent": ModelEvent,
    "OrderEvent": OrderEvent,
    "ForecastEvent": ForecastEvent,
    "ParentEvent": ParentEvent,
    "BrokerEvent": BrokerEvent,
    "FillEvent": FillEvent,
    "TradeEvent": TradeEvent,
    "VetoEvent": VetoEvent,
    "AdjustmentEvent": AdjustmentEvent,
    "ControlEvent": ControlEvent,
    "AuditEvent": AuditEvent,
    "FeedControl": FeedControl,
    "ControlAck": ControlAck,
    "StateEvent": StateEvent,
    "TimerEvent": TimerEvent,
    "RiskAlert": RiskAlert,
    "PhaseEvent": PhaseEvent,
    "JobDue": JobDue,
    "AccountEvent": AccountEvent,
    "RunStarted": RunStarted,
    "SnapshotEvent": SnapshotEvent,
    "BusPosition": BusPosition,
    "UnreadableEntry": UnreadableEntry,
}
"""Name to type; those of tournaments stand beside them in events/tournament.py."""

INPUTS = frozenset({
    "MarketSlice", "CorporateActionEvent", "StanceEvent", "ModelEvent", "BrokerEvent", "FillEvent", "ControlEvent",
    "TimerEvent",
})  # fmt: skip
"""Record types that the engine reads; every other record of the execution journal is derived from them."""

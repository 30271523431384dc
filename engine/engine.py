"""The deterministic engine: inputs in, records out; no clock, no randomness, no I/O.

One step is one input. A slice goes marks -> breakers -> policies -> sizing -> netting -> checks -> intents; what it
says depends on the inputs so far and on nothing else, so the same journal gives the same bytes.
"""

from operator import itemgetter
from typing import Any

import msgspec
import numpy as np

from agents.calibration import confidence
from engine import execution
from engine.clock import LONGEST, Clock
from engine.configuration import Configuration
from engine.control import Control
from engine.decisions import ALLOWED, CROSSED, NOTHING, WAITING
from engine.fills import market_fills
from engine.layout import ACCOUNT
from engine.opinions import Opinions
from engine.orders import Order
from engine.output import Output, say
from engine.snapshot import pack, unpack
from engine.state import State, new_state
from engine.steps import contradicts, fill_and_mark, select, size_and_decide, take_targets, value
from events.types import (
    AccountEvent,
    BrokerEvent,
    ControlEvent,
    FillEvent,
    MarketSlice,
    ModelEvent,
    OutcomeEvent,
    RiskAlert,
    SignalEvent,
    StanceEvent,
    TimerEvent,
)
from market.aggregation import advance

MARKED = itemgetter(*(
    (ACCOUNT.names or ()).index(name)
    for name in (
        "cash_micro", "fees_micro", "equity", "gross", "net", "realised", "unrealised", "high_water", "drawdown",
        "day_start_equity",
    )
))  # fmt: skip
"""Takes what an AccountEvent says out of an account row's tuple: asking the row by name costs ten times as much."""

FILLABLE = frozenset({"SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_CANCEL"})
"""States in which a simulated broker has the order."""


class Engine:
    """One account's engine. Construct it with a configuration, or restore it from a snapshot."""

    def __init__(self, configuration: Configuration) -> None:
        self.state: State = new_state(configuration)
        self.opinions = Opinions()
        self.clock = Clock(self.state.universe)
        self.control = Control()
        self._scratch()

    def _scratch(self) -> None:
        state = self.state
        n = len(state.universe.instruments)
        self._account, self._costs = state.account[0], state.costs[0]  # views, as the next two: no step makes new ones
        self._books = list(state.books)
        self._pnl, self._unit_equity = state.strategies["pnl"], state.strategies["unit_equity"]
        self._names = state.names
        self._closed = {interval: tuple(aggregate.closed) for interval, aggregate in state.aggregates.items()}
        self._rows = np.zeros((2, n), dtype=np.bool_)
        self._row = tuple(self._rows)
        self._turned, self._before = np.zeros(n, dtype=np.int64), np.zeros(n)
        self._settled, self._outcomes = np.zeros((n, 2), dtype=np.int64), np.zeros((n, 3))
        self._laid = -1

    # --- inputs -------------------------------------------------------------------------------------------------------

    def due(self, before_ns: int) -> int | None:
        """Return the next instant of the due table that is not after ``before_ns``: call ``on_timer`` with it first."""
        edge, opinion = self.clock.next_instant(), self.opinions.next_instant()
        first = opinion if edge is None or (opinion is not None and opinion < edge) else edge
        return first if first is not None and first <= before_ns else None

    def on_timer(self, event: TimerEvent) -> list[Output]:
        """Let begin and end what is due at an instant."""
        self._renew_opinions(event.instant_ns)
        outcomes = int(self.state.strategies["outcomes"].sum())
        oldest = getattr(self.state.configuration.settings.limits, "covariance_max_age_sessions", LONGEST)
        return self.clock.advance(event.instant_ns, outcomes, int(oldest))

    def on_stance(self, event: StanceEvent) -> list[Output]:
        """Take an agent's stance; it acts from its effective_from."""
        state = self.state
        refused = self.opinions.add_stance(event, state.names, state.universe.index)
        if refused:
            return [self._alert("STANCE_REFUSED", "warning", f"strategy:{event.strategy}", refused)]
        self._renew_opinions(self.now_ns)
        return []

    def on_model(self, event: ModelEvent) -> list[Output]:
        """Take a fitted artefact, or the news that its fit failed."""
        refused = self.opinions.add_model(event, self.now_ns)
        if event.outcome == "failed":
            if event.name == "covariance":
                self.clock.covariance_failed()
            refused = f"{event.occurrence}: the fit failed, the version in force stays ({event.reason})"
        return [self._alert("MODEL_REFUSED", "warning", "account", refused)] if refused else []

    def on_control(self, event: ControlEvent) -> list[Output]:
        """Take a person's act: configure, kill, release, enable, reconciled, halt."""
        return self.control.apply(self, event)

    def on_order_event(self, event: BrokerEvent) -> list[Output]:
        """Take a broker's answer on an order."""
        return execution.on_broker(self.state, event, self.now_ns)

    def on_fill(self, event: FillEvent) -> list[Output]:
        """Take an execution."""
        return execution.on_fill(self.state, event, self.now_ns)

    def booked(self, fill: FillEvent) -> bool | None:
        """Return whether an execution was taken already; None where it belongs to no order of the station."""
        order = self.state.orders.get(fill.order_id) or self.state.closed_orders.get(fill.order_id)
        return None if order is None else f"{fill.broker}:{fill.execution_id}" in order.executions

    def simulated_fills(self, market: MarketSlice, broker: str) -> list[FillEvent]:
        """Return what a slice does to a simulated broker's working orders, in order-id order; changes no position."""
        self._lay(market)
        if not self.state.orders:
            return []
        working = [order for order in self.open_orders() if order.state in FILLABLE]
        return market_fills(working, self.state.universe, self._costs, broker)

    def on_slice(self, market: MarketSlice) -> list[Output]:
        """Take all bars of one close and say what follows from them."""
        state, universe, now_ns = self.state, self.state.universe, market.close_ns
        outputs = self._pass_time(now_ns)
        self._lay(market)
        self._laid = -1
        if universe.present:
            self.clock.traded = True
            outputs += self._open(now_ns)
            fill_and_mark(
                universe.symbols,
                universe.bars,
                state.books,
                state.strategies,
                state.account,
                state.costs,
                universe.rates,
            )
        else:
            value(state.account, universe.symbols, state.books, state.strategies, universe.rates)
        self._account["engine_ns"] = now_ns
        if state.orders:
            outputs += execution.expire(state, now_ns, everything=market.ended)
        if universe.present:
            outputs += self.control.breakers(state, now_ns)
            outputs += self._run_policies(now_ns)
            outputs += self._decide(now_ns, last=market.ended)
        if universe.present or market.ended:
            outputs.append(say("AccountEvent", self._account_event(now_ns)))
        return outputs

    # --- steps of a slice ---------------------------------------------------------------------------------------------

    def _pass_time(self, now_ns: int) -> list[Output]:
        """Start the clock at the first slice; later instants come by ``on_timer``: this catches those not called."""
        new = len(self.clock.phases) < len(self.state.universe.calendars)
        outputs = self.clock.start(now_ns) if new else []
        while (instant := self.due(now_ns)) is not None:
            outputs += self.on_timer(TimerEvent(instant_ns=instant))
        return outputs

    def _lay(self, market: MarketSlice) -> None:
        if self._laid != market.close_ns:
            self.state.universe.lay(market)
            self._laid = market.close_ns

    def _open(self, now_ns: int) -> list[Output]:
        """Begin a new day and book crossed lots: what happens at the open of this slice's bars."""
        state, account = self.state, self._account
        day = state.universe.day_of(now_ns)
        if day != account["day"]:
            account["day"] = day
            account["day_start_equity"] = account["breaker_day_start"] = account["equity"]
            state.strategies["day_start_pnl"] = state.strategies["pnl"]
        if not state.crossing:
            return []
        outputs = execution.cross_at_open(state, self.now_ns)
        state.crossing = bool(state.books["crossing"].any())
        return outputs

    def _renew_opinions(self, now_ns: int) -> None:
        if self.opinions.advance(now_ns):
            self._write_multipliers(now_ns)

    def _write_multipliers(self, now_ns: int) -> None:
        state, limits = self.state, self.state.configuration.settings.limits
        self.opinions.write_multipliers(
            now_ns, state.rows, state.universe.index, state.books, (limits.stance_low, limits.stance_high)
        )

    def _run_policies(self, now_ns: int) -> list[Output]:
        state, universe = self.state, self.state.universe
        outputs: list[Output] = []
        for interval, aggregate in state.aggregates.items():
            count = advance(
                aggregate.buckets,
                aggregate.interval_ns,
                now_ns,
                universe.bars,
                universe.session_open_ns,
                universe.session_close_ns,
                aggregate.closed,
            )
            if count == 0:
                continue
            for row, present in enumerate(select(aggregate.closed, self._rows)):
                for s in aggregate.strategies if present else ():
                    outputs += self._run_policy(s, self._closed[interval][row], self._row[row], now_ns)
        return outputs

    def _run_policy(self, s: int, bars: Any, closed: Any, now_ns: int) -> list[Output]:
        """Let one policy take its closed bars; say which targets turned and which outcomes settled."""
        run, books = self.state.runs[s], self._books[s]
        run.policy.loop(run.state, run.parameters, bars, closed, run.targets, run.scores, run.features)
        turned, settled = take_targets(
            books, closed, bars, run.targets, run.scores, run.policy.horizon_bars,
            self._turned, self._before, self._settled, self._outcomes,
        )  # fmt: skip
        if not turned and not settled:
            return []
        outputs = [self._outcome(s, k, now_ns) for k in range(settled)]
        rows, before = self._turned[:turned].tolist(), self._before[:turned].tolist()
        outputs += [self._signal(s, i, old, now_ns) for i, old in zip(rows, before, strict=True)]
        return outputs

    def _outcome(self, s: int, k: int, now_ns: int) -> Output:
        state, name = self.state, self.state.names[s]
        i, signal_ns = self._settled[k].tolist()
        score, direction, change = self._outcomes[k].tolist()
        hit = change * direction > 0.0
        row = state.strategies[s]
        row["outcomes"] += 1
        row["hits"] += int(hit)
        payload = OutcomeEvent(
            engine_ns=now_ns,
            strategy=name,
            symbol=state.universe.instruments[i].symbol,
            signal_ns=signal_ns,
            score=score,
            direction=int(direction),
            hit=hit,
            return_=change,
        )
        return say("OutcomeEvent", payload, name)

    def confidence_of(self, s: int, score: float) -> tuple[float | None, str]:
        """Return strategy s's confidence in a score and the calibrator that says so."""
        row = self.state.strategies[s]
        return confidence(
            self.opinions.calibrators.get(self.state.names[s]), score, int(row["hits"]), int(row["outcomes"])
        )

    def _signal(self, s: int, i: int, old: float, now_ns: int) -> Output:
        run = self.state.runs[s]
        score = float(run.scores[i])
        probability, calibrator = self.confidence_of(s, score)
        payload = SignalEvent(
            engine_ns=now_ns,
            strategy=run.policy.name,
            symbol=self.state.universe.instruments[i].symbol,
            interval_s=run.policy.interval_s,
            target=float(run.targets[i]),
            previous_target=old,
            score=score,
            features=dict(zip(run.policy.features, run.features[i].tolist(), strict=True)),
            stance_multiplier=float(self.state.books[s, i]["stance"]),
            calibrator=calibrator,
            outcomes=int(self.state.strategies[s]["outcomes"]),
        )
        return say("SignalEvent", payload, run.policy.name, probability)

    def _decide(self, now_ns: int, *, last: bool) -> list[Output]:
        """Turn targets into intents; after the last slice of the data nothing could fill, so nothing is decided."""
        state, universe = self.state, self.state.universe
        blocked = last or self.control.blocks_all(state)
        outputs = self._turn(now_ns) if state.orders and not blocked else []
        said = size_and_decide(
            universe.symbols, state.books, state.strategies, state.account, state.costs, state.limits, universe.rates,
            now_ns, blocked, state.wants, state.masks, state.values, state.limits_met,
        )  # fmt: skip
        if not said:
            return outputs
        for i, mask in enumerate(state.masks.tolist()):
            if mask == CROSSED:
                state.crossing = True
            elif mask == ALLOWED:
                execution.forget_denials(state, i)
                outputs += execution.intend(state, i, now_ns)
            elif mask != NOTHING:
                outputs += execution.deny(state, i, now_ns)
        return outputs

    def _turn(self, now_ns: int) -> list[Output]:
        """Cancel working orders that the targets no longer want: an order the other way would meet them.

        A symbol waits for its cancels' answers before anything new is decided in it.
        """
        state = self.state
        wrong = [order for order in state.orders.values() if self._contradicted(order)]
        outputs = execution.cancel(state, wrong, now_ns, "targets turned")
        for order in state.orders.values():
            if order.state == "PENDING_CANCEL":
                state.masks[state.universe.index[order.symbol]] = WAITING
        return outputs

    def _contradicted(self, order: Order) -> bool:
        state, universe = self.state, self.state.universe
        i, side = universe.index[order.symbol], order.signed
        tables = universe.symbols, state.books, state.strategies, state.account, state.costs, state.limits
        return bool(contradicts(i, side, *tables, universe.rates))

    # --- readings -----------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Event time of the last slice, 0 before the first."""
        return int(self._account["engine_ns"])

    def open_orders(self) -> list[Order]:
        """Orders that may still fill, in order-id order: their time priority."""
        return sorted(self.state.orders.values(), key=lambda order: order.order_id)

    def _account_event(self, now_ns: int) -> AccountEvent:
        cash, fees, equity, gross, net, realised, unrealised, high, fall, start = MARKED(self._account.item())
        return AccountEvent(
            engine_ns=now_ns,
            cash_micro=cash,
            fees_micro=fees,
            equity=equity,
            gross=gross,
            net=net,
            realised=realised,
            unrealised=unrealised,
            high_water=high,
            drawdown=fall,
            day_pnl=equity - start,
            strategies=dict(zip(self._names, self._pnl.tolist(), strict=True)),
            units=dict(zip(self._names, self._unit_equity.tolist(), strict=True)),
        )

    def _alert(self, rule: str, severity: Any, scope: str, message: str) -> Output:
        return say(
            "RiskAlert", RiskAlert(engine_ns=self.now_ns, rule=rule, severity=severity, scope=scope, message=message)
        )

    # --- snapshots ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Return the whole state; ``Engine.restore`` of it continues exactly as this engine would."""
        return pack(self)

    @classmethod
    def restore(cls, content: bytes) -> "Engine":
        """Return the engine that a snapshot was taken of.

        Raises
        ------
        engine.snapshot.SnapshotError
            if the content is not a snapshot of this version's layout.
        """
        configuration, fill_in = unpack(content)
        engine = cls(configuration)
        fill_in(engine)
        return engine

    def view(self) -> dict[str, Any]:
        """Return the engine's part of the worker's view (docs/architecture.md)."""
        from engine.view import view  # noqa: PLC0415 - view imports the engine's type

        return view(self)

    def reconfigured(self, state: State) -> None:
        """Continue on another state: a configuration with more instruments."""
        self.state = state
        self.clock.universe = state.universe
        self._scratch()

    def settings_changed(self) -> None:
        """Let opinions act under the settings and instruments in force now."""
        self._write_multipliers(self.now_ns)


def configuration_of(event: ControlEvent) -> Configuration:
    """Return the configuration that a configure event carries.

    Raises
    ------
    msgspec.ValidationError
        naming the field that is missing, unknown or of the wrong type.
    """
    return msgspec.json.decode(event.content, type=Configuration)

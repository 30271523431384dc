"""The deterministic engine: inputs in, records out; no clock, no randomness, no I/O.

One step is one input. A slice goes marks -> breakers -> policies -> sizing -> netting -> checks -> intents; what it
says depends on the inputs so far and on nothing else, so the same journal gives the same bytes.
"""

from operator import itemgetter
from typing import Any

import msgspec
import numpy as np

from agents.calibration import confidence
from engine import algorithms, answers, breakers, corporate, execution, flatten, gate, modify
from engine.clock import Clock
from engine.configuration import Configuration
from engine.control import Control
from engine.decisions import ALLOWED, CROSSED, NOTHING, WAITING
from engine.fills import Taken, after_slice, slice_fills
from engine.financing import Financing
from engine.layout import ACCOUNT
from engine.messages import may_cancel
from engine.opinions import Opinions
from engine.orders import Order
from engine.output import Output, say
from engine.parents import Parent
from engine.rounds import Rounds
from engine.snapshot import pack, unpack
from engine.state import State, new_state, weigh
from engine.steps import contradicts, fill_and_mark, select, size_and_decide, take_targets, value
from engine.terms import terms_of
from engine.vetoes import Vetoes
from events.types import (
    AccountEvent,
    BrokerEvent,
    Change,
    ControlEvent,
    CorporateActionEvent,
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
from risk.black_swan import write_variances

MARKED = itemgetter(*(
    (ACCOUNT.names or ()).index(name)
    for name in (
        "cash_micro", "fees_micro", "equity", "gross", "net", "realised", "unrealised", "high_water", "drawdown",
        "day_start_equity", "financing_micro", "dividends_micro",
    )
))  # fmt: skip
"""Takes what an AccountEvent says out of an account row's tuple: asking the row by name costs ten times as much."""

FILLABLE = frozenset({"SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_UPDATE", "PENDING_CANCEL", "EXTERNAL"})
"""States in which a simulated broker has the order."""


class Engine:
    """One account's engine. Construct it with a configuration, or restore it from a snapshot."""

    def __init__(self, configuration: Configuration) -> None:
        self.state: State = new_state(configuration)
        self.opinions = Opinions()
        self.clock = Clock(self.state.universe)
        self.control = Control()
        self.vetoes = Vetoes()
        self.financing = Financing()
        self.rounds = Rounds()
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
        self._taken: tuple[int, Taken] = (-1, {})

    # --- inputs -------------------------------------------------------------------------------------------------------

    def due(self, before_ns: int) -> int | None:
        """Return the next instant of the due table that is not after ``before_ns``: call ``on_timer`` with it first."""
        held, first = self.state.allocation, None
        for instant in (
            self.clock.next_instant(), self.opinions.next_instant(), self.financing.next_instant(self.state),
            self.rounds.next_instant(self.state), None if held is None else held.ends(),
        ):  # fmt: skip
            if instant is not None and (first is None or instant < first):
                first = instant
        return first if first is not None and first <= before_ns else None

    def on_timer(self, event: TimerEvent) -> list[Output]:
        """Let begin and end what is due at an instant."""
        self._renew_opinions(event.instant_ns)
        weigh(self.state, event.instant_ns)
        charged = self.financing.advance(self.state, event.instant_ns)
        outcomes = int(self.state.strategies["outcomes"].sum())
        oldest = self.state.configuration.settings.limits.covariance_max_age_sessions
        passed = self.clock.advance(event.instant_ns, outcomes, int(oldest))
        return charged + passed + self.rounds.advance(self.state, event.instant_ns)

    def on_corporate_action(self, event: CorporateActionEvent) -> list[Output]:
        """Take a split or a dividend, in force from the next slice on; let what is due before it happen first."""
        outputs = corporate.on_corporate_action(self.state, event, self.now_ns)
        if any(output.type == "AdjustmentEvent" for output in outputs) and event.kind == "split":
            self.vetoes.split(event.symbol, event.numerator, event.denominator)
        return outputs

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
        """Take a person's act: configure, kill, release, enable, reconciled, halt, flatten."""
        outputs = self.control.apply(self, event)
        if self.state.parents:
            outputs += algorithms.end_blocked(self.state, self.now_ns)
        return outputs + self._flatten(self.now_ns)

    def on_order_event(self, event: BrokerEvent) -> list[Output]:
        """Take a broker's answer on an order."""
        return answers.on_broker(self.state, event, self.now_ns) + self._flatten(self.now_ns)

    def on_fill(self, event: FillEvent) -> list[Output]:
        """Take an execution, its correction or its bust."""
        outputs = execution.on_fill(self.state, event, self.now_ns)
        self.clock.fills += sum(output.type == "TradeEvent" for output in outputs)
        return outputs

    def on_change(self, order_id: str, change: Change) -> tuple[str, list[Output]]:
        """Ask for a change of a working order; return why it is refused ("" if it is not) and what follows."""
        order = self.state.orders.get(order_id)
        if order is None:
            return f"order {order_id} does not work", []
        return modify.request(self.state, order, change, self.now_ns)

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
        taken = dict(self.state.taken)
        fills = slice_fills(working, self.state.universe, self._costs, broker, market.quotes, taken)
        self._taken = (market.close_ns, taken)
        return fills

    def on_slice(self, market: MarketSlice) -> list[Output]:
        """Take all bars of one close and say what follows from them."""
        state, universe, now_ns = self.state, self.state.universe, market.close_ns
        outputs = self._pass_time(now_ns)
        self._lay(market)
        self._laid = -1
        if universe.present:
            self.clock.traded = True
            outputs += self._open(now_ns)
            guards = state.guards
            found, reached = fill_and_mark(
                universe.symbols, universe.bars, state.books, state.strategies, state.account, state.costs,
                state.limits, universe.rates, universe.rate_sources, now_ns, guards.swans, guards.station,
                guards.minutes, guards.variances, guards.of_strategies, guards.of_symbols,
            )  # fmt: skip
        else:
            value(state.account, universe.symbols, state.books, state.strategies, universe.rates)
        self._account["engine_ns"] = now_ns
        if self.vetoes.opened:
            outputs += self.vetoes.settle(state, now_ns, everything=market.ended)
        if state.orders:
            if self._taken[0] == now_ns:
                state.taken = self._taken[1]
            after_slice(state.orders.values(), universe, market.quotes)
            outputs += execution.expire(state, now_ns, everything=market.ended)
        if state.parents:
            outputs += algorithms.expire(state, now_ns, everything=market.ended)
        if universe.present:
            outputs += breakers.spreads(state, market.quotes, now_ns)
            outputs += self.control.breakers(state, found, reached, now_ns)
            outputs += self._run_policies(now_ns)
            outputs += self._decide(now_ns, last=market.ended)
            if not market.ended:
                outputs += self._flatten(now_ns)
        if universe.present or market.ended:
            outputs.append(say("AccountEvent", self._account_event(now_ns)))
        return outputs

    # --- steps of a slice ---------------------------------------------------------------------------------------------

    def _pass_time(self, now_ns: int) -> list[Output]:
        """Start the clock at the first slice; later instants come by ``on_timer``: this catches those not called."""
        new = any(calendar not in self.clock.phases for calendar in self.state.universe.calendars)
        outputs = self.clock.start(now_ns) if new else []
        if new:
            self.financing.start(self.state, now_ns)
            self.rounds.start(now_ns)
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
            state.strategies["day_start_pnl"] = state.guards.of_strategies["start"] = state.strategies["pnl"]
            state.guards.of_symbols["start"] = state.guards.of_symbols["pnl"]
            self._renew_age(day)
        if not state.crossing:
            return []
        outputs = execution.cross_at_open(state, self.now_ns)
        state.crossing = bool(state.books["crossing"].any())
        return outputs

    def _renew_opinions(self, now_ns: int) -> None:
        before = self.opinions.covariance
        if self.opinions.advance(now_ns):
            self._write_multipliers(now_ns)
        if self.opinions.covariance is not before:
            self._lay_covariance()

    def _lay_covariance(self) -> None:
        """Lay the covariance in force over the kernel's table; symbols that it does not have stay zero."""
        given, guards = self.opinions.covariance, self.state.guards
        guards.covariance[:] = 0.0
        if given is None:
            return
        rows = [self.state.universe.index.get(symbol, -1) for symbol in given.symbols]
        for i, line in zip(rows, given.covariance, strict=True):
            for j, entry in zip(rows, line, strict=True):
                if i >= 0 and j >= 0:
                    guards.covariance[i, j] = entry
        guards.risk["fitted"] = 1
        self._renew_age(int(self._account["day"]))

    def _renew_age(self, day: int) -> None:
        """Count the sessions that began since the last one that the covariance was fitted on."""
        given = self.opinions.covariance
        if given is not None:
            self.state.guards.risk["age"] = self.state.universe.sessions_since(given.through, day + 1)

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
                aggregate.buckets, aggregate.interval_ns, now_ns, universe.bars,
                universe.session_open_ns, universe.session_close_ns, aggregate.closed,
            )  # fmt: skip
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
            engine_ns=now_ns, strategy=name, symbol=state.universe.instruments[i].symbol, signal_ns=signal_ns,
            score=score, direction=int(direction), hit=hit, return_=change,
        )  # fmt: skip
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
        if state.parents:
            outputs += algorithms.advance(state, now_ns, contradicted=self._contradicted)
        said = size_and_decide(
            universe.symbols, state.books, state.strategies, state.account, state.costs, state.limits, universe.rates,
            now_ns, blocked, state.wants, state.masks, state.guards.risk, state.guards.weights,
            state.guards.covariance, state.guards.variances, state.values, state.limits_met,
        )  # fmt: skip
        if not said:
            return outputs
        for i, mask in enumerate(state.masks.tolist()):
            if mask == CROSSED:
                state.crossing = True
            elif mask != NOTHING:
                outputs += self._order(i, now_ns)
        return outputs

    def _order(self, i: int, now_ns: int) -> list[Output]:
        """Make an intent of what the checks allowed in symbol row i, or a denial of what they did not."""
        state = self.state
        terms = terms_of(state.configuration.settings.orders, state.universe.symbols[i], int(state.wants[i].sum()))
        mask = int(state.masks[i])
        if mask != ALLOWED or gate.judge_price(state, i, terms, now_ns) != ALLOWED:
            denied = execution.deny(state, i, now_ns, terms)
            self.vetoes.take(state, denied[0].payload)
            return denied
        execution.forget_denials(state, i)
        return algorithms.intend(state, i, now_ns, terms)

    def _flatten(self, now_ns: int) -> list[Output]:
        """Send what a flatten still has to sell or buy back."""
        return flatten.step(self, self.control.flattening, now_ns) if self.control.flattening else []

    def _turn(self, now_ns: int) -> list[Output]:
        """Cancel working orders that the targets no longer want: an order the other way would meet them.

        A symbol waits for its cancels' answers before anything new is decided in it.
        """
        state = self.state
        wrong = [order for order in state.orders.values() if self._ours(order) and self._contradicted(order)]
        wrong = [order for order in wrong if order.state == "PENDING_CANCEL" or may_cancel(state, order, now_ns)]
        outputs = execution.cancel(state, wrong, now_ns, "targets turned")
        for order in state.orders.values():
            if order.state == "PENDING_CANCEL":
                state.masks[state.universe.index[order.symbol]] = WAITING
        return outputs

    @staticmethod
    def _ours(order: Order) -> bool:
        """Whether targets lead an order: not one that flattens, nor one that nobody here asked for."""
        return not order.purpose and not order.external

    def _contradicted(self, order: Order | Parent) -> bool:
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
        row = self._account.item()
        cash, fees, equity, gross, net, realised, unrealised, high, fall, start, financing, dividends = MARKED(row)
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
            financing_micro=financing,
            dividends_micro=dividends,
            foreign_micro=self.state.foreign_cash(),
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
        write_variances(engine.state.guards.swans, engine.state.guards.variances)
        engine._lay_covariance()
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
        self._lay_covariance()

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

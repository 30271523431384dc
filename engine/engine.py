"""The deterministic engine: inputs in, records out; no clock, no randomness, no I/O.

One step is one input. A slice goes marks -> breakers -> policies -> sizing -> netting -> checks -> intents; what it says
depends on the inputs so far and on nothing else, so the same journal gives the same bytes.
"""

from typing import Any

import msgspec
import numpy as np

from agents.calibration import confidence
from engine import execution
from engine.clock import Clock
from engine.configuration import Configuration
from engine.control import Control
from engine.fills import market_fills
from engine.kernel import decide, mark_symbols, value_account
from engine.opinions import Opinions
from engine.orders import Order
from engine.outcomes import settle
from engine.output import Output, say
from engine.snapshot import pack, unpack
from engine.state import State, new_state
from engine.units import fill_units, size_units
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
)  # fmt: skip
from market.aggregation import advance

MICRO = 1e-6


class Engine:
    """One account's engine. Construct it with a configuration, or restore it from a snapshot."""

    def __init__(self, configuration: Configuration) -> None:
        self.state: State = new_state(configuration)
        self.opinions = Opinions()
        self.clock = Clock(self.state.universe)
        self.control = Control()
        self._scratch()

    def _scratch(self) -> None:
        n = len(self.state.universe.instruments)
        self._closed = np.zeros(n, dtype=np.bool_)
        self._settled = np.zeros((n, 2), dtype=np.int64)
        self._outcomes = np.zeros((n, 3))
        self._laid = -1

    # --- inputs -------------------------------------------------------------------------------------------------------

    def due(self, before_ns: int) -> int | None:
        """Return the next instant of the due table that is not after ``before_ns``: call ``on_timer`` with it first."""
        instants = [
            t for t in (self.clock.next_instant(), self.opinions.next_instant()) if t is not None and t <= before_ns
        ]
        return min(instants, default=None)

    def on_timer(self, event: TimerEvent) -> list[Output]:
        """Let begin and end what is due at an instant."""
        self._renew_opinions(event.instant_ns)
        outcomes = int(self.state.strategies["outcomes"].sum())
        return self.clock.advance(event.instant_ns, outcomes)

    def on_stance(self, event: StanceEvent) -> list[Output]:
        """Take an agent's stance; it acts from its effective_from."""
        state = self.state
        refused = self.opinions.add_stance(event, state.names)
        if refused:
            return [self._alert("STANCE_REFUSED", "warning", f"strategy:{event.strategy}", refused)]
        self._renew_opinions(self.now_ns)
        return []

    def on_model(self, event: ModelEvent) -> list[Output]:
        """Take a fitted artefact, or the news that its fit failed."""
        refused = self.opinions.add_model(event, self.now_ns)
        if event.outcome == "failed":
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

    def simulated_fills(self, market: MarketSlice, broker: str) -> list[FillEvent]:
        """Return what a slice does to the working orders of a simulated broker, in order-id order; changes no position."""
        self._lay(market)
        working = [
            order
            for order in self.open_orders()
            if order.state in {"SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_CANCEL"}
        ]
        if not working:
            return []
        universe = self.state.universe
        return market_fills(working, universe.index, universe.symbols, universe.bars, self.state.costs[0], broker)

    def on_slice(self, market: MarketSlice) -> list[Output]:
        """Take all bars of one close and say what follows from them."""
        state, universe, now_ns = self.state, self.state.universe, market.close_ns
        outputs = self._pass_time(now_ns)
        if self._lay(market):
            outputs += self._open(now_ns)
            fill_units(universe.symbols, universe.bars, state.books, state.strategies, state.costs[0], universe.rates)
            mark_symbols(universe.symbols, universe.bars, state.costs[0]["volatility_bars"])
        value_account(state.account[0], universe.symbols, state.books, state.strategies, universe.rates)
        state.account[0]["engine_ns"] = now_ns
        if universe._dirty:  # noqa: SLF001 - the rows that this slice touched
            outputs += self.control.breakers(state, now_ns)
            outputs += self._run_policies(now_ns)
            size_units(
                universe.symbols,
                state.books,
                state.strategies,
                state.limits[0],
                universe.rates,
                state.costs[0]["symbol_budget"],
            )
            outputs += self._decide(now_ns)
        outputs += execution.expire(state, now_ns, everything=market.ended)
        self._laid = -1
        if universe._dirty or market.ended:  # noqa: SLF001
            outputs.append(say("AccountEvent", self._account_event(now_ns)))
        return outputs

    # --- steps of a slice ---------------------------------------------------------------------------------------------

    def _pass_time(self, now_ns: int) -> list[Output]:
        """Start the clock at the first slice; later instants come by ``on_timer``, this catches a caller that skipped them."""
        outputs = self.clock.start(now_ns) if len(self.clock.phases) < len(self.state.universe.calendars) else []
        while (instant := self.due(now_ns)) is not None:
            outputs += self.on_timer(TimerEvent(instant_ns=instant))
        return outputs

    def _lay(self, market: MarketSlice) -> int:
        if self._laid != market.close_ns:
            self.state.universe.lay(market)
            self._laid = market.close_ns
        return len(self.state.universe._dirty)  # noqa: SLF001

    def _open(self, now_ns: int) -> list[Output]:
        """What happens at the open of this slice's bars: a new day begins, crossed lots are booked."""
        account, universe = self.state.account[0], self.state.universe
        day = universe.day_of(now_ns)
        if day != account["day"]:
            account["day"] = day
            account["day_start_equity"] = account["breaker_day_start"] = account["equity"]
            self.state.strategies["day_start_pnl"] = self.state.strategies["pnl"]
        return execution.cross_at_open(self.state, universe.bars, now_ns)

    def _renew_opinions(self, now_ns: int) -> None:
        state = self.state
        if self.opinions.advance(now_ns):
            limits = state.limits[0]
            self.opinions.write_multipliers(
                now_ns,
                state.names,
                state.universe.index,
                state.books,
                float(limits["stance_low"]),
                float(limits["stance_high"]),
            )

    def _run_policies(self, now_ns: int) -> list[Output]:
        state, universe, outputs = self.state, self.state.universe, []
        ready = {}
        for interval, aggregate in state.aggregates.items():
            ready[interval] = advance(
                aggregate.buckets,
                aggregate.interval_ns,
                now_ns,
                universe.bars,
                universe.session_open_ns,
                universe.session_close_ns,
                aggregate.closed,
            )
        for s, run in enumerate(state.runs):
            if ready[run.policy.interval_s] == 0:
                continue
            closed = state.aggregates[run.policy.interval_s].closed
            for row in (0, 1):
                outputs += self._run_policy(s, closed[row], now_ns)
        return outputs

    def _run_policy(self, s: int, bars: Any, now_ns: int) -> list[Output]:
        state, run = self.state, self.state.runs[s]
        np.copyto(self._closed, bars["present"])
        rows = np.flatnonzero(self._closed)
        if not len(rows):
            return []
        before = run.targets[rows].tolist()
        run.policy.loop(run.state, run.parameters, bars, self._closed, run.targets, run.scores, run.features)
        state.books[s]["target"][rows] = run.targets[rows]
        outputs = self._settle(s, bars, now_ns)
        after = run.targets[rows].tolist()
        for i, old, new in zip(rows.tolist(), before, after, strict=True):
            if old != new:
                outputs.append(self._signal(s, i, old, new, now_ns))
        return outputs

    def _settle(self, s: int, bars: Any, now_ns: int) -> list[Output]:
        state, run = self.state, self.state.runs[s]
        count = settle(
            state.books[s], self._closed, bars, run.scores, run.policy.horizon_bars, self._settled, self._outcomes
        )
        outputs = []
        for k in range(count):
            i, signal_ns = self._settled[k].tolist()
            score, direction, change = self._outcomes[k].tolist()
            hit = change * direction > 0.0
            state.strategies[s]["outcomes"] += 1
            state.strategies[s]["hits"] += int(hit)
            outputs.append(say("OutcomeEvent", OutcomeEvent(
                engine_ns=now_ns, strategy=run.policy.name, symbol=state.universe.instruments[i].symbol, signal_ns=signal_ns, score=score,
                direction=int(direction), hit=hit, return_=change,
            ), run.policy.name))  # fmt: skip
        return outputs

    def confidence_of(self, s: int, score: float) -> tuple[float | None, str]:
        """Return strategy s's confidence in a score and the calibrator that says so."""
        row = self.state.strategies[s]
        return confidence(
            self.opinions.calibrators.get(self.state.names[s]), score, int(row["hits"]), int(row["outcomes"])
        )

    def _signal(self, s: int, i: int, old: float, new: float, now_ns: int) -> Output:
        run = self.state.runs[s]
        score = float(run.scores[i])
        probability, calibrator = self.confidence_of(s, score)
        payload = SignalEvent(
            engine_ns=now_ns, strategy=run.policy.name, symbol=self.state.universe.instruments[i].symbol, interval_s=run.policy.interval_s,
            target=new, previous_target=old, score=score, features=dict(zip(run.policy.features, run.features[i].tolist(), strict=True)),
            stance_multiplier=float(self.state.books[s, i]["stance"]), calibrator=calibrator, outcomes=int(self.state.strategies[s]["outcomes"]),
        )  # fmt: skip
        return say("SignalEvent", payload, run.policy.name, probability)

    def _decide(self, now_ns: int) -> list[Output]:
        state, universe = self.state, self.state.universe
        if self.control.blocks_all(state):
            return []
        outputs = self._cancel_contradicted(now_ns)
        said = decide(
            universe.symbols, state.books, state.strategies, state.account[0], state.costs[0], state.limits[0], universe.rates,
            state.costs[0]["symbol_budget"], now_ns, state.wants, state.masks, state.values, state.limits_met,
        )  # fmt: skip
        if not said:
            return outputs
        for i in np.flatnonzero(state.masks >= 0).tolist():
            if state.masks[i] > 0:
                outputs += execution.deny(state, i, now_ns)
            elif int(state.wants[i].sum()) == 0:
                state.books[:, i]["crossing"] += state.wants[i]
            else:
                execution.forget_denials(state, i)
                outputs += execution.intend(state, i, now_ns)
        return outputs

    def _cancel_contradicted(self, now_ns: int) -> list[Output]:
        """Cancel working orders that the targets no longer want: an order the other way would meet them."""
        if not self.state.orders:
            return []
        wrong = [order for order in self.state.orders.values() if self._contradicted(order)]
        return execution.cancel(self.state, wrong, now_ns, "targets turned")

    def _contradicted(self, order: Order) -> bool:
        state, i = self.state, self.state.universe.index[order.symbol]
        row = state.universe.symbols[i]
        if row["present"] == 0 or row["mark"] <= 0.0:
            return False
        account, unit = state.account[0], row["lot_numerator"] / row["lot_denominator"]
        capital = float(account["equity"] * state.costs[0]["symbol_budget"] / (row["mark"] * unit))
        wanted = 0.0
        for s in range(len(state.runs)):
            held = state.books[s, i]
            wanted += (
                min(1.0, max(-1.0, float(held["target"] * held["stance"])))
                * float(state.strategies[s]["weight"])
                * capital
            )
        would_be = int(row["lots"] + row["working_buy"] - row["working_sell"])
        band = float(state.limits[0]["no_trade_band"]) * capital * float(state.strategies["weight"].max())
        return bool((would_be - wanted) * order.signed > band)

    # --- readings -----------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Event time of the last slice, 0 before the first."""
        return int(self.state.account[0]["engine_ns"])

    def open_orders(self) -> list[Order]:
        """Orders that may still fill, in order-id order: their time priority."""
        return sorted(self.state.orders.values(), key=lambda order: order.order_id)

    def _account_event(self, now_ns: int) -> AccountEvent:
        state, a = self.state, self.state.account[0]
        return AccountEvent(
            engine_ns=now_ns, cash_micro=int(a["cash_micro"]), fees_micro=int(a["fees_micro"]), equity=float(a["equity"]), gross=float(a["gross"]),
            net=float(a["net"]), realised=float(a["realised"]), unrealised=float(a["unrealised"]), high_water=float(a["high_water"]),
            drawdown=float(a["drawdown"]), day_pnl=float(a["equity"] - a["day_start_equity"]),
            strategies=dict(zip(state.names, state.strategies["pnl"].tolist(), strict=True)),
            units=dict(zip(state.names, state.strategies["unit_equity"].tolist(), strict=True)),
        )  # fmt: skip

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


def configuration_of(event: ControlEvent) -> Configuration:
    """Return the configuration that a configure event carries.

    Raises
    ------
    msgspec.ValidationError
        naming the field that is missing, unknown or of the wrong type.
    """
    return msgspec.json.decode(event.content, type=Configuration)

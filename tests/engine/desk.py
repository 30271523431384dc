"""A real engine whose targets a test sets by hand, with the worker's loop around it."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.configuration import Configuration, Settings, Source, load_settings
from engine.engine import Engine
from engine.output import Output
from events.types import Bar, BrokerEvent, ControlEvent, FillEvent, MarketSlice, TimerEvent
from market.instruments import Instrument

MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS
START_NS = 1_640_995_200_000_000_000  # 2022-01-01 00:00 UTC
FREE = {"fee_bps": 0.0, "half_spread_bps": 0.0, "impact_eta": 0.0, "volume_share": 1.0}
ALMOST = dict.fromkeys(("bullish", "bearish", "mean_reversion", "momentum"), 0.2499)
"""Weights that leave the cash which a purchase with all of the account costs beside its value: half a tick."""
NO_BOOKS = dict.fromkeys(("strategy_drawdown_warning", "strategy_drawdown", "strategy_daily_loss"), 1.0) | {
    "symbol_drawdown": 1.0, "symbol_daily_loss": 1.0,
}  # fmt: skip
"""Limits under which the account's breakers act alone."""
NO_SWANS = {"move": 100.0, "move_unknown": 100.0, "overnight": 100.0}
TINY_TICK = 1e-6  # half of it is less than a micro-unit: a fill without costs is at the open, rounded


def instrument(symbol: str, **fields: Any) -> Instrument:
    given = {
        "asset_class": "crypto", "exchange": "TEST", "calendar": "24/7", "currency": "USD", "tick": 0.01,
    } | fields  # fmt: skip
    return Instrument(symbol=symbol, **given)


def settings(**sections: dict[str, Any]) -> Settings:
    """The defaults with some fields of some sections changed."""
    given = msgspec.to_builtins(load_settings())
    for section, fields in sections.items():
        given[section] = given[section] | fields if section != "weights" else fields
    return msgspec.convert(given, Settings)


def configuration(
    instruments: Iterable[Instrument], version: int = 1, chosen: Settings | None = None, interval_s: int = 60
) -> Configuration:
    return Configuration(
        version=version,
        mode="PAPER",
        settings=chosen or load_settings(),
        instruments=list(instruments),
        source=Source(feed="test", label="SIMULATED", detail="by hand", interval_s=interval_s),
    )


def control(action: str, scope: str = "all", target: str = "", **fields: Any) -> ControlEvent:
    given = {"actor": "tester", "reason": "a test", "request_id": f"{action}-{scope}-{target}"} | fields
    return ControlEvent(action=action, scope=scope, target=target, **given)


def configure(chosen: Configuration) -> ControlEvent:
    return control("configure", content=msgspec.Raw(msgspec.json.encode(chosen)))


def start(chosen: Configuration) -> Engine:
    engine = Engine(chosen)
    engine.on_control(configure(chosen))
    engine.on_control(control("reconciled"))
    return engine


def bar(symbol: str, close_ns: int, prices: Any, volume: float = 1e6, interval_s: int = 60, **fields: Any) -> Bar:
    """Make a bar of (open, close), or of one price that stands still."""
    opened, closed = prices if isinstance(prices, tuple) else (prices, prices)
    return Bar(
        feed="test", symbol=symbol, open_ns=close_ns - interval_s * 1_000_000_000, interval_s=interval_s, open=opened,
        high=max(opened, closed), low=min(opened, closed), close=closed, volume=volume, close_ns=close_ns, **fields,
    )  # fmt: skip


def of_type(outputs: Iterable[Output], kind: str) -> list[Any]:
    return [output.payload for output in outputs if output.type == kind]


def in_state(outputs: Iterable[Output], state: str) -> list[Any]:
    return [order for order in of_type(outputs, "OrderEvent") if order.state == state]


def encoded(outputs: Iterable[Output]) -> list[bytes]:
    """The outputs as the journal has them, byte for byte."""
    return [msgspec.json.encode((o.type, o.agent_id, o.confidence, o.payload)) for o in outputs]


class Desk:
    """Drives one engine as the worker does: timers, the paper broker's fills, the slice, the broker's answers."""

    def __init__(
        self, *symbols: str | Instrument, at_ns: int = START_NS, answers: bool = True, **sections: Any
    ) -> None:
        made = [each if isinstance(each, Instrument) else instrument(each) for each in symbols or ("AAA",)]
        self.configuration = configuration(made, chosen=settings(**sections))
        self.engine = start(self.configuration)
        self.answers = answers  # the paper broker answers and fills; else the test is the broker
        self.now_ns = at_ns
        self.fills: list[FillEvent] = []
        self.silence()

    def silence(self) -> None:
        """Take the policies' voices: targets stay as the test sets them."""
        for run in self.engine.state.runs:
            run.policy = dataclasses.replace(run.policy, loop=lambda *_: None)

    def want(self, strategy: str, symbol: str = "AAA", target: float = 1.0) -> None:
        state = self.engine.state
        s, i = state.rows[strategy], state.universe.index[symbol]
        state.books[s, i]["target"] = state.runs[s].targets[i] = target

    def slice(
        self, prices: Any = None, volume: float = 1e6, *, step_ns: int = MINUTE_NS, **fields: Any
    ) -> list[Output]:
        """Feed the next close: ``prices`` by symbol, a number or (open, close)."""
        self.now_ns += step_ns
        bars = [bar(s, self.now_ns, p, volume) for s, p in sorted((prices or {}).items())]
        return self.feed(MarketSlice(feed="test", position="0-0", close_ns=self.now_ns, bars=bars, **fields))

    def feed(self, market: MarketSlice) -> list[Output]:
        engine, outputs = self.engine, []
        self.now_ns = market.close_ns
        while (instant := engine.due(market.close_ns)) is not None:
            outputs += engine.on_timer(TimerEvent(instant_ns=instant))
        self.fills = engine.simulated_fills(market, "paper") if self.answers else []
        for fill in self.fills:
            outputs += engine.on_fill(fill)
        outputs += engine.on_slice(market)
        return outputs + self.answer(outputs)

    def answer(self, outputs: list[Output]) -> list[Output]:
        """Let the broker answer what these outputs ask of it."""
        said: list[Output] = []
        for order in of_type(outputs, "OrderEvent") if self.answers else ():
            kind = {"INTENT": "ACCEPTED", "PENDING_CANCEL": "CANCELED"}.get(order.state)
            if kind:
                answered = self.broker(order.order_id, kind)
                said += answered + self.answer(answered)
        return said

    def broker(self, order_id: str, kind: str) -> list[Output]:
        return self.engine.on_order_event(
            BrokerEvent(broker="paper", order_id=order_id, kind=kind, broker_ns=self.now_ns)
        )

    def control(self, action: str, scope: str = "all", target: str = "", **fields: Any) -> list[Output]:
        outputs = self.engine.on_control(control(action, scope, target, **fields))
        return outputs + self.answer(outputs)

    def fill(
        self, order: Any, lots: int, price: float = 100.0, execution: str = "x1", fee_micro: int = 0
    ) -> list[Output]:
        return self.engine.on_fill(FillEvent(
            broker="paper", execution_id=execution, order_id=order.order_id, broker_ns=self.now_ns, symbol=order.symbol,
            side=order.side, lots=lots, price_micro=round(price * 1e6), fee_micro=fee_micro, reference_price=price,
        ))  # fmt: skip

    # --- readings -----------------------------------------------------------------------------------------------------

    def row(self, symbol: str = "AAA") -> Any:
        universe = self.engine.state.universe
        return universe.symbols[universe.index[symbol]]

    def lots(self, symbol: str = "AAA") -> int:
        return int(self.row(symbol)["lots"])

    def held(self, strategy: str, symbol: str = "AAA") -> int:
        state = self.engine.state
        return int(state.books[state.rows[strategy], state.universe.index[symbol]]["lots"])

    @property
    def account(self) -> dict[str, Any]:
        return self.engine.view()["account"]

    @property
    def state(self) -> str:
        return self.engine.view()["state"]

    def check_books(self) -> None:
        """What must hold after every step, whatever happened."""
        state = self.engine.state
        symbols, books = state.universe.symbols, state.books
        assert (books["lots"].sum(axis=0) == symbols["lots"]).all(), "the strategies' books are the net position"
        assert (books["crossing"].sum(axis=0) == 0).all()
        open_lots = {symbol: [0, 0] for symbol in state.universe.index}
        by_strategy, gross = dict.fromkeys(state.rows, 0), dict.fromkeys(state.rows, 0)
        for order in state.orders.values():
            open_lots[order.symbol][order.side == "SELL"] += max(0, order.reserved_lots - order.filled_lots)
            for name, lots in [*order.residual.items(), *order.extra.items()]:
                by_strategy[name] += lots
                gross[name] += abs(lots)
            for name, lots in order.crossed.items() if order.filled_lots == 0 else ():
                by_strategy[name] += lots
                gross[name] += abs(lots)
        for symbol, (bought, sold) in open_lots.items():
            row = self.row(symbol)
            assert (int(row["working_buy"]), int(row["working_sell"])) == (bought, sold), symbol
        assert {name: int(books[s]["working"].sum()) for name, s in state.rows.items()} == by_strategy
        assert {name: int(books[s]["working_gross"].sum()) for name, s in state.rows.items()} == gross

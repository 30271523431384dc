"""Trading states, the kill latch and the breakers: who may do what, and what follows."""

from typing import TYPE_CHECKING, Literal, cast

import msgspec
import numpy as np

from engine import breakers, execution, external
from engine.allocation import Allocation, fault
from engine.configuration import check_settings
from engine.layout import ACTIVE, HALTED, MAINTENANCE, REDUCING, STATES, UNCONFIGURED
from engine.output import Output, say
from engine.state import State, apply_settings, extend, lay_weights
from events.types import ControlAck, ControlEvent, RiskAlert, StateEvent
from market.instruments import Instrument

if TYPE_CHECKING:
    from engine.engine import Engine


class Control:
    """The kill latch, a rank above every state, and the breakers' memory."""

    def __init__(self) -> None:
        self.killed: list[str] = []  # scopes: all, strategy:NAME, symbol:NAME
        self.warned = False
        self.flattening: list[str] = []  # scopes that are being flattened, as they are named in ``killed``
        self.interrupted = ACTIVE  # the state that MAINTENANCE resumes
        self.trips: list[breakers.Trip] = []

    def apply(self, engine: "Engine", event: ControlEvent) -> list[Output]:
        """Do what a person asked, or say why not; every answer is a ControlAck."""
        handler = {
            "configure": self._configure, "kill": self._kill, "release": self._release, "enable": self._enable,
            "pause": self._pause, "reconciled": self._reconciled, "unreconciled": self._unreconciled,
            "halt": self._halt, "reduce": self._reduce, "flatten": self._flatten, "maintenance": self._maintain,
            "resume_maintenance": self._resume, "adopt": self._external, "ignore": self._external,
            "flatten_external": self._external, "drill_over": self._drill_over, "allocate": self._allocate,
        }.get(event.action)  # fmt: skip
        if handler is None:
            return [self._ack(engine, event, f"action {event.action} is not for the engine")]
        before = self._station(engine.state)
        refused, outputs = handler(engine, event)
        after = self._station(engine.state)
        if before != after:
            outputs.insert(
                0, self.state_event(engine.state, before[0], f"{event.action} by {event.actor}: {event.reason}")
            )
        return [*outputs, self._ack(engine, event, refused)]

    @staticmethod
    def _ack(engine: "Engine", event: ControlEvent, refused: str) -> Output:
        return say("ControlAck", ControlAck(
            engine_ns=engine.now_ns, request_id=event.request_id, action=event.action, accepted=not refused,
            reason=refused,
        ))  # fmt: skip

    def _station(self, state: State) -> tuple[str, tuple[str, ...]]:
        return STATES[int(state.account[0]["state"])], tuple(self.killed)

    def state_event(self, state: State, previous: str, cause: str) -> Output:
        """Return the record of the station's state, and the one before."""
        account = state.account[0]
        named = STATES[int(account["state"])] if account["state"] != UNCONFIGURED else "HALTED"
        event = StateEvent(
            engine_ns=int(account["engine_ns"]),
            state=cast("Literal['ACTIVE', 'REDUCING', 'HALTED', 'MAINTENANCE']", named),
            previous=previous,
            killed=list(self.killed),
            cause=cause,
        )
        return say("StateEvent", event)

    # --- acts ---------------------------------------------------------------------------------------------------------

    def _configure(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        from engine.engine import configuration_of  # noqa: PLC0415 - the engine's module imports this one

        try:
            configuration = configuration_of(event)
            if configuration.version < engine.state.version:
                return f"version {configuration.version} is older than {engine.state.version} in force", []
            check_settings(configuration.settings, f"of configuration {configuration.version}")
            own, given = engine.state.configuration.settings.account.currency, configuration.settings.account.currency
            if given != own:
                return f"configuration refused: account.currency is {own} and cannot become {given}", []
            known, rates = engine.state.universe.instruments, engine.state.configuration.settings.rates
            if configuration.instruments == known and [*configuration.settings.rates.items()] == [*rates.items()]:
                apply_settings(engine.state, configuration)
            else:
                engine.reconfigured(extend(engine.state, configuration))
        except (msgspec.MsgspecError, ValueError) as error:
            return f"configuration refused: {error}", []
        engine.settings_changed()
        self._latch(engine.state)
        account = engine.state.account[0]
        if account["state"] == UNCONFIGURED:
            account["state"] = ACTIVE
        foreign = engine.state.universe.untradable_for_currency()
        return "", [self._foreign(engine, foreign)] if foreign else []

    @staticmethod
    def _allocate(engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        """Take other weights: they act on the next decision."""
        state = engine.state
        try:
            given = msgspec.json.decode(event.content, type=Allocation)
        except msgspec.MsgspecError as error:
            return f"allocation refused: {error}", []
        given = given.running(engine.now_ns)
        if refused := fault(given, state.names, state.allocation_version):
            return f"allocation refused: {refused}", []
        state.allocation, state.allocation_version = given, given.version
        lay_weights(state, engine.now_ns)
        return "", []

    @staticmethod
    def _foreign(engine: "Engine", symbols: list[str]) -> Output:
        currency = engine.state.configuration.settings.account.currency
        message = f"{', '.join(symbols)}: no rate to {currency}, charted but not traded"
        return say(
            "RiskAlert",
            RiskAlert(engine_ns=engine.now_ns, rule="NO_RATE", severity="warning", scope="account", message=message),
        )

    def _kill(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        scope = _scope(event)
        refused = _unknown(engine.state, event)
        if refused:
            return refused, []
        if scope not in self.killed:
            self.killed.append(scope)
        self.flattening = []  # a kill that comes later stops it: what it has sent is cancelled too
        self._latch(engine.state)
        _drop_crossings(engine.state, event)
        orders = [order for order in engine.open_orders() if _in_scope(event, order.symbol, order.lots_by_strategy)]
        return "", execution.cancel(engine.state, orders, engine.now_ns, f"killed by {event.actor}")

    def _release(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        """Leave KILLED, HALTED or REDUCING: only a person does; breakers start from the equity accepted."""
        if not event.reason.strip():
            return "reason is empty; a release says why", []
        refused = _unknown(engine.state, event)
        if refused:
            return refused, []
        state, account = engine.state, engine.state.account[0]
        everything = event.scope in {"all", "account"}
        self.killed = [] if everything else [k for k in self.killed if k != _scope(event)]
        self.flattening = [] if everything else [k for k in self.flattening if k != _scope(event)]
        self._latch(state)
        if event.scope == "symbol":
            state.universe.symbols[state.universe.index[event.target]]["halted"] = 0
        if everything:
            state.universe.symbols["halted"] = 0
        if everything and account["state"] in {HALTED, REDUCING}:
            account["state"] = ACTIVE
            account["breaker_high_water"] = account["breaker_day_start"] = account["equity"]
            self.warned = False
        breakers.release(self, state, event, engine.now_ns)
        return "", []

    def _drill_over(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        """Lift the one kill of a drill: no state, no breaker and no other scope changes by it."""
        self.killed = [scope for scope in self.killed if scope != _scope(event)]
        self._latch(engine.state)
        return "", []

    def _enable(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        return self._switch(engine, event, 1)

    def _pause(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        return self._switch(engine, event, 0)

    def _switch(self, engine: "Engine", event: ControlEvent, enabled: int) -> tuple[str, list[Output]]:
        if event.scope != "strategy" or event.target not in engine.state.names:
            return f"target {event.target!r} is not a strategy; there are {', '.join(engine.state.names)}", []
        row = engine.state.strategies[engine.state.names.index(event.target)]
        if enabled:  # what is opened again is flattened no longer
            engine.control.flattening = [word for word in engine.control.flattening if word != _scope(event)]
        row["enabled"], row["denial_run"] = enabled, 0
        if enabled:
            breakers.release(self, engine.state, event, engine.now_ns)
        return "", []

    @staticmethod
    def _reconciled(engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:  # noqa: ARG004 - one shape for all acts
        engine.state.account[0]["reconciled"] = 1
        return "", []

    @staticmethod
    def _unreconciled(engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:  # noqa: ARG004
        engine.state.account[0]["reconciled"] = 0
        return "", []

    @staticmethod
    def _halt(engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        """Halt a symbol or the station: nothing new, what works is cancelled."""
        if event.scope == "strategy":
            return "scope strategy cannot be halted; allowed are all, account and symbol", []
        refused = _unknown(engine.state, event)
        if refused:
            return refused, []
        state = engine.state
        if event.scope == "symbol":
            state.universe.symbols[state.universe.index[event.target]]["halted"] = 1
        else:
            state.account[0]["state"] = HALTED
        _drop_crossings(state, event)
        orders = [order for order in engine.open_orders() if _in_scope(event, order.symbol, order.lots_by_strategy)]
        return "", execution.cancel(state, orders, engine.now_ns, f"halted by {event.actor}")

    def _flatten(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        """Cancel what works in the scope, then trade away what it holds (engine/flatten.py).

        What is flattened stays closed until a person opens it again: the station HALTED, a strategy switched off, a
        symbol halted, unless it is killed or halted already.
        """
        refused = _unknown(engine.state, event)
        if refused:
            return refused, []
        state, word = engine.state, _scope(event)
        if event.scope == "strategy":
            state.strategies[state.rows[event.target]]["enabled"] = 0
        elif event.scope == "symbol":
            state.universe.symbols[state.universe.index[event.target]]["halted"] = 1
        elif state.account[0]["state"] in {ACTIVE, REDUCING}:
            state.account[0]["state"] = HALTED
        elif state.account[0]["state"] == MAINTENANCE:
            self.interrupted = HALTED
        if word not in self.flattening:
            self.flattening.append(word)
        _drop_crossings(state, event)
        for order in (*state.orders.values(), *state.closed_orders.values()):
            if order.external and event.scope != "strategy" and _in_scope(event, order.symbol, {}):
                external.give(state, order, external.heaviest(state))
        orders = [order for order in engine.open_orders() if _in_scope(event, order.symbol, order.lots_by_strategy)]
        return "", execution.cancel(state, orders, engine.now_ns, f"flattened by {event.actor}")

    def _maintain(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        """Let nothing new out while the engine is worked on; what works stays, and cancels pass."""
        if event.scope not in {"all", "account"}:
            return f"scope {event.scope} cannot be in maintenance; allowed are all and account", []
        account = engine.state.account[0]
        if account["state"] == UNCONFIGURED:
            return "the station is UNCONFIGURED; there is nothing to interrupt", []
        if account["state"] != MAINTENANCE:
            self.interrupted = int(account["state"])
            account["state"] = MAINTENANCE
        return "", []

    def _resume(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:  # noqa: ARG002 - one shape for all acts
        """Go back to the state that the maintenance interrupted, or to the safer one that a breaker asked for since."""
        account = engine.state.account[0]
        if account["state"] != MAINTENANCE:
            return f"the station is {STATES[int(account['state'])]}, not in MAINTENANCE", []
        account["state"] = self.interrupted
        return "", []

    @staticmethod
    def _external(engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        return external.decide(engine.state, event, engine.now_ns)

    def _reduce(self, engine: "Engine", event: ControlEvent) -> tuple[str, list[Output]]:
        """Let the station's exposure only fall; orders that could raise it are cancelled. HALTED stays HALTED."""
        if event.scope not in {"all", "account"}:
            return f"scope {event.scope} cannot be reduced; allowed are all and account", []
        state = engine.state
        if state.account[0]["state"] == MAINTENANCE:  # acts at the resumption
            self.interrupted = max(self.interrupted, REDUCING)
        if state.account[0]["state"] != ACTIVE:
            return "", []
        state.account[0]["state"] = REDUCING
        _drop_crossings(state, event)
        orders = execution.raising_orders(state)
        return "", execution.cancel(state, orders, engine.now_ns, f"reducing by {event.actor}")

    def _latch(self, state: State) -> None:
        """Write the kill latch into the tables that the checks read."""
        state.account[0]["killed"] = int("all" in self.killed)
        for row, name in zip(state.strategies, state.names, strict=True):
            row["killed"] = int(f"strategy:{name}" in self.killed)
        for i, instrument in enumerate(state.universe.instruments):
            state.universe.symbols[i]["killed"] = int(f"symbol:{instrument.symbol}" in self.killed)

    # --- rules --------------------------------------------------------------------------------------------------------

    def blocks_all(self, state: State) -> bool:
        """Whether no decision is wanted at all: each would only be denied."""
        account = state.account[0]
        return bool(account["killed"] or not account["reconciled"] or account["state"] not in {ACTIVE, REDUCING})

    def breakers(self, state: State, found: int, reached: int, now_ns: int) -> list[Output]:
        """Act on what a mark brought (engine/breakers.py)."""
        return breakers.after_mark(self, state, found, reached, now_ns)


def _scope(event: ControlEvent) -> str:
    return "all" if event.scope in {"all", "account"} else f"{event.scope}:{event.target}"


def _unknown(state: State, event: ControlEvent) -> str:
    if event.scope == "strategy" and event.target not in state.names:
        return f"target {event.target!r} is not a strategy; there are {', '.join(state.names)}"
    if event.scope == "symbol" and event.target not in state.universe.index:
        return f"target {event.target!r} is not a symbol of the station"
    return ""


def _in_scope(event: ControlEvent, symbol: str, strategies: dict[str, int]) -> bool:
    if event.scope == "symbol":
        return symbol == event.target
    return event.scope != "strategy" or event.target in strategies


def _drop_crossings(state: State, event: ControlEvent) -> None:
    """Forget the lots that strategies in scope wait to cross, and those on the other side of them."""
    if state.crossing:
        wanted = [_in_scope(event, i.symbol, _waiting(state, column)) for i, column in _columns(state)]
        breakers.drop_crossings(state, np.array(wanted, dtype=np.bool_))


def _columns(state: State) -> list[tuple[Instrument, list[int]]]:
    return list(zip(state.universe.instruments, state.books["crossing"].T.tolist(), strict=True))


def _waiting(state: State, column: list[int]) -> dict[str, int]:
    return {name: lots for name, lots in zip(state.names, column, strict=True) if lots}

"""What follows when a breaker or the black-swan detector acts: states, halts, cancels, and a record of who released it.

Nothing here re-arms itself: a level that was reached stays until a person releases the station or the symbol, or
enables the strategy; the marks start anew from what that person accepted.
"""

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from engine import execution
from engine.layout import ACTIVE, HALTED, MAINTENANCE, REDUCING, STATES
from engine.orders import Order
from engine.output import Output, finite, say
from engine.state import State
from events.types import ControlEvent, Quote, RiskAlert
from risk import black_swan, breakers

if TYPE_CHECKING:
    from engine.control import Control

LEVELS = {breakers.REDUCING: REDUCING, breakers.HALTED: HALTED}
REMEMBERED = 200  # trips that a page may list


class Trip(msgspec.Struct, kw_only=True):
    """A breaker that acted; value and limit are fractions or, of the detector's symbols, deviations."""

    rule: str
    scope: str  # account, strategy:NAME, symbol:NAME
    level: str  # WARNING, REDUCING, HALTED
    value: float
    limit: float
    tripped_ns: int
    released_by: str = ""
    released_ns: int = 0
    reason: str = ""


def after_mark(control: "Control", state: State, found: int, reached: int, now_ns: int) -> list[Output]:
    """Act on what a mark brought: ``found`` by the detector, ``reached`` by strategies and symbols, and the account."""
    outputs = _swans(control, state, now_ns) if found else []
    if reached:
        outputs += _books(control, state, now_ns)
    return outputs + _account(control, state, now_ns)


def _account(control: "Control", state: State, now_ns: int) -> list[Output]:
    """Judge the account; a level once reached stays until a person releases it."""
    level, rule, value, limit = breakers.judge(state.account[0], state.configuration.settings.limits)
    if level == breakers.NONE or (level == breakers.WARNING and control.warned):
        return []
    if level == breakers.WARNING:
        control.warned = True
        return [_record(control, rule, "account", "WARNING", value, limit, now_ns, "warned")]
    account, wanted = state.account[0], LEVELS[level]
    if account["state"] == MAINTENANCE and wanted > control.interrupted:
        control.interrupted = wanted
        did = f"{STATES[wanted]} when the maintenance ends"
        return [_record(control, rule, "account", STATES[wanted], value, limit, now_ns, did)]
    if account["state"] not in {ACTIVE, REDUCING} or account["state"] >= wanted:
        return []
    return _step_down(control, state, wanted, rule, value, limit, now_ns)


def _step_down(  # noqa: PLR0917 - one line of numbers
    control: "Control", state: State, wanted: int, rule: str, value: float, limit: float, now_ns: int
) -> list[Output]:
    """Bring the station into REDUCING or HALTED and take back the orders that may not work there."""
    account = state.account[0]
    previous = STATES[int(account["state"])]
    account["state"] = wanted
    cause = f"{rule} {value:.4f} is beyond {limit:g}"
    outputs = [
        control.state_event(state, previous, cause),
        _record(control, rule, "account", STATES[wanted], value, limit, now_ns, STATES[wanted]),
    ]
    orders = list(state.orders.values()) if wanted == HALTED else execution.raising_orders(state)
    if wanted == HALTED:
        drop_crossings(state, np.ones(len(state.universe.instruments), dtype=np.bool_))
    return outputs + execution.cancel(state, orders, now_ns, cause)


def _books(control: "Control", state: State, now_ns: int) -> list[Output]:
    """Act on strategies and symbols that reached a level: a strategy may only reduce, a symbol is halted."""
    outputs: list[Output] = []
    for s in np.flatnonzero(state.guards.of_strategies["rule"]).tolist():
        own, name = state.guards.of_strategies[s], state.names[s]
        rule, value, limit = f"STRATEGY_{breakers.RULES[own['rule']]}", float(own["value"]), float(own["limit"])
        if own["level"] < breakers.REDUCING:
            outputs.append(_record(control, rule, f"strategy:{name}", "WARNING", value, limit, now_ns, "warned"))
            continue
        state.strategies[s]["enabled"] = 0
        outputs.append(_record(
            control, rule, f"strategy:{name}", "REDUCING", value, limit, now_ns,
            "it may only reduce until a person enables it",
        ))  # fmt: skip
        drop_crossings(state, state.books[s]["crossing"] != 0)
        wrong = [order for order in state.orders.values() if _raises(state, order, s, name)]
        outputs += execution.cancel(state, wrong, now_ns, f"{rule} of {name}")
    for i in np.flatnonzero(state.guards.of_symbols["rule"]).tolist():
        own = state.guards.of_symbols[i]
        if own["level"] >= breakers.REDUCING:
            rule = f"SYMBOL_{breakers.RULES[own['rule']]}"
            outputs += _halt_symbol(control, state, i, rule, float(own["value"]), float(own["limit"]), now_ns)
    return outputs


def _raises(state: State, order: Order, s: int, name: str) -> bool:
    """Whether an order could raise a strategy's position in its symbol."""
    lots = order.lots_by_strategy.get(name, 0)
    held = int(state.books[s, state.universe.index[order.symbol]]["lots"])
    return lots != 0 and lots * held >= 0


def _swans(control: "Control", state: State, now_ns: int) -> list[Output]:
    """Act on what the detector found: symbols halt alone, the station by the index or when many trip together."""
    outputs: list[Output] = []
    whole, given = state.guards.station[0], state.configuration.settings.black_swan
    for i in np.flatnonzero(state.guards.swans["found"]).tolist():
        own, symbol = state.guards.swans[i], state.universe.instruments[i].symbol
        rule, value, limit = black_swan.RULES[own["found"]], float(own["value"]), float(own["limit"])
        if own["found"] == black_swan.CORRELATION:
            message = f"{symbol} and {given.index} correlate {value:.2f} in the last half hour: they used to move alike"
            outputs.append(_alert(rule, f"symbol:{symbol}", "warning", value, limit, now_ns, message))
        else:
            outputs += _halt_symbol(control, state, i, rule, value, limit, now_ns, move=float(own["move"]))
    if whole["gap_ns"]:
        seconds = float(whole["gap_ns"]) / 1e9
        message = f"no bar for {seconds:.0f} s within a session"
        outputs.append(_alert("FEED_GAP", "account", "warning", seconds, seconds, now_ns, message))
    if whole["found_level"]:
        limit = float(whole["falls"][int(whole["found_level"]) - 1])
        outputs += _halt_station(control, state, "INDEX_FALL", float(whole["fall"]), limit, now_ns)
    if whole["found_together"]:
        share = float(whole["found_together"]) / max(1, int(whole["known"]))
        outputs += _halt_station(control, state, "SYMBOLS_TOGETHER", share, float(whole["share"]), now_ns)
    return outputs


def spreads(state: State, quotes: list[Quote], now_ns: int) -> list[Output]:
    """Warn of spreads beyond ten times the usual, once a session and symbol.

    A quote of the session's first instant is of the book before it opened and is not judged.
    """
    outputs: list[Output] = []
    for quote in quotes:
        i = state.universe.index[quote.symbol]
        row, own = state.universe.symbols[i], state.guards.swans[i]
        if not row["session_open_ns"] < quote.ts_ns < row["session_close_ns"]:
            continue
        assert quote.bid is not None  # noqa: S101 - narrows the type: a valid quote has both
        assert quote.ask is not None  # noqa: S101
        spread, usual = 2.0 * (quote.ask - quote.bid) / (quote.ask + quote.bid), float(own["spread"])
        if black_swan.widens(own, spread) and own["widened_ns"] != row["session_open_ns"]:
            own["widened_ns"] = row["session_open_ns"]
            message = f"the spread of {quote.symbol} is {spread * 1e4:.1f} basis points; {usual * 1e4:.1f} are usual"
            limit = black_swan.WIDE * usual
            outputs.append(_alert("SPREAD_WIDE", f"symbol:{quote.symbol}", "warning", spread, limit, now_ns, message))
    return outputs


def _halt_station(  # noqa: PLR0917 - one line of numbers
    control: "Control", state: State, rule: str, value: float, limit: float, now_ns: int
) -> list[Output]:
    if state.account[0]["state"] in {ACTIVE, REDUCING, MAINTENANCE}:
        return _step_down(control, state, HALTED, rule, value, limit, now_ns)
    return [_record(control, rule, "account", "HALTED", value, limit, now_ns, "the station halts already")]


def _halt_symbol(  # noqa: PLR0917 - one line of numbers
    control: "Control", state: State, i: int, rule: str, value: float, limit: float, now_ns: int, move: float = 0.0
) -> list[Output]:
    symbol = state.universe.instruments[i].symbol
    state.universe.symbols[i]["halted"] = 1
    only = np.zeros(len(state.universe.instruments), dtype=np.bool_)
    only[i] = True
    drop_crossings(state, only)
    orders = [order for order in state.orders.values() if order.symbol == symbol]
    said = _record(control, rule, f"symbol:{symbol}", "HALTED", value, limit, now_ns, f"{symbol} is halted", move)
    return [said, *execution.cancel(state, orders, now_ns, f"{rule}: {symbol} is halted")]


def drop_crossings(state: State, columns: Any) -> None:
    """Forget the lots that strategies wait to cross in some symbols, bool [n], and those on the other side of them."""
    if state.crossing:
        state.books["crossing"][:, columns] = 0
        state.crossing = bool(state.books["crossing"].any())


def _record(  # noqa: PLR0917 - one line of numbers
    control: "Control", rule: str, scope: str, level: str, value: float, limit: float, now_ns: int, did: str,
    move: float = 0.0,
) -> Output:  # fmt: skip
    control.trips.append(Trip(rule=rule, scope=scope, level=level, value=value, limit=limit, tripped_ns=now_ns))
    del control.trips[:-REMEMBERED]
    if move:
        message = f"{rule}: a return of {move:.2%} is {value:.1f} deviations, beyond {limit:g}: {did}"
    else:
        message = f"{rule} {value:.2%} is beyond {limit:.2%}: {did}"
    severity: Literal["warning", "critical"] = "warning" if level == "WARNING" else "critical"
    return _alert(rule, scope, severity, value, limit, now_ns, message)


def _alert(  # noqa: PLR0917 - one line of numbers
    rule: str, scope: str, severity: Literal["warning", "critical"], value: float, limit: float, now_ns: int,
    message: str,
) -> Output:  # fmt: skip
    return say("RiskAlert", RiskAlert(
        engine_ns=now_ns, rule=rule, severity=severity, scope=scope, message=message,
        numbers={"value": finite(value), "limit": finite(limit)},
    ))  # fmt: skip


# --- release ----------------------------------------------------------------------------------------------------------


def release(control: "Control", state: State, event: ControlEvent, now_ns: int) -> None:
    """Re-arm what a person released: of the station, of a symbol, or of a strategy that was enabled."""
    guards = state.guards
    if event.scope in {"all", "account"}:
        _start_anew(guards.of_symbols)
        guards.swans["tripped_ns"] = 0
        guards.station["together_ns"] = 0
    elif event.scope == "symbol":
        i = state.universe.index[event.target]
        _start_anew(guards.of_symbols[i : i + 1])
        guards.swans["tripped_ns"][i] = 0
    elif event.action == "enable":
        s = state.rows[event.target]
        if guards.of_strategies["level"][s] >= breakers.REDUCING:
            _start_anew(guards.of_strategies[s : s + 1])
    for trip in control.trips:
        if not trip.released_by and _covered(trip, event):
            trip.released_by, trip.released_ns, trip.reason = event.actor, now_ns, event.reason


def _start_anew(rows: Any) -> None:
    rows["level"] = breakers.NONE
    rows["high"] = rows["start"] = rows["pnl"]


def _covered(trip: Trip, event: ControlEvent) -> bool:
    """Whether a person's act releases a trip: all of the account and its symbols, or the one named."""
    if event.scope in {"all", "account"}:
        return not trip.scope.startswith("strategy:")
    return trip.scope == f"{event.scope}:{event.target}" and (event.scope == "symbol" or event.action == "enable")


# --- view -------------------------------------------------------------------------------------------------------------


def view(control: "Control", state: State) -> list[dict[str, Any]]:
    """Return every breaker of account, index and strategies with what it stands at, and all trips of symbols.

    level is what it would do; tripped_ns is None where it has not acted since it was last armed; released_by and
    released_ns tell of the last release.
    """
    limits, account = state.configuration.settings.limits, state.account[0]
    drawdown, loss = breakers.fractions(account)
    standing: list[tuple[str, str, str, float, float]] = [
        ("DRAWDOWN", "account", "WARNING", drawdown, limits.drawdown_warning),
        ("DRAWDOWN", "account", "REDUCING", drawdown, limits.drawdown_reducing),
        ("DRAWDOWN", "account", "HALTED", drawdown, limits.drawdown_halted),
        ("DAILY_LOSS", "account", "REDUCING", loss, limits.daily_loss),
    ]
    i = int(state.guards.station["index"][0])
    if i >= 0:
        row = state.universe.symbols[i]
        fall = max(0.0, 1.0 - float(row["mark"] / row["previous_close"])) if row["previous_close"] > 0.0 else 0.0
        standing += [("INDEX_FALL", "account", "HALTED", fall, float(x)) for x in state.guards.station["falls"][0]]
    for s, name in enumerate(state.names):
        own, scope = state.guards.of_strategies[s], f"strategy:{name}"
        fell, lost = float(own["drawdown"]), float(own["loss"])
        standing += [
            ("STRATEGY_DRAWDOWN", scope, "WARNING", fell, limits.strategy_drawdown_warning),
            ("STRATEGY_DRAWDOWN", scope, "REDUCING", fell, limits.strategy_drawdown),
            ("STRATEGY_DAILY_LOSS", scope, "REDUCING", lost, limits.strategy_daily_loss),
        ]
    latest = {(trip.rule, trip.scope, trip.level, trip.limit): trip for trip in control.trips}
    shown = []
    for rule, scope, level, value, limit in standing:
        trip = latest.pop((rule, scope, level, limit), None)
        shown.append(_shown(Trip(rule=rule, scope=scope, level=level, value=value, limit=limit, tripped_ns=0), trip))
    return shown + [_shown(trip, trip) for trip in reversed(latest.values())]


def _shown(standing: Trip, trip: Trip | None) -> dict[str, Any]:
    acted = trip is not None and not trip.released_by
    return {
        "rule": standing.rule, "scope": standing.scope, "level": standing.level, "value": standing.value,
        "limit": standing.limit, "tripped_ns": trip.tripped_ns if trip is not None and acted else None,
        "tripped_value": trip.value if trip is not None and acted else None,
        "released_by": trip.released_by if trip is not None else "",
        "released_ns": trip.released_ns if trip is not None else 0,
        "reason": trip.reason if trip is not None else "",
    }  # fmt: skip

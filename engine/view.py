"""The engine as a page reads it: plain numbers, the same that the journal holds."""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine import breakers
from engine.layout import STATES
from engine.ledger import average_price
from engine.orders import Order
from risk.var_limit import Z99

if TYPE_CHECKING:
    from engine.engine import Engine

MICRO = 1e-6


def view(engine: "Engine") -> dict[str, Any]:
    """Return account, positions, strategies, symbols, phases and open orders (docs/architecture.md names every key)."""
    state, account = engine.state, engine.state.account[0]
    return {
        "engine_ns": engine.now_ns,
        "mode": state.configuration.mode,
        "state": STATES[int(account["state"])],
        "killed": list(engine.control.killed),
        "configuration": state.version,
        "reconciled": bool(account["reconciled"]),
        "limits": msgspec.to_builtins(state.configuration.settings.limits),
        "account": _account(engine),
        "positions": _positions(engine),
        "strategies": {name: _strategy(engine, s) for s, name in enumerate(state.names)},
        "symbols": {instrument.symbol: _symbol(engine, i) for i, instrument in enumerate(state.universe.instruments)},
        "phases": {
            calendar: {"phase": phase.name, "session": phase.session, "until_ns": phase.until_ns, "next": phase.next}
            for calendar, phase in engine.clock.phases.items()
        },
        "open_orders": [
            order_view(order, state.universe.lot_sizes[state.universe.index[order.symbol]])
            for order in engine.open_orders()
        ],
        "breakers": breakers.view(engine.control, state),
        "vetoes": engine.vetoes.view(),
        "var": _value_at_risk(engine),
        "allocation_version": state.allocation_version,
        "allocation": None if state.allocation is None else msgspec.to_builtins(state.allocation),
    }


def order_view(order: Order, units_per_lot: float) -> dict[str, Any]:
    """Return an order as pages show it."""
    filled = order.filled_lots * units_per_lot
    return {
        "order_id": order.order_id, "engine_ns": order.engine_ns, "symbol": order.symbol, "side": order.side,
        "lots": order.lots,
        "filled_lots": order.filled_lots, "type": order.type, "limit_ticks": order.limit_ticks, "state": order.state,
        "lots_by_strategy": dict(order.lots_by_strategy), "expected_price": order.expected_price,
        "average_price": order.filled_value / filled if filled else None, "denials": [], "reason": order.reason,
    }  # fmt: skip


def _account(engine: "Engine") -> dict[str, Any]:
    a, settings = engine.state.account[0], engine.state.configuration.settings.account
    return {
        "currency": settings.currency, "initial_cash": int(a["initial_micro"]) * MICRO, "equity": float(a["equity"]),
        "cash": int(a["cash_micro"]) * MICRO, "fees": int(a["fees_micro"]) * MICRO, "slippage": float(a["slippage"]),
        "realised": float(a["realised"]), "unrealised": float(a["unrealised"]), "gross": float(a["gross"]),
        "net": float(a["net"]),
        "high_water": float(a["high_water"]), "drawdown": float(a["drawdown"]),
        "financing": int(a["financing_micro"]) * MICRO, "dividends": int(a["dividends_micro"]) * MICRO,
        "foreign": {name: amount * MICRO for name, amount in engine.state.foreign_cash().items()},
        "day_pnl": float(a["equity"] - a["day_start_equity"]), "day_start_equity": float(a["day_start_equity"]),
    }  # fmt: skip


def _value_at_risk(engine: "Engine") -> dict[str, Any]:
    """Return what VAR_LIMIT would see now (risk/var_limit.py), with everything that works counted as filled.

    Reckoned beside the kernel's own row, which it leaves as it is: value is in account currency, share of the equity;
    age_sessions is the covariance's, None until one has come.
    """
    state, guards = engine.state, engine.state.guards
    symbols, rates = state.universe.symbols, state.universe.rates
    lots = symbols["lots"] + symbols["working_buy"] - symbols["working_sell"]
    values = lots * symbols["mark"] * np.asarray(state.universe.lot_sizes) * rates[symbols["currency"]]
    known = np.diag(guards.covariance) != 0.0
    variance = float(values[known] @ guards.covariance[np.ix_(known, known)] @ values[known])
    outside = float((np.abs(values[~known]) * np.sqrt(guards.variances[~known])).sum())
    value = Z99 * (max(0.0, variance) ** 0.5 + outside)
    equity, fitted = float(state.account[0]["equity"]), bool(guards.risk["fitted"][0])
    return {
        "value": value, "share": value / equity if equity > 0.0 else None, "fitted": fitted,
        "age_sessions": int(guards.risk["age"][0]) if fitted else None,
    }  # fmt: skip


def _positions(engine: "Engine") -> dict[str, Any]:
    state, found = engine.state, {}
    for i, instrument in enumerate(state.universe.instruments):
        row = state.universe.symbols[i]
        realised = float(row["realised"] + row["realised_rest"])
        if row["lots"] == 0 and realised == 0.0:
            continue
        unit = instrument.lot_numerator / instrument.lot_denominator
        quantity, mark = int(row["lots"]) * unit, float(row["mark"])
        cost = float(row["basis"] + row["basis_rest"])
        found[instrument.symbol] = {
            "lots": int(row["lots"]), "qty": quantity, "average": float(average_price(row, unit)),
            "mark": mark, "mark_ns": int(row["mark_ns"]),
            "value": quantity * mark, "unrealised": quantity * mark - cost if row["lots"] else 0.0,
            "realised": realised,
            "by_strategy": {
                name: lots * unit
                for name, lots in zip(state.names, state.books[:, i]["lots"].tolist(), strict=True)
                if lots
            },
        }  # fmt: skip
    return found


def _strategy(engine: "Engine", s: int) -> dict[str, Any]:
    state, run, row = engine.state, engine.state.runs[s], engine.state.strategies[s]
    targets = run.targets
    strongest = int(abs(run.scores * (targets != 0.0)).argmax()) if len(targets) else 0
    score = float(run.scores[strongest]) if len(targets) else 0.0
    probability, calibrator = engine.confidence_of(s, score)
    return {
        "title": run.policy.title, "weight": float(row["weight"]), "enabled": bool(row["enabled"]),
        "state": "killed" if row["killed"] else "active" if row["enabled"] else "off", "pnl": float(row["pnl"]),
        "day_pnl": float(row["pnl"] - row["day_start_pnl"]), "gross": float(row["gross"]), "net": float(row["net"]),
        "unit_equity": float(row["unit_equity"]), "confidence": probability, "calibrator": calibrator,
        "outcomes": int(row["outcomes"]),
        "targets": {
            instrument.symbol: target
            for instrument, target in zip(state.universe.instruments, targets.tolist(), strict=True)
            if target != 0.0
        },
        "stances": {
            instrument.symbol: float(state.books[s, i]["stance"])
            for i, instrument in enumerate(state.universe.instruments) if state.books[s, i]["stance"] != 1.0
        },
    }  # fmt: skip


def _symbol(engine: "Engine", i: int) -> dict[str, Any]:
    state, instrument, row = engine.state, engine.state.universe.instruments[i], engine.state.universe.symbols[i]
    last, before = float(row["mark"]), float(row["previous_close"])
    inside = bool(row["session_open_ns"] < engine.now_ns <= row["session_close_ns"])
    allowed_ns = 2 * int(row["interval_ns"]) + int(float(state.limits[0]["stale_after_s"]) * 1e9)
    return {
        "last": last or None, "last_ns": int(row["mark_ns"]), "previous_close": before or None,
        "change": last / before - 1.0 if before else None, "volume": float(row["volume"]), "in_session": inside,
        "stale": inside and engine.now_ns - int(row["mark_ns"]) > allowed_ns, "bars": int(row["bars"]),
        "halted": bool(row["halted"]),
        "asset_class": instrument.asset_class, "currency": instrument.currency, "calendar": instrument.calendar,
        "tradable": bool(row["tradable"]), "proxy": instrument.proxy,
        "interval_s": int(row["interval_ns"]) // 1_000_000_000,
    }  # fmt: skip

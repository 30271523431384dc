"""A view and a store as a worker and a recorder would write them: constructed and repeatable, for the pages alone."""

import math
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from engine.configuration import load_settings
from market.store.embedded import EmbeddedStore
from market.store.port import BarRow, Batch, EquityRow, EventRow, LifeRow, OrderRow, Position, TradeRow

NEW_YORK = ZoneInfo("America/New_York")
SECOND = 1_000_000_000
OPEN_NS = int(datetime(2019, 2, 13, 9, 30, tzinfo=NEW_YORK).timestamp()) * SECOND
PRICES = {
    "AAPL": 170.42,
    "AMZN": 1640.02,
    "BAC": 28.62,
    "JPM": 102.31,
    "MSFT": 106.98,
    "MU": 41.1,
    "SPY": 275.33,
    "TSLA": 308.14,
}
STRATEGIES = {"bullish": "Bullish", "bearish": "Bearish", "mean_reversion": "Mean-reversion", "momentum": "Momentum"}
MINUTES = 318


def price(symbol: str, minute: float) -> float:
    """Return a made-up close."""
    base, phase = PRICES[symbol], sum(map(ord, symbol))
    return round(base * (1 + 0.004 * math.sin(minute / 37 + phase) + 0.001 * math.sin(minute / 3 + phase)), 4)


def order(number: int, minute: int, symbol: str, state: str, **more: Any) -> dict[str, Any]:
    """Return an order as the worker's view has it."""
    side, lots = more.pop("side", "BUY"), more.pop("lots", 40)
    expected = price(symbol, minute)
    filled = state == "FILLED"
    return {
        "order_id": f"O-{number:06d}",
        "engine_ns": OPEN_NS + minute * 60 * SECOND,
        "symbol": symbol,
        "side": side,
        "lots": lots,
        "filled_lots": lots if filled else 0,
        "type": "MARKET",
        "limit_ticks": None,
        "state": state,
        "lots_by_strategy": {"bullish": lots + 12, "bearish": -12},
        "expected_price": expected,
        "average_price": expected * (1.00003 if side == "BUY" else 1.00011) if filled else None,
        "denials": [],
        "reason": "",
        **more,
    }


def latest_orders(minute: int) -> list[dict[str, Any]]:
    """Return some orders, newest first."""
    denied = [{"code": "MAX_POSITION", "value": 1.0421, "limit": 1.0}]
    names = list(PRICES)
    found = []
    for back in range(14):
        state = "RISK_DENIED" if back == 5 else "SUBMITTED" if back == 0 else "FILLED"
        more = {
            "side": "SELL" if back % 3 else "BUY",
            "lots": 10 + 7 * back,
            "denials": denied if state == "RISK_DENIED" else [],
        }
        found.append(order(500 + minute - back, minute - back, names[back % 8], state, **more))
    return found


def _symbols(minute: int, wall: int, change: dict[str, Any]) -> dict[str, Any]:
    return {
        symbol: {
            "last": price(symbol, minute),
            "last_ns": OPEN_NS + minute * 60 * SECOND,
            "previous_close": base,
            "change": price(symbol, minute) / base - 1,
            "volume": 1_234_567.0 + minute * 1000,
            "in_session": True,
            "stale": False,
            "bars": minute,
            "halted": False,
            "arrival_ns": wall,
            "asset_class": "etf" if symbol == "SPY" else "equity",
            "currency": "USD",
            "calendar": "XNYS",
            "tradable": True,
            "proxy": False,
            "interval_s": 60,
            **change,
        }
        for symbol, base in PRICES.items()
    }


def _positions(minute: int) -> dict[str, Any]:
    found = {}
    for index, symbol in enumerate(PRICES):
        lots = (120, 9, 0, -85, 210, -310, 44, -31)[index]
        mark, average = price(symbol, minute), PRICES[symbol]
        found[symbol] = {
            "lots": lots,
            "qty": float(lots),
            "average": average if lots else 0.0,
            "mark": mark,
            "mark_ns": OPEN_NS + minute * 60 * SECOND,
            "value": lots * mark,
            "unrealised": lots * (mark - average),
            "realised": 12.5 * (index - 3),
            "by_strategy": {"bullish": float(lots + 40), "bearish": -60.0, "momentum": 20.0},
        }
    return found


def breaker(rule: str, scope: str, level: str, value: float, limit: float, **more: Any) -> dict[str, Any]:
    """Return a breaker as the worker's view has it, armed unless ``more`` says otherwise."""
    return {
        "rule": rule, "scope": scope, "level": level, "value": value, "limit": limit, "tripped_ns": None,
        "tripped_value": None, "released_by": "", "released_ns": 0, "reason": "", **more,
    }  # fmt: skip


def breakers(*, tripped: bool = False) -> list[dict[str, Any]]:
    """Return the breakers of account, index and strategies; tripped: two of them and a symbol act, one was released."""
    limits, at = load_settings().limits, OPEN_NS + 250 * 60 * SECOND
    acted: dict[str, Any] = {"tripped_ns": at, "tripped_value": 0.0312} if tripped else {}
    slow: dict[str, Any] = {"tripped_ns": at + 52 * 60 * SECOND, "tripped_value": 0.1508} if tripped else {}
    warned: dict[str, Any] = {"tripped_ns": at - 20 * 60 * SECOND, "tripped_value": 0.1004} if tripped else {}
    said = {"released_by": "zoë", "released_ns": at - 160 * 60 * SECOND, "reason": "checked with the broker"}
    fell, lost = (0.0289, 0.0271) if tripped else (0.0062, 0.0)
    found = [
        breaker("DRAWDOWN", "account", "WARNING", fell, limits.drawdown_warning, **said if tripped else {}),
        breaker("DRAWDOWN", "account", "REDUCING", fell, limits.drawdown_reducing),
        breaker("DRAWDOWN", "account", "HALTED", fell, limits.drawdown_halted),
        breaker("DAILY_LOSS", "account", "REDUCING", lost, limits.daily_loss, **acted),
        *(breaker("INDEX_FALL", "account", "HALTED", 0.0041, fall) for fall in (0.07, 0.13, 0.2)),
    ]
    for index, name in enumerate(STRATEGIES):
        mine, scope = index == 1, f"strategy:{name}"
        fell = (0.012, 0.1613 if tripped else 0.091, 0.0, 0.023)[index]
        found += [
            breaker(
                "STRATEGY_DRAWDOWN", scope, "WARNING", fell, limits.strategy_drawdown_warning, **warned if mine else {}
            ),
            breaker("STRATEGY_DRAWDOWN", scope, "REDUCING", fell, limits.strategy_drawdown, **slow if mine else {}),
            breaker("STRATEGY_DAILY_LOSS", scope, "REDUCING", fell / 4, limits.strategy_daily_loss),
        ]
    if tripped:
        found.append(breaker("SWAN_MINUTE", "symbol:TSLA", "HALTED", 9.4, 8.0, **acted | {"tripped_value": 9.4}))
        found.append(breaker("SWAN_DAY", "symbol:MU", "HALTED", 8.8, 8.0, **said))
    return found


def view(seq: int = 48_213, minute: int = MINUTES, **change: Any) -> dict[str, Any]:
    """Return a worker's view at a minute of the session of 2019-02-13; ``change`` replaces its keys."""
    wall = time.time_ns()
    positions = _positions(minute)
    net = sum(position["value"] for position in positions.values())
    gross = sum(abs(position["value"]) for position in positions.values())
    equity = 1_006_412.18 + 180 * math.sin(minute / 9)
    arrival = change.pop("arrival_ns", wall)
    alert = {
        "engine_ns": OPEN_NS + 300 * 60 * SECOND,
        "rule": "daily_loss_near",
        "severity": "warning",
        "scope": "strategy:bearish",
        "message": "Bearish is near its daily loss limit (81 %)",
    }
    told = {
        "engine_ns": OPEN_NS,
        "rule": "session",
        "severity": "info",
        "scope": "account",
        "message": "Session XNYS 2019-02-13 began",
    }
    fill = {
        "engine_ns": OPEN_NS + (minute - 1) * 60 * SECOND,
        "execution_id": f"E-{minute}",
        "order_id": f"O-{499 + minute:06d}",
        "symbol": "AAPL",
        "side": "BUY",
        "lots": 40,
        "quantity": 40.0,
        "price": price("AAPL", minute - 1),
        "fee": 0.68,
        "slippage": 0.41,
        "lots_by_strategy": {"bullish": 52, "bearish": -12},
    }
    made = {
        "seq": seq,
        "run": "7f3a91c2",
        "engine_ns": OPEN_NS + minute * 60 * SECOND,
        "wall_ns": wall,
        "mode": "PAPER",
        "operators": 1,
        "state": "ACTIVE",
        "killed": [],
        "configuration": 1,
        "reconciled": True,
        "source": {
            "feed": "replay",
            "label": "REPLAY",
            "detail": "us_min1_2019-02-11_2019-02-15_24sym.parquet",
            "interval_s": 60,
            "ended": False,
            "last_arrival_ns": arrival,
            "last_close_ns": OPEN_NS + minute * 60 * SECOND,
        },
        "account": {
            "currency": "USD",
            "initial_cash": 1_000_000.0,
            "equity": equity,
            "cash": equity - net,
            "fees": 214.52,
            "slippage": 387.1,
            "realised": 3120.44,
            "unrealised": net / 100,
            "gross": gross,
            "net": net,
            "high_water": 1_012_690.5,
            "drawdown": 1 - equity / 1_012_690.5,
            "day_pnl": 2184.06 + minute,
            "day_start_equity": 1_004_228.12,
        },
        "positions": positions,
        "strategies": {
            name: {
                "title": title,
                "weight": 0.25,
                "enabled": True,
                "state": "active",
                "pnl": (4102.0, -1960.5, 2214.25, 2056.0)[index] + minute,
                "day_pnl": (1310.0, -402.25, 880.0, 0.0)[index],
                "gross": 90_000.0,
                "net": (112_000.0, -21_000.0, 0.0, 60_000.0)[index],
                "unit_equity": 1_004_102.0,
                "confidence": None,
                "calibrator": "uncalibrated",
                "outcomes": 41,
                "targets": {"AAPL": 0.42, "SPY": -0.1},
                "orders": 120 + index,
                "fills": 118,
                "denied": index,
            }
            for index, (name, title) in enumerate(STRATEGIES.items())
        },
        "symbols": _symbols(minute, arrival, change.pop("symbol_change", {})),
        "phases": {
            "XNYS": {
                "phase": "market",
                "session": "2019-02-13",
                "until_ns": OPEN_NS + 390 * 60 * SECOND,
                "next": "transition",
            }
        },
        "open_orders": [entry for entry in latest_orders(minute) if entry["state"] == "SUBMITTED"],
        "orders": latest_orders(minute),
        "fills": [fill],
        "alerts": [alert, told],
        "counts": {
            "bars": minute * 8,
            "slices": minute,
            "orders": 490 + minute,
            "denied": 7,
            "fills": 471,
            "alerts": 2,
            "refused": {"LATE": 3},
            "late": 3,
            "gaps": 0,
        },
        "limits": msgspec.to_builtins(load_settings().limits),
        "breakers": breakers(),
        "vetoes": {"MAX_POSITION": {"count": 4, "saved": 310.5, "cost": 122.25, "net": 188.25, "pending": 1}},
        "var": {"value": 0.048 * equity, "share": 0.048, "fitted": True, "age_sessions": 3},
        "by_strategy": {},
        "tick_to_order_ms": {"p50": 1.21, "p95": 2.4, "p99": 2.94, "max": 6.02, "n": 318},
        "journal": {"seq": seq, "head": "9c" * 32, "unsynced": 0},
        "orders_sha256": "ab" * 32,
    }
    return made | change


def beats(
    processes: tuple[str, ...] = ("feed", "worker", "recorder", "relay", "web", "celery"),
) -> dict[str, dict[str, Any]]:
    """Return every process' status, just beaten."""
    now = time.time_ns()
    return {
        name: {
            "process": name,
            "pid": 4000 + index,
            "started_ns": now - 600 * SECOND,
            "beat_ns": now,
            "version": "0.1.0",
            "metrics": {"slices": 318.0, "lag": 0.0} if name == "recorder" else {},
        }
        for index, name in enumerate(processes)
    }


def _stored_order(entry: dict[str, Any], seq: int) -> OrderRow:
    return OrderRow(
        **{
            name: entry[name]
            for name in (
                "order_id",
                "engine_ns",
                "state",
                "symbol",
                "side",
                "lots",
                "filled_lots",
                "type",
                "limit_ticks",
                "lots_by_strategy",
                "expected_price",
                "denials",
                "reason",
            )
        },
        updated_ns=entry["engine_ns"] + 60 * SECOND,
        stop_ticks=None,
        time_in_force="DAY",
        expires_ns=None,
        seq=seq,
        writer="execution",
    )


def _life(entry: dict[str, Any], seq: int) -> list[LifeRow]:
    states = ["RISK_DENIED"] if entry["state"] == "RISK_DENIED" else ["INTENT", "SUBMITTED", "ACCEPTED", "FILLED"]
    return [
        LifeRow(
            order_id=entry["order_id"],
            ts_ns=entry["engine_ns"],
            utc_ns=time.time_ns(),
            type="OrderEvent",
            state=state,
            seq=seq * 10 + index,
            payload='{"state":"' + state + '","side":"BUY","lots":40}',
            writer="execution",
            hash_current="ab" * 32,
        )
        for index, state in enumerate(states)
    ]


def fill_store(path: Any, minutes: int = MINUTES) -> None:
    """Write bars, orders, trades and equity of a session into a store."""
    batch = Batch(writer="execution", position=Position(seq=48_200, hash="cd" * 32))
    for minute in range(minutes):
        at = OPEN_NS + minute * 60 * SECOND
        for symbol in PRICES:
            begin, end = price(symbol, minute - 1), price(symbol, minute)
            batch.bars.append(
                BarRow(
                    ts_ns=at,
                    symbol=symbol,
                    interval_s=60,
                    open=begin,
                    high=max(begin, end) * 1.0004,
                    low=min(begin, end) * 0.9996,
                    close=end,
                    volume=10_000.0 + 90 * (minute * 7 % 50),
                    close_ns=at + 60 * SECOND,
                    exchange="XNYS",
                    data_source="replay",
                )
            )
        equity = 1_006_412.18 + 900 * math.sin(minute / 40) - minute
        batch.equity.append(
            EquityRow(
                ts_ns=at,
                equity=equity,
                cash=equity,
                fees=1.0,
                gross=1.0,
                net=1.0,
                realised=0.0,
                unrealised=0.0,
                high_water=1_007_312.0,
                drawdown=1 - equity / 1_007_312.0,
                day_pnl=0.0,
                strategies={},
                units={},
                seq=minute,
                writer="execution",
            )
        )
        if minute % 3 == 0:
            entry = order(
                minute, minute, list(PRICES)[minute // 3 % 8], "RISK_DENIED" if minute % 33 == 0 else "FILLED"
            )
            if entry["state"] == "RISK_DENIED":
                entry["denials"] = [{"code": "MAX_POSITION", "value": 1.0421, "limit": 1.0}]
            else:
                batch.trades.append(
                    TradeRow(
                        engine_ns=at + 60 * SECOND,
                        execution_id=f"E-{minute}",
                        order_id=entry["order_id"],
                        symbol=entry["symbol"],
                        side="BUY",
                        lots=40,
                        quantity=40.0,
                        price=entry["average_price"],
                        fee=0.68,
                        slippage=0.41,
                        strategy_id="bullish",
                        lots_by_strategy={"bullish": 40},
                        crossed_lots=0,
                        realised={},
                        seq=minute,
                        writer="execution",
                    )
                )
            batch.orders.append(_stored_order(entry, minute))
            batch.life.extend(_life(entry, minute))
    batch.events.append(
        EventRow(
            ts_ns=OPEN_NS + 40 * 60 * SECOND,
            agent_id="engine",
            event_type="StateEvent",
            symbol="",
            signal_strength=None,
            confidence=None,
            competitive_score=None,
            metadata='{"state":"REDUCING","killed":[]}',
            hash_prev="",
            hash_current="",
            seq=3,
            writer="execution",
            run="7f3a91c2",
            utc_ns=0,
        )
    )
    store = EmbeddedStore(path, writing=True)
    store.write(batch)
    store.close()

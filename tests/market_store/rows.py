"""Rows of every kind, numbered."""

from market.store.port import (
    BarRow,
    Batch,
    EquityRow,
    EventRow,
    OrderRow,
    Position,
    TournamentAuditRow,
    TournamentResultRow,
    TradeRow,
)

MINUTE = 60_000_000_000
SYMBOLS, STATES = ("AAPL", "BAC", "SPY"), ("FILLED", "RISK_DENIED", "INTENT")


def order(number, **more):
    values = {
        "order_id": f"o{number:05d}",
        "engine_ns": number // 2 * MINUTE,
        "updated_ns": number * MINUTE,
        "state": STATES[number % 3],
        "symbol": SYMBOLS[number % len(SYMBOLS)],
        "side": "BUY" if number % 2 else "SELL",
        "lots": number + 1,
        "filled_lots": 0,
        "type": "MARKET",
        "limit_ticks": None,
        "stop_ticks": None,
        "time_in_force": "DAY",
        "expires_ns": None,
        "lots_by_strategy": {"momentum": 1, "bearish": -1 if number % 5 == 0 else 0},
        "expected_price": 10.5,
        "denials": [{"code": "MAX_NET", "value": 1.1, "limit": 1.0}] if number % 7 == 0 else [],
        "reason": "",
        "seq": number,
        "writer": "execution",
    }
    return OrderRow(**{**values, **more})


def trade(number, **more):
    values = {
        "engine_ns": number // 2 * MINUTE,
        "execution_id": f"e{number}",
        "order_id": f"o{number:05d}",
        "symbol": SYMBOLS[number % len(SYMBOLS)],
        "side": "BUY",
        "lots": 2,
        "quantity": 2.0,
        "price": 10.0 + number,
        "fee": 0.25,
        "slippage": 0.5,
        "strategy_id": "momentum",
        "lots_by_strategy": {"momentum": 2, "bearish": 0},
        "crossed_lots": 0,
        "realised": {"momentum": 1.5},
        "seq": 1000 + number,
        "writer": "execution",
    }
    return TradeRow(**{**values, **more})


def equity(number, value):
    return EquityRow(
        ts_ns=number * MINUTE,
        equity=value,
        cash=1.0,
        fees=0.0,
        gross=0.0,
        net=0.0,
        realised=0.0,
        unrealised=0.0,
        high_water=value,
        drawdown=0.0,
        day_pnl=0.0,
        strategies={"momentum": 1.0},
        units={"momentum": 2.0},
        seq=number,
        writer="execution",
    )


def bar(number, symbol="AAPL", interval_s=60, **more):
    values = {
        "ts_ns": number * interval_s * 1_000_000_000,
        "symbol": symbol,
        "interval_s": interval_s,
        "open": 10.0 + number,
        "high": 12.0 + number,
        "low": 9.0 + number,
        "close": 11.0 + number,
        "volume": 100.0,
        "close_ns": (number + 1) * interval_s * 1_000_000_000,
        "data_source": "test",
        "seq": number,
        "writer": "execution",
    }
    return BarRow(**{**values, **more})


def event(number, **more):
    values = {
        "ts_ns": number // 2 * MINUTE,
        "agent_id": "momentum",
        "event_type": "SignalEvent",
        "symbol": "AAPL",
        "signal_strength": 0.5,
        "confidence": None,
        "competitive_score": None,
        "metadata": '{"a":1}',
        "hash_prev": "0" * 64,
        "hash_current": f"{number:064x}",
        "seq": number,
        "writer": "execution",
        "run": "r",
        "utc_ns": number,
    }
    return EventRow(**{**values, **more})


EXTREME = 'it\'s "quoted" \\ a%b_c ~ $1 %s ünï \U0001f389\nnext line'
MOST = (1 << 63) - 1
ENTRANTS = ("bearish", "bullish", "mean_reversion", "momentum")


def result(number, **more):
    values = {
        "ts_ns": number // 2 * MINUTE,
        "tournament_id": f"tournament:XNYS:{number // 4:03d}",
        "strategy_id": ENTRANTS[number % 4],
        "prediction_accuracy": 0.25 + number / 1000,
        "challenge_resilience": 0.5,
        "risk_adjusted_return": 0.75,
        "capital_allocation_percent": 22.5,
        "tournament_metrics": {"skill": -0.01, "diversity_index": 0.9},
        "seq": number,
        "writer": "station",
    }
    return TournamentResultRow(**{**values, **more})


def audit(number, **more):
    """An event of a round, every fifth one its own: of no strategy."""
    values = {
        "ts_ns": number // 3 * MINUTE,
        "tournament_id": f"tournament:XNYS:{number // 10:03d}",
        "strategy_id": "" if number % 5 == 0 else ENTRANTS[number % 4],
        "event_type": "RoundEvent" if number % 5 == 0 else "CommitmentEvent",
        "event_data": f'{{"number":{number}}}',
        "cryptographic_hash": f"{number + 1:064x}",
        "previous_hash": f"{number:064x}",
        "seq": number,
        "writer": "station",
    }
    return TournamentAuditRow(**{**values, **more})


def batch(seq, **rows):
    return Batch(writer="execution", position=Position(seq=seq, hash=f"{seq:064x}"), **rows)

"""What a batch becomes in the embedded store's tables; every statement may be repeated without changing anything."""

from typing import Any

import msgspec

from market.store.port import Batch, OrderRow

_json = msgspec.json.Encoder().encode

ORDER_COLUMNS = (
    "order_id", "engine_ns", "updated_ns", "state", "symbol", "side", "lots", "filled_lots", "type", "limit_ticks",
    "stop_ticks", "time_in_force", "expires_ns", "lots_by_strategy", "expected_price", "denials", "reason", "seq",
    "writer", "mode",
)  # fmt: skip
_CHANGING = (
    "updated_ns", "state", "lots", "filled_lots", "limit_ticks", "stop_ticks", "expires_ns", "lots_by_strategy",
    "denials", "reason", "seq", "writer",
)  # fmt: skip

_ORDERS = (
    f"INSERT INTO orders ({', '.join(ORDER_COLUMNS)}) VALUES ({', '.join('?' * len(ORDER_COLUMNS))}) "  # noqa: S608 - no input
    f"ON CONFLICT (order_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _CHANGING)} "
    "WHERE excluded.seq > orders.seq"
)
_TAGS = "INSERT INTO order_tags SELECT ?, engine_ns, order_id FROM orders WHERE order_id = ? ON CONFLICT DO NOTHING"
_AVERAGES = (
    "UPDATE orders SET (average_price, fee, slippage) = "
    "(SELECT sum(lots * price) / sum(lots), sum(commission), sum(slippage) "
    "FROM trades WHERE trades.order_id = orders.order_id) WHERE order_id = ?"
)


def write_rows(connection: Any, batch: Batch) -> None:
    """Write every row of a batch on a connection that is inside a transaction."""
    _many(connection, "INSERT INTO ohlcv", 14, [
        (row.ts_ns, row.symbol, row.open, row.high, row.low, row.close, row.volume, row.exchange, row.data_source,
         row.interval_s, row.revision, row.close_ns, row.seq, row.writer)
        for row in batch.bars
    ])  # fmt: skip
    _many(connection, "INSERT INTO agent_events", 14, [
        (row.ts_ns, row.agent_id, row.event_type, row.symbol, row.signal_strength, row.confidence,
         row.competitive_score, row.metadata, row.hash_prev, row.hash_current, row.seq, row.writer, row.run, row.utc_ns)
        for row in batch.events
    ])  # fmt: skip
    _many(connection, "INSERT INTO equity", 15, [
        (row.ts_ns, row.equity, row.cash, row.fees, row.gross, row.net, row.realised, row.unrealised, row.high_water,
         row.drawdown, row.day_pnl, _text(row.strategies), _text(row.units), row.seq, row.writer)
        for row in batch.equity
    ])  # fmt: skip
    _many(connection, "INSERT INTO tournament_results", 11, [
        (row.ts_ns, row.tournament_id, row.strategy_id, row.prediction_accuracy, row.challenge_resilience,
         row.risk_adjusted_return, row.capital_allocation_percent, _text(row.tournament_metrics), row.seq, row.writer,
         row.mode)
        for row in batch.tournament_results
    ])  # fmt: skip
    _many(connection, "INSERT INTO tournament_audit", 9, [
        (row.ts_ns, row.tournament_id, row.strategy_id, row.event_type, row.event_data, row.cryptographic_hash,
         row.previous_hash, row.seq, row.writer)
        for row in batch.tournament_audit
    ])  # fmt: skip
    _write_orders(connection, batch.orders)
    _many(connection, "INSERT INTO order_events", 9, [
        (row.order_id, row.seq, row.writer, row.ts_ns, row.utc_ns, row.type, row.state, row.payload, row.hash_current)
        for row in batch.life
    ])  # fmt: skip
    _write_trades(connection, batch)


def _write_orders(connection: Any, rows: list[OrderRow]) -> None:
    latest: dict[str, OrderRow] = {}
    for row in rows:
        first = latest.get(row.order_id)
        latest[row.order_id] = row if first is None else msgspec.structs.replace(row, engine_ns=first.engine_ns)
    connection.executemany(_ORDERS, [
        (row.order_id, row.engine_ns, row.updated_ns, row.state, row.symbol, row.side, row.lots, row.filled_lots,
         row.type, row.limit_ticks, row.stop_ticks, row.time_in_force, row.expires_ns, _text(row.lots_by_strategy),
         row.expected_price, _text(row.denials), row.reason, row.seq, row.writer, row.mode)
        for row in latest.values()
    ])  # fmt: skip
    connection.executemany(_TAGS, [
        (tag, row.order_id)
        for row in latest.values()
        for tag in (
            *(f"strategy:{name}" for name, lots in row.lots_by_strategy.items() if lots),
            *(f"denial:{denial['code']}" for denial in row.denials),
        )
    ])  # fmt: skip


def _write_trades(connection: Any, batch: Batch) -> None:
    _many(connection, "INSERT INTO trades", 18, [
        (row.engine_ns, row.symbol, row.side, row.quantity, row.price, row.fee, row.slippage, row.strategy_id,
         row.execution_latency_ms, row.seq, row.writer, row.mode, row.execution_id, row.order_id, row.lots,
         _text(row.lots_by_strategy), row.crossed_lots, _text(row.realised))
        for row in batch.trades
    ])  # fmt: skip
    _many(connection, "INSERT INTO trade_strategies", 4, [
        (name, row.engine_ns, row.writer, row.seq)
        for row in batch.trades
        for name, lots in row.lots_by_strategy.items()
        if lots
    ])  # fmt: skip
    connection.executemany(_AVERAGES, [(order_id,) for order_id in {row.order_id for row in batch.trades}])


def _many(connection: Any, insert: str, columns: int, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        connection.executemany(f"{insert} VALUES ({', '.join('?' * columns)}) ON CONFLICT DO NOTHING", rows)


def _text(value: object) -> str:
    return _json(value).decode()

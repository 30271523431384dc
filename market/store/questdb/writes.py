"""Rows of a batch as the sender takes them; the columns are those of market/store/questdb/schema.py."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from questdb import Sender, TimestampNanos

from market.store.port import (
    BarRow,
    Batch,
    EquityRow,
    EventRow,
    LifeRow,
    Position,
    StoreRefusedError,
    TournamentAuditRow,
    TournamentResultRow,
    TradeRow,
)
from market.store.questdb.orders import Known
from market.store.questdb.schema import EARLIEST_NS, LATEST_NS, NULL_LONG

_json = msgspec.json.Encoder().encode


class Line(NamedTuple):
    """A sender and what its tables' names begin with."""

    sender: Sender
    prefix: str


def send_batch(line: Line, batch: Batch, orders: Iterable[Known]) -> None:
    """Give the sender every row of a batch, ``orders`` being its orders made whole.

    Raises
    ------
    StoreRefusedError
        for a time or number that QuestDB cannot hold.
    """
    for bar in batch.bars:
        _bar(line, bar)
    for event in batch.events:
        _event(line, event)
    for known in orders:
        _order(line, known)
    for life in batch.life:
        _life(line, life)
    for trade in batch.trades:
        _trade(line, trade)
    for mark in batch.equity:
        _equity(line, mark)
    for result in batch.tournament_results:
        _tournament_result(line, result)
    for told in batch.tournament_audit:
        _tournament_audit(line, told)


def send_position(line: Line, writer: str, position: Position) -> None:
    """Give the sender the row that says how far a journal is in the store."""
    line.sender.row(
        line.prefix + "projection",
        symbols={"writer": _text(writer)},
        columns={"seq": position.seq, "hash": position.hash},
        at=TimestampNanos(0),
    )


def _bar(line: Line, row: BarRow) -> None:
    line.sender.row(
        line.prefix + "ohlcv",
        symbols={
            "sym": _text(row.symbol),
            "exchange": _text(row.exchange),
            "data_source": _text(row.data_source),
            "writer": _text(row.writer),
        },
        columns={
            "o": row.open, "h": row.high, "l": row.low, "c": row.close, "v": row.volume, "interval_s": row.interval_s,
            "revision": row.revision, "close_ns": _number(row.close_ns), "seq": row.seq,
        },
        at=_at(row.ts_ns),
    )  # fmt: skip


def _event(line: Line, row: EventRow) -> None:
    line.sender.row(
        line.prefix + "agent_events",
        symbols={
            "agent_id": _text(row.agent_id),
            "event_type": _text(row.event_type),
            "symbol": _text(row.symbol),
            "writer": _text(row.writer),
        },
        columns={
            "signal_strength": row.signal_strength, "confidence": row.confidence,
            "competitive_score": row.competitive_score, "metadata": _text(row.metadata), "hash_prev": row.hash_prev,
            "hash_current": row.hash_current, "seq": row.seq, "run": _text(row.run), "utc_ns": _number(row.utc_ns),
        },
        at=_at(row.ts_ns),
    )  # fmt: skip


def _order(line: Line, known: Known) -> None:
    row = known.whole()
    line.sender.row(
        line.prefix + "orders",
        symbols={
            "state": _text(row.state),
            "symbol": _text(row.symbol),
            "side": _text(row.side),
            "type": _text(row.type),
            "time_in_force": _text(row.time_in_force),
            "writer": _text(row.writer),
            "mode": _text(row.mode),
        },
        columns={
            "order_id": _text(row.order_id), "updated_ns": _number(row.updated_ns), "lots": _number(row.lots),
            "filled_lots": _number(row.filled_lots), "limit_ticks": _number(row.limit_ticks),
            "stop_ticks": _number(row.stop_ticks), "expires_ns": _number(row.expires_ns),
            "lots_by_strategy": _object(row.lots_by_strategy), "expected_price": row.expected_price,
            "denials": _object(row.denials), "reason": _text(row.reason), "seq": row.seq,
            "average_price": row.average_price, "fee": row.fee, "slippage": row.slippage,
            "tags": _text("\n".join(["", *sorted(known.tags), ""])),
        },
        at=_at(row.engine_ns),
    )  # fmt: skip


def _life(line: Line, row: LifeRow) -> None:
    line.sender.row(
        line.prefix + "order_events",
        symbols={"type": _text(row.type), "state": _text(row.state), "writer": _text(row.writer)},
        columns={
            "order_id": _text(row.order_id), "utc_ns": _number(row.utc_ns), "payload": _text(row.payload),
            "seq": row.seq, "hash_current": row.hash_current,
        },
        at=_at(row.ts_ns),
    )  # fmt: skip


def _trade(line: Line, row: TradeRow) -> None:
    line.sender.row(
        line.prefix + "trades",
        symbols={
            "symbol": _text(row.symbol),
            "side": _text(row.side),
            "strategy_id": _text(row.strategy_id),
            "writer": _text(row.writer),
            "mode": _text(row.mode),
        },
        columns={
            "quantity": row.quantity, "price": row.price, "commission": row.fee, "slippage": row.slippage,
            "execution_latency_ms": row.execution_latency_ms, "seq": row.seq, "execution_id": _text(row.execution_id),
            "order_id": _text(row.order_id), "lots": _number(row.lots),
            "lots_by_strategy": _object(row.lots_by_strategy), "crossed_lots": _number(row.crossed_lots),
            "realised": _object(row.realised),
        },
        at=_at(row.engine_ns),
    )  # fmt: skip


def _equity(line: Line, row: EquityRow) -> None:
    line.sender.row(
        line.prefix + "equity",
        symbols={"writer": _text(row.writer)},
        columns={
            "equity": row.equity, "cash": row.cash, "fees": row.fees, "gross": row.gross, "net": row.net,
            "realised": row.realised, "unrealised": row.unrealised, "high_water": row.high_water,
            "drawdown": row.drawdown, "day_pnl": row.day_pnl, "strategies": _object(row.strategies),
            "units": _object(row.units), "seq": row.seq,
        },
        at=_at(row.ts_ns),
    )  # fmt: skip


def _tournament_result(line: Line, row: TournamentResultRow) -> None:
    line.sender.row(
        line.prefix + "tournament_results",
        symbols={
            "tournament_id": _text(row.tournament_id),
            "strategy_id": _text(row.strategy_id),
            "writer": _text(row.writer),
            "mode": _text(row.mode),
        },
        columns={
            "prediction_accuracy": row.prediction_accuracy, "challenge_resilience": row.challenge_resilience,
            "risk_adjusted_return": row.risk_adjusted_return,
            "capital_allocation_percent": row.capital_allocation_percent,
            "tournament_metrics": _object(row.tournament_metrics), "seq": row.seq,
        },
        at=_at(row.ts_ns),
    )  # fmt: skip


def _tournament_audit(line: Line, row: TournamentAuditRow) -> None:
    line.sender.row(
        line.prefix + "tournament_audit",
        symbols={
            "tournament_id": _text(row.tournament_id),
            "strategy_id": _text(row.strategy_id),
            "event_type": _text(row.event_type),
            "writer": _text(row.writer),
        },
        columns={
            "event_data": _text(row.event_data), "cryptographic_hash": row.cryptographic_hash,
            "previous_hash": row.previous_hash, "seq": row.seq,
        },
        at=_at(row.ts_ns),
    )  # fmt: skip


def _at(ns: int) -> TimestampNanos:
    if not EARLIEST_NS <= ns <= LATEST_NS:
        raise StoreRefusedError(f"QuestDB holds times from 1970 to 2261, not {ns} ns")
    return TimestampNanos(ns)


def _text(text: str) -> str:
    """Return the text; the line protocol has no zero byte, which becomes the replacement character."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _number(value: int | None) -> int | None:
    if value == NULL_LONG:
        raise StoreRefusedError(f"QuestDB takes {value} for no value at all")
    return value


def _object(value: object) -> str:
    return _json(value).decode()

"""From records of the journals to rows of the store. Pure: the same record gives the same rows, always."""

import msgspec

from events.codec import CodecError, decode_payload
from events.journal import Record, Stored
from events.tournament import TYPES as TOURNAMENT_TYPES
from events.types import AccountEvent, BrokerEvent, FillEvent, ForecastEvent, MarketSlice, OrderEvent, TradeEvent
from market.store.port import BarRow, Batch, EquityRow, EventRow, LifeRow, OrderRow, TradeRow
from recorder.tournament_rows import add_tournament_rows

QUIET = frozenset(
    {"MarketEvent", "SliceEnd", "MarketSlice", "AccountEvent", "TimerEvent", "SnapshotEvent", "BusPosition"}
)
"""Types that are no row of agent_events: they have a table of their own, or say nothing that no other record says."""

MICRO = 1e6


class _Glance(msgspec.Struct):
    """The fields that rows of any type share."""

    engine_ns: int = 0
    broker_ns: int = 0
    last_close_ns: int = 0
    effective_from_ns: int = 0
    symbol: str = ""
    score: float | None = None


_glance = msgspec.json.Decoder(_Glance).decode


def project(stored: Stored, batch: Batch) -> None:
    """Add a record's rows to a batch; a payload that its type does not describe becomes an event row as it is."""
    record = stored.record
    hash_current = stored.hash
    try:
        if record.type in _TABLES:
            _TABLES[record.type](record, hash_current, batch)
    except CodecError:
        batch.events.append(_event(record, hash_current))
        return
    if record.type not in QUIET:
        batch.events.append(_event(record, hash_current))


def _event(record: Record, hash_current: str) -> EventRow:
    try:
        seen = _glance(record.payload)
    except msgspec.DecodeError:
        seen = _Glance()
    return EventRow(
        ts_ns=seen.engine_ns or seen.broker_ns or seen.last_close_ns or seen.effective_from_ns or record.utc_ns,
        agent_id=record.agent_id,
        event_type=record.type,
        symbol=seen.symbol,
        signal_strength=seen.score if record.type == "SignalEvent" else None,
        confidence=record.confidence,
        competitive_score=record.competitive_score,
        metadata=_text(record),
        hash_prev=record.prev,
        hash_current=hash_current,
        seq=record.seq,
        writer=record.writer,
        run=record.run,
        utc_ns=record.utc_ns,
    )


def _slice(record: Record, _hash_current: str, batch: Batch) -> None:
    market: MarketSlice = decode_payload("MarketSlice", record.payload)
    for bar in market.bars:
        if bar.open is None or bar.high is None or bar.low is None or bar.close is None:
            continue  # a slice holds valid bars; one without prices could not be drawn
        batch.bars.append(
            BarRow(
                ts_ns=bar.open_ns,
                symbol=bar.symbol,
                interval_s=bar.interval_s,
                open=bar.open,
                high=bar.high,
                low=bar.low,
                close=bar.close,
                volume=bar.volume or 0.0,
                close_ns=bar.close_ns,
                exchange=bar.exchange,
                data_source=bar.data_source or bar.feed,
                revision=bar.revision,
                seq=record.seq,
                writer=record.writer,
            )
        )


def _account(record: Record, _hash_current: str, batch: Batch) -> None:
    account: AccountEvent = decode_payload("AccountEvent", record.payload)
    batch.equity.append(
        EquityRow(
            ts_ns=account.engine_ns,
            equity=account.equity,
            cash=account.cash_micro / MICRO,
            fees=account.fees_micro / MICRO,
            gross=account.gross,
            net=account.net,
            realised=account.realised,
            unrealised=account.unrealised,
            high_water=account.high_water,
            drawdown=account.drawdown,
            day_pnl=account.day_pnl,
            strategies=account.strategies,
            units=account.units,
            seq=record.seq,
            writer=record.writer,
        )
    )


def _order(record: Record, hash_current: str, batch: Batch) -> None:
    order: OrderEvent = decode_payload("OrderEvent", record.payload)
    batch.orders.append(
        OrderRow(
            order_id=order.order_id,
            engine_ns=order.engine_ns,
            updated_ns=order.engine_ns,
            state=order.state,
            symbol=order.symbol,
            side=order.side,
            lots=order.lots,
            filled_lots=order.filled_lots,
            type=order.type,
            limit_ticks=order.limit_ticks,
            stop_ticks=order.stop_ticks,
            time_in_force=order.time_in_force,
            expires_ns=order.expires_ns,
            lots_by_strategy=order.lots_by_strategy,
            expected_price=order.expected_price,
            denials=[msgspec.structs.asdict(denial) for denial in order.denials],
            reason=order.reason,
            seq=record.seq,
            writer=record.writer,
        )
    )
    batch.life.append(_life(record, hash_current, order.order_id, order.engine_ns, order.state))


def _broker(record: Record, hash_current: str, batch: Batch) -> None:
    said: BrokerEvent = decode_payload("BrokerEvent", record.payload)
    batch.life.append(_life(record, hash_current, said.order_id, said.broker_ns, said.kind))


def _fill(record: Record, hash_current: str, batch: Batch) -> None:
    fill: FillEvent = decode_payload("FillEvent", record.payload)
    batch.life.append(_life(record, hash_current, fill.order_id, fill.broker_ns, ""))


def _forecast(record: Record, hash_current: str, batch: Batch) -> None:
    forecast: ForecastEvent = decode_payload("ForecastEvent", record.payload)
    batch.life.append(_life(record, hash_current, forecast.order_id, forecast.engine_ns, ""))


def _trade(record: Record, hash_current: str, batch: Batch) -> None:
    trade: TradeEvent = decode_payload("TradeEvent", record.payload)
    batch.trades.append(
        TradeRow(
            engine_ns=trade.engine_ns,
            execution_id=trade.execution_id,
            order_id=trade.order_id,
            symbol=trade.symbol,
            side=trade.side,
            lots=trade.lots,
            quantity=trade.quantity,
            price=trade.price,
            fee=trade.fee_micro / MICRO,
            slippage=trade.slippage,
            strategy_id=",".join(sorted(name for name, lots in trade.lots_by_strategy.items() if lots)),
            lots_by_strategy=trade.lots_by_strategy,
            crossed_lots=trade.crossed_lots,
            realised=trade.realised,
            seq=record.seq,
            writer=record.writer,
        )
    )
    if trade.order_id:  # lots that only crossed between strategies belong to no order
        batch.life.append(_life(record, hash_current, trade.order_id, trade.engine_ns, ""))


def _tournament(record: Record, hash_current: str, batch: Batch) -> None:
    add_tournament_rows(_event(record, hash_current), batch)


def _life(record: Record, hash_current: str, order_id: str, ts_ns: int, state: str) -> LifeRow:
    return LifeRow(
        order_id=order_id,
        ts_ns=ts_ns,
        utc_ns=record.utc_ns,
        type=record.type,
        state=state,
        payload=_text(record),
        seq=record.seq,
        writer=record.writer,
        hash_current=hash_current,
    )


def _text(record: Record) -> str:
    return bytes(record.payload).decode()


_TABLES = {
    "MarketSlice": _slice,
    "AccountEvent": _account,
    "OrderEvent": _order,
    "BrokerEvent": _broker,
    "FillEvent": _fill,
    "ForecastEvent": _forecast,
    "TradeEvent": _trade,
    **dict.fromkeys(TOURNAMENT_TYPES, _tournament),
}

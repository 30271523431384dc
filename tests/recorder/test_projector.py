from events.codec import encode_payload
from events.journal import JournalReader, JournalWriter
from events.tournament import TYPES
from events.types import PAYLOADS, Denial, OrderEvent, RiskAlert, TradeEvent
from market.store.port import Batch, Position
from recorder.projector import QUIET, project


def projected(tmp_path, *entries):
    journal = JournalWriter(tmp_path / "execution", "execution", "run")
    journal.append([(kind, "engine", None, None, raw) for kind, raw in entries])
    journal.close()
    batch = Batch(writer="execution", position=Position())
    stored = list(JournalReader(tmp_path / "execution").stored())
    for one in stored:
        project(one, batch)
    return batch, stored


def test_a_denied_order_keeps_the_numbers_that_decided(tmp_path):
    denied = OrderEvent(
        engine_ns=9,
        order_id="o1",
        state="RISK_DENIED",
        symbol="AAPL",
        side="SELL",
        lots=5,
        filled_lots=0,
        type="LIMIT",
        limit_ticks=100,
        stop_ticks=None,
        time_in_force="GTC",
        expires_ns=99,
        lots_by_strategy={"bearish": 5},
        expected_price=1.5,
        denials=[Denial(code="MAX_NET", value=1.2, limit=1.0), Denial(code="KILLED", value=1.0, limit=0.0)],
        reason="because",
    )
    batch, stored = projected(tmp_path, ("OrderEvent", encode_payload(denied)))
    row = batch.orders[0]
    assert row.denials == [
        {"code": "MAX_NET", "value": 1.2, "limit": 1.0},
        {"code": "KILLED", "value": 1.0, "limit": 0.0},
    ]
    assert (row.limit_ticks, row.expires_ns, row.reason, row.type) == (100, 99, "because", "LIMIT")
    assert batch.life[0].hash_current == batch.events[0].hash_current == stored[0].hash
    assert batch.events[0].ts_ns == 9


def test_lots_that_only_crossed_belong_to_no_orders_life(tmp_path):
    crossed = TradeEvent(
        engine_ns=9,
        execution_id="cross-1",
        order_id="",
        symbol="AAPL",
        side="BUY",
        lots=0,
        quantity=0.0,
        price=1.5,
        fee_micro=0,
        slippage=0.0,
        lots_by_strategy={"momentum": 4, "bearish": -4, "bullish": 0},
        crossed_lots=4,
        realised={},
    )
    batch, _ = projected(tmp_path, ("TradeEvent", encode_payload(crossed)))
    assert batch.life == []
    assert (batch.trades[0].strategy_id, batch.trades[0].crossed_lots) == ("bearish,momentum", 4)


def test_what_its_type_does_not_describe_is_kept_as_an_event(tmp_path):
    batch, _ = projected(
        tmp_path, ("OrderEvent", b'{"order_id":1}'), ("Gossip", b'{"symbol":"AAPL"}'), ("TradeEvent", b"[]")
    )
    assert [row.metadata for row in batch.events] == ['{"order_id":1}', '{"symbol":"AAPL"}', "[]"]
    assert [row.symbol for row in batch.events] == ["", "AAPL", ""]
    assert batch.orders == batch.trades == batch.life == []


def test_every_type_is_an_event_or_has_a_reason_not_to_be(tmp_path):
    batch, _ = projected(tmp_path, *[(name, b"{}") for name in [*PAYLOADS, *TYPES, "MarketEvent"]])
    assert {row.event_type for row in batch.events} >= {*PAYLOADS, *TYPES} - QUIET


def test_the_same_record_gives_the_same_rows(tmp_path):
    alert = RiskAlert(engine_ns=4, rule="drawdown", severity="warning", scope="all", message="m", numbers={"x": 1.0})
    batch, stored = projected(tmp_path, ("RiskAlert", encode_payload(alert)))
    again = Batch(writer="execution", position=Position())
    project(stored[0], again)
    assert again.events == batch.events
    assert again.rows() == 1

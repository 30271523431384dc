import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.codec import CodecError, decode_envelope, decode_payload, encode_payload, envelope
from events.types import PAYLOADS, Bar, OrderEvent, Quote, RiskAlert, SignalEvent, Trade

text = st.text(max_size=40)
number = st.floats(allow_nan=False, allow_infinity=False)
maybe = st.none() | number
nanoseconds = st.integers(0, 2**62)

bars = st.builds(
    Bar,
    feed=text,
    symbol=text,
    open_ns=nanoseconds,
    interval_s=st.integers(1, 86400),
    open=maybe,
    high=maybe,
    low=maybe,
    close=maybe,
    volume=maybe,
    close_ns=nanoseconds,
    exchange=text,
    data_source=text,
    revision=st.integers(0, 9),
)
quotes = st.builds(
    Quote,
    feed=text,
    symbol=text,
    ts_ns=nanoseconds,
    bid=maybe,
    bid_size=maybe,
    ask=maybe,
    ask_size=maybe,
    revision=st.integers(0, 9),
)
prints = st.builds(
    Trade, feed=text, symbol=text, ts_ns=nanoseconds, price=maybe, size=maybe, revision=st.integers(0, 9)
)
signals = st.builds(
    SignalEvent,
    engine_ns=nanoseconds,
    strategy=text,
    symbol=text,
    interval_s=st.integers(1, 86400),
    target=number,
    previous_target=number,
    score=number,
    features=st.dictionaries(text, number, max_size=4),
    stance_multiplier=number,
    calibrator=text,
    outcomes=st.integers(0, 10**6),
)


@given(payload=bars | quotes | prints)
def test_market_events_come_back_as_they_were_sent(payload):
    sent = envelope("MarketEvent", "feed", payload, 7)
    assert decode_payload("MarketEvent", decode_envelope(sent).payload) == payload


@given(payload=signals, agent_id=text, at=nanoseconds, confidence=st.none() | st.floats(0, 1), identity=text)
def test_an_envelope_keeps_every_field(payload, agent_id, at, confidence, identity):
    found = decode_envelope(envelope("SignalEvent", agent_id, payload, at, confidence, id=identity))
    assert (found.type, found.agent_id, found.timestamp, found.confidence_score, found.id) == (
        "SignalEvent",
        agent_id,
        at,
        confidence,
        identity,
    )
    assert decode_payload(found.type, found.payload) == payload


@given(payload=signals)
def test_the_same_payload_has_the_same_bytes(payload):
    raw = encode_payload(payload)
    assert encode_payload(decode_payload("SignalEvent", raw)) == raw


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_price_that_is_no_number_arrives_as_none(bad):
    bar = Bar(
        feed="f", symbol="A", open_ns=1, interval_s=60, open=bad, high=1.0, low=1.0, close=1.0, volume=bad, close_ns=2
    )
    found = decode_payload("MarketEvent", decode_envelope(envelope("MarketEvent", "f", bar, 1)).payload)
    assert (found.open, found.volume, found.high) == (None, None, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_must_be_finite_is_refused_by_name(bad):
    signal = SignalEvent(
        engine_ns=1,
        strategy="s",
        symbol="A",
        interval_s=60,
        target=bad,
        previous_target=0.0,
        score=0.0,
        features={},
        stance_multiplier=1.0,
        calibrator="c",
        outcomes=0,
    )
    with pytest.raises(CodecError, match=r"SignalEvent.*\$\.target"):
        encode_payload(signal)
    with pytest.raises(CodecError, match="RiskAlert"):
        encode_payload(RiskAlert(engine_ns=1, rule="r", severity="info", scope="all", message="m", numbers={"x": bad}))


def test_what_is_no_payload_is_refused_with_its_reason():
    with pytest.raises(CodecError, match="'Gossip' is unknown"):
        decode_payload("Gossip", b"{}")
    with pytest.raises(CodecError, match=r"OrderEvent.*missing required field"):
        decode_payload("OrderEvent", b"{}")
    with pytest.raises(CodecError, match="unknown field"):
        decode_payload("TimerEvent", b'{"instant_ns":1,"more":2}')
    with pytest.raises(CodecError, match="envelope"):
        decode_envelope(b"\xff\x00")
    with pytest.raises(CodecError, match="Envelope is not a type"):
        encode_payload(decode_envelope(envelope("TimerEvent", "x", b'{"instant_ns":1}', 1)))


def test_every_type_of_the_table_can_be_decoded():
    for name, payload in PAYLOADS.items():
        assert msgspec.inspect.type_info(payload).cls is payload
        with pytest.raises(CodecError, match=name):
            decode_payload(name, b"[]")


def test_a_payloads_fields_are_in_declared_order():
    order = OrderEvent(
        engine_ns=1,
        order_id="o",
        state="INTENT",
        symbol="A",
        side="BUY",
        lots=1,
        filled_lots=0,
        type="MARKET",
        limit_ticks=None,
        stop_ticks=None,
        time_in_force="DAY",
        expires_ns=None,
        lots_by_strategy={"b": 1, "a": 2},
        expected_price=1.5,
    )
    assert list(msgspec.json.decode(encode_payload(order))) == list(OrderEvent.__struct_fields__)

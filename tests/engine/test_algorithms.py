"""Decisions worked in slices, on a real engine with the paper broker's fills: what leaves when, and what ends it."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.snapshot import pack
from tests.engine.desk import DAY_NS, FREE, MINUTE_NS, START_NS, TINY_TICK, Desk, in_state, instrument, of_type

QUIET = {"no_trade_band": 0.1, "price_collar": 1.0}
TWAP = {"algorithm": "twap", "slices": 4, "horizon_minutes": 4.0}
SHARE = {"algorithm": "participation", "participation": 0.01}


def desk(execution, symbols=("AAA",), **options):
    given = {"costs": FREE, "limits": QUIET, "weights": {"momentum": 0.1}, "execution": execution} | options
    return Desk(*symbols, **given)


def begun(execution, volume=1e6, **options):
    """A desk whose decision to buy 1,000 lots at 100 has just begun."""
    made = desk(execution, **options)
    made.slice({"AAA": 100.0}, volume)
    made.want("momentum")
    return made, made.slice({"AAA": 100.0}, volume)


def reserved(made, symbol="AAA"):
    """What must hold whatever happens: what works is open orders and what parents have not sent."""
    state = made.engine.state
    row = made.row(symbol)
    net = {1: 0, -1: 0}
    books, gross = dict.fromkeys(state.rows, 0), dict.fromkeys(state.rows, 0)

    def count(lots_of):
        for name, lots in lots_of.items():
            books[name] += lots
            gross[name] += abs(lots)

    for order in state.orders.values():
        if order.symbol == symbol:
            net[order.signed] += order.lots - order.filled_lots
            count(order.residual)
            count(order.crossed if order.filled_lots == 0 else {})
    for parent in state.parents.values():
        if parent.symbol == symbol:
            net[parent.signed] += abs(sum(parent.residual.values()))
            count(parent.residual)
    i = state.universe.index[symbol]
    assert (int(row["working_buy"]), int(row["working_sell"])) == (net[1], net[-1])
    assert {name: int(state.books[s, i]["working"]) for name, s in state.rows.items()} == books
    assert {name: int(state.books[s, i]["working_gross"]) for name, s in state.rows.items()} == gross


def sent(outputs):
    return [order.lots for order in in_state(outputs, "INTENT")]


def test_twap_sends_equal_parts_at_equal_times_and_keeps_the_rest_reserved():
    made, outputs = begun(TWAP)
    [parent] = of_type(outputs, "ParentEvent")
    assert (parent.state, parent.lots, parent.slices) == ("WORKING", 1000, 4)
    assert sent(outputs) == [250]
    assert int(made.row()["working_buy"]) == 1000
    for count in (2, 3, 4):
        outputs = made.slice({"AAA": 100.0})
        assert sent(outputs) == [250]
        assert made.lots() == 250 * (count - 1)
        reserved(made)
    [parent] = of_type(outputs, "ParentEvent")
    assert (parent.state, parent.sent_lots) == ("DONE", 1000)
    made.slice({"AAA": 100.0})
    assert made.lots() == 1000
    assert made.engine.state.parents == {}
    made.check_books()


def test_what_the_close_leaves_no_time_for_goes_to_the_market_at_once():
    late = START_NS + DAY_NS - 30 * MINUTE_NS
    _, outputs = begun(TWAP | {"horizon_minutes": 240.0}, at_ns=late)
    assert sent(outputs) == [1000]
    assert of_type(outputs, "ParentEvent") == []


def test_a_bar_that_was_missing_is_made_up_for():
    made, _ = begun(TWAP)
    made.slice({})
    assert sent(made.slice({"AAA": 100.0})) == [500]


def test_participation_sends_a_share_of_each_bar_and_never_more_than_that_at_once():
    made, outputs = begun(SHARE, volume=30_000)
    assert sent(outputs) == [300]
    assert sent(made.slice({"AAA": 100.0}, 20_000)) == [200]
    assert sent(made.slice({"AAA": 100.0}, 0)) == []  # nor was anything filled: 200 still work
    made.answers = False
    assert sent(made.slice({"AAA": 100.0}, 30_000)) == [100]
    assert sent(made.slice({"AAA": 100.0}, 35_000)) == [50]
    reserved(made)


def test_orders_below_the_limit_go_at_once():
    _, outputs = begun(TWAP | {"slice_above": 0.001})
    assert sent(outputs) == [1000]
    assert of_type(outputs, "ParentEvent") == []
    _, outputs = begun(TWAP | {"slice_above": 0.000_9})
    assert sent(outputs) == [250]


def test_targets_that_turn_cancel_the_rest():
    made, _ = begun(TWAP)
    made.slice({"AAA": 100.0})
    made.want("momentum", target=0.0)
    outputs = made.slice({"AAA": 100.0})
    [bought, sold] = of_type(outputs, "ParentEvent")
    assert (bought.state, bought.reason, bought.sent_lots) == ("CANCELED", "targets turned", 500)
    assert (sold.state, sold.side, sold.lots) == ("WORKING", "SELL", 500)  # nothing works any more: at once, in parts
    reserved(made)
    for _ in range(4):
        made.slice({"AAA": 100.0})
    assert made.lots() == 0
    assert int(made.row()["working_buy"]) == int(made.row()["working_sell"]) == 0


@pytest.mark.parametrize(
    "act", [("kill",), ("kill", "symbol", "AAA"), ("kill", "strategy", "momentum"), ("halt", "symbol", "AAA"),
            ("halt",), ("reduce",), ("unreconciled",), ("pause", "strategy", "momentum")],
)  # fmt: skip
def test_whatever_blocks_new_orders_ends_it_at_once(act):
    made, _ = begun(TWAP)
    outputs = made.control(*act)
    [parent] = of_type(outputs, "ParentEvent")
    assert (parent.state, parent.sent_lots) == ("CANCELED", 250)
    reserved(made)
    assert sent(made.slice({"AAA": 100.0})) == []


def test_a_slice_that_a_check_denies_ends_it():
    """A limit is tightened between two slices to less than a slice is worth."""
    made, _ = begun(TWAP)
    tight = msgspec.to_builtins(made.configuration)
    tight["version"], tight["settings"]["limits"]["max_order_value"] = 2, 24_999.0
    made.control("configure", content=msgspec.Raw(msgspec.json.encode(tight)), request_id="c2")
    outputs = made.slice({"AAA": 100.0})
    [denied] = in_state(outputs, "RISK_DENIED")
    assert denied.lots == 250
    assert "MAX_ORDER_VALUE" in {each.code for each in denied.denials}
    [parent] = of_type(outputs, "ParentEvent")
    assert (parent.state, parent.reason) == ("CANCELED", denied.reason)
    reserved(made)


def test_a_slice_is_judged_as_if_it_alone_were_new():
    """The whole decision meets the limit of the position exactly; none of its slices is beyond it."""
    made, outputs = begun(
        TWAP, symbols=(instrument("AAA", tick=TINY_TICK),), limits=QUIET | {"max_position": 0.1, "max_strategy": 0.1}
    )  # fmt: skip
    total = sum(sent(outputs))
    for _ in range(3):
        outputs = made.slice({"AAA": 100.0})
        assert in_state(outputs, "RISK_DENIED") == []
        total += sum(sent(outputs))
    assert total == 1000


def test_what_is_left_at_the_close_is_cancelled():
    nine_thirty = 1_549_895_400_000_000_000  # 2019-02-11 in New York
    share = instrument("AAA", asset_class="equity", calendar="XNYS")
    made = desk(SHARE | {"participation": 0.0001}, (share,), at_ns=nine_thirty + 386 * 60_000_000_000)
    made.slice({"AAA": 100.0})
    made.want("momentum")
    assert sent(made.slice({"AAA": 100.0})) == [100]
    made.slice({"AAA": 100.0})
    outputs = made.slice({"AAA": 100.0})  # 16:00
    ended = [each for each in of_type(outputs, "ParentEvent") if each.state == "EXPIRED"]
    assert [(each.sent_lots, each.reason) for each in ended] == [(200, "end of session")]
    reserved(made)


def test_daily_bars_leave_nothing_to_slice():
    nine_thirty = 1_549_895_400_000_000_000
    share = instrument("AAA", asset_class="equity", calendar="XNYS")
    made = desk(TWAP, (share,), at_ns=nine_thirty - 86_400_000_000_000)
    made.row()["interval_ns"] = 390 * 60_000_000_000
    state = made.engine.state
    close = nine_thirty + 390 * 60_000_000_000
    from engine import algorithms  # noqa: PLC0415

    state.universe.symbols[0]["session_open_ns"], state.universe.symbols[0]["session_close_ns"] = nine_thirty, close
    state.universe.symbols[0]["volume_average"], state.universe.symbols[0]["mark"] = 1e6, 100.0
    state.wants[0] = [1000 if name == "momentum" else 0 for name in state.names]
    assert algorithms._parent(state, 0, close) is None


def test_strategies_that_cross_do_so_with_the_first_slice():
    made = desk(TWAP, weights={"momentum": 0.1, "bearish": 0.02})
    made.slice({"AAA": 100.0})
    made.want("momentum")
    made.want("bearish", target=-1.0)
    [first] = in_state(made.slice({"AAA": 100.0}), "INTENT")
    assert first.lots == 200  # of 800 net
    assert first.lots_by_strategy == {"bearish": -200, "momentum": 400}
    for _ in range(4):
        made.slice({"AAA": 100.0})
        reserved(made)
    assert (made.held("momentum"), made.held("bearish"), made.lots()) == (1000, -200, 800)
    made.check_books()


names = st.sampled_from(["momentum", "bearish"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), names, st.sampled_from([-1.0, -0.4, 0.0, 0.5, 1.0])),
        st.tuples(st.just("slice"), st.floats(80.0, 120.0), st.sampled_from([0.0, 500.0, 20_000.0, 1e6])),
        st.tuples(st.just("gap"), st.none(), st.none()),
        st.tuples(st.just("pause"), names, st.none()),
        st.tuples(st.just("enable"), names, st.none()),
    ),
    min_size=5, max_size=25,
)  # fmt: skip


@given(script=steps, execution=st.sampled_from([TWAP, SHARE, TWAP | {"slice_above": 0.0005}]))
@settings(max_examples=60)
def test_whatever_happens_the_reservation_is_what_may_still_come(script, execution):
    made = desk(execution, weights={"momentum": 0.1, "bearish": 0.05}, costs=FREE | {"volume_share": 0.05})
    made.slice({"AAA": 100.0})
    for what, one, other in script:
        if what == "want":
            made.want(one, target=other)
        elif what == "slice":
            made.slice({"AAA": one}, other)
        elif what == "gap":
            made.slice({})
        else:
            made.control(what, "strategy", one, request_id=f"{what}{made.now_ns}")
        reserved(made)
        state = made.engine.state
        assert all(parent.residual and parent.sent_lots < parent.lots for parent in state.parents.values())
        assert (state.books["lots"].sum(axis=0) == state.universe.symbols["lots"]).all()


def test_a_snapshot_in_the_middle_goes_on_alike():
    made, _ = begun(TWAP)
    made.slice({"AAA": 100.0})
    kept = pack(made.engine)
    one = [made.slice({"AAA": 100.0 + k}) for k in range(4)]
    restored = desk(TWAP)
    restored.engine, restored.now_ns = Engine.restore(kept), made.now_ns - 4 * 60_000_000_000
    restored.silence()
    other = [restored.slice({"AAA": 100.0 + k}) for k in range(4)]
    assert [msgspec.json.encode(o.payload) for step in one for o in step] == [
        msgspec.json.encode(o.payload) for step in other for o in step
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"slices": 1}, "execution.slices = 1 is outside 2 to 1000"),
        ({"participation": 0.0}, "execution.participation"),
        ({"slice_above": -0.1}, "execution.slice_above"),
        ({"horizon_minutes": 1e99}, "execution.horizon_minutes"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(fields, said):
    made = desk({"algorithm": "market"})
    given = msgspec.to_builtins(made.configuration)
    given["settings"]["execution"] |= fields
    given["version"] = 2
    content = msgspec.Raw(msgspec.json.encode(given))
    [ack] = of_type(made.control("configure", content=content, request_id="c2"), "ControlAck")
    assert not ack.accepted
    assert said in ack.reason

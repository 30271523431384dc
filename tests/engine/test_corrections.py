"""Corrections and busts in any order: what survives is what the books hold."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import execution
from engine.engine import Engine
from engine.ledger import fee_micro
from events.types import BrokerEvent, FillEvent
from tests.engine.desk import Desk, in_state, of_type

COSTS = {"fee_bps": 1.0, "half_spread_bps": 0.0, "impact_eta": 0.0, "volume_share": 1.0}


def ready(*wanted: tuple[str, float]) -> tuple[Desk, Any]:
    """A desk with one order at the broker, of several strategies that may cross some of it."""
    desk = Desk("AAA", answers=False, costs=COSTS)
    for strategy, target in wanted or (("momentum", 1.0), ("bullish", 0.6), ("bearish", -0.4)):
        desk.want(strategy, target=target)
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    desk.broker(order.order_id, "ACCEPTED")
    return desk, order


def say(desk: Desk, order: Any, name: str, lots: int, price: float, **fields: Any) -> list[Any]:
    micro = round(price * 1e6)
    event = FillEvent(
        broker="paper", execution_id=name, order_id=order.order_id, broker_ns=fields.pop("at", 0), symbol="AAA",
        side=order.side, lots=lots, price_micro=micro, fee_micro=int(fee_micro(lots * micro, 100)),
        reference_price=price, **fields,
    )  # fmt: skip
    return desk.engine.on_fill(event)


def money(desk: Desk) -> dict[str, Any]:
    """Everything that the books hold of symbol and account."""
    state, row, account = desk.engine.state, desk.row(), desk.engine.state.account[0]
    names = ("lots", "basis", "basis_rest", "realised", "realised_rest")
    return {
        "net": [row[name].item() for name in names],
        "books": [[held[name].item() for name in (*names, "fees_micro", "working", "working_gross")]
                  for held in state.books[:, 0]],
        "working": [row["working_buy"].item(), row["working_sell"].item()],
        "cash": int(account["cash_micro"]), "fees": int(account["fees_micro"]),
    }  # fmt: skip


def test_a_bust_of_the_last_execution_leaves_the_books_of_one_that_never_was() -> None:
    desk, order = ready()
    say(desk, order, "a", 700, 101.0)
    before = money(desk)
    say(desk, order, "b", 300, 99.0)
    outputs = say(desk, order, "c", 300, 99.0, kind="BUST", amends="b")
    assert money(desk) == before
    (trade,) = of_type(outputs, "TradeEvent")
    assert (trade.side, trade.lots, trade.fee_micro < 0) == ("SELL", 300, True)
    assert in_state(outputs, "PARTIALLY_FILLED")[0].filled_lots == 700
    desk.check_books()


def test_a_bust_of_the_only_execution_undoes_the_crossing_too_and_the_order_works_on() -> None:
    desk, order = ready()
    before = money(desk)
    say(desk, order, "a", 500, 101.0)
    assert desk.held("bearish") < 0
    assert in_state(say(desk, order, "b", 500, 101.0, kind="BUST", amends="a"), "ACCEPTED")
    assert money(desk) == before
    say(desk, order, "c", order.lots, 100.0)
    assert desk.lots() == order.lots
    desk.check_books()


def test_a_filled_order_whose_execution_is_busted_ended_with_less() -> None:
    desk, order = ready()
    assert in_state(say(desk, order, "a", order.lots, 101.0), "FILLED")
    (ended,) = in_state(say(desk, order, "b", 1, 101.0, kind="BUST", amends="a"), "CANCELED")
    assert ended.filled_lots == 0
    assert desk.lots() == 0
    assert desk.account["fees"] == 0.0
    desk.check_books()


def test_a_correction_is_the_execution_as_it_truly_was() -> None:
    desk, order = ready()
    say(desk, order, "a", 700, 101.0)
    say(desk, order, "b", 300, 99.0)
    outputs = say(desk, order, "c", 350, 98.5, kind="CORRECTION", amends="b")
    plain, same = ready()
    say(plain, same, "a", 700, 101.0)
    say(plain, same, "b", 350, 98.5)
    assert money(desk) == money(plain)
    assert [trade.execution_id for trade in of_type(outputs, "TradeEvent")] == ["c/out", "c"]
    desk.check_books()


def test_what_comes_before_the_execution_that_it_is_about_waits_for_it() -> None:
    desk, order = ready()
    before = money(desk)
    assert say(desk, order, "c2", 40, 97.0, at=2, kind="CORRECTION", amends="c1") == []
    assert say(desk, order, "c1", 50, 98.0, at=1, kind="CORRECTION", amends="a") == []
    assert money(desk) == before
    desk.engine = Engine.restore(desk.engine.snapshot())
    say(desk, order, "a", 60, 99.0)
    plain, same = ready()
    say(plain, same, "a", 40, 97.0)
    assert money(desk) == money(plain)
    assert say(desk, order, "a", 60, 99.0) == []
    assert say(desk, order, "old", 55, 98.5, at=1, kind="CORRECTION", amends="a") == []  # an older word than c2's
    say(desk, order, "z", 40, 97.0, at=3, kind="BUST", amends="c2")
    assert money(desk) == before
    desk.check_books()


def test_an_amendment_of_no_order_halts_its_symbol() -> None:
    desk, order = ready()
    stranger = msgspec.structs.replace(order, order_id="S999")
    outputs = say(desk, stranger, "b", 5, 100.0, kind="BUST", amends="a")
    assert [alert.rule for alert in of_type(outputs, "RiskAlert")] == ["UNEXPECTED_FILL"]
    assert desk.row()["halted"] == 1


KINDS = st.sampled_from(["FILL", "CORRECTION", "BUST"])
EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 400), st.integers(90, 110), KINDS),
    min_size=1, max_size=14,
)  # fmt: skip


@settings(max_examples=60)
@given(told=EVENTS, data=st.data())
def test_lots_cash_and_fees_are_those_of_the_surviving_executions_whatever_came_first(told, data) -> None:
    """Several executions, each amended any number of times, told in any order and some of it twice."""
    lives: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for number, (name, lots, price, kind) in enumerate(told):
        life = lives.setdefault(f"e{name}", [])
        kind = ("CORRECTION" if kind == "FILL" else kind) if life else "FILL"  # noqa: PLW2901 - the first is the execution
        if life and life[-1][1]["kind"] == "BUST":
            continue
        amends = f"e{name}" if life else ""
        execution = f"e{name}" if not life else f"a{number}"
        life.append((execution, {"lots": lots, "price": price, "kind": kind, "amends": amends, "at": number}))
    events = data.draw(st.permutations([each for life in lives.values() for each in life]))
    desk, order = ready(("momentum", 1.0), ("bullish", 0.8))
    for name, fields in [*events, *events[:3]]:
        say(desk, order, name, fields["lots"], float(fields["price"]),
            **{key: fields[key] for key in ("kind", "amends", "at")})  # fmt: skip
    final = [life[-1][1] for life in lives.values() if life[-1][1]["kind"] != "BUST"]
    lots = sum(each["lots"] for each in final)
    fees = sum(int(fee_micro(each["lots"] * each["price"] * 10**6, 100)) for each in final)
    paid = sum(each["lots"] * each["price"] * 10**6 for each in final)
    account = desk.engine.state.account[0]
    assert desk.lots() == lots
    assert int(account["fees_micro"]) == fees
    assert int(account["cash_micro"]) == 10**12 - paid - fees
    assert int(desk.engine.state.books["fees_micro"].sum()) == fees
    row = desk.row()
    profit = sum(float(row[name]) * sign for name, sign in
                 (("realised", 1), ("realised_rest", 1), ("basis", -1), ("basis_rest", -1)))  # fmt: skip
    assert profit == pytest.approx(-(paid + fees) / 1e6, rel=1e-12, abs=1e-6)
    desk.check_books()


@pytest.mark.parametrize("act", ["adopt", "flatten_external"])
@pytest.mark.parametrize("lots", [300, 700])
@pytest.mark.parametrize(("kind", "truly"), [("BUST", 0), ("CORRECTION", 200)])
def test_what_an_adopted_order_had_filled_can_be_taken_back_or_corrected(act, lots, kind, truly) -> None:
    """Its fill came while it was nobody's; a strategy has it since."""
    desk, order = ready(("momentum", 1.0))
    strange = msgspec.structs.replace(execution.order_event(order_of(desk), desk.now_ns), order_id="X1", lots=700)
    desk.broker(order.order_id, "CANCELED")
    desk.engine.on_order_event(
        BrokerEvent(broker="paper", order_id="X1", kind="EXTERNAL", broker_ns=desk.now_ns, order=strange)
    )
    say(desk, strange, "a", lots, 100.0)
    (ack,) = of_type(desk.control(act, "account", "X1"), "ControlAck")
    assert ack.accepted
    desk.check_books()
    assert (desk.lots(), sum(held["lots"] for held in desk.engine.state.books[:, 0])) == (lots, lots)
    say(desk, strange, "b", max(truly, 1), 100.0, kind=kind, amends="a")
    assert (desk.lots(), sum(held["lots"] for held in desk.engine.state.books[:, 0])) == (truly, truly)
    desk.check_books()


def order_of(desk: Desk) -> Any:
    (found,) = desk.engine.state.orders.values()
    return found

"""Implementation shortfall: a hand-reckoned order, sums that hold for any order, the report of a real journal."""

import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.execution import main as command
from agents.execution.orders import ExecutedOrder, Execution, collect_journal, of_store, surviving
from agents.execution.shortfall import PARTS, by_strategy, estimate, expected_and_obtained, report, shortfall, table
from events.types import FillEvent
from market.store.port import LifeRow, OrderRow
from tests.worker.worker_station import Bench


def order(side=1, quantity=100.0, decision=50.0, end=50.0, executions=(), **fields):
    return ExecutedOrder(
        order_id="S1", engine_ns=1_549_895_460_000_000_000, symbol="A", side=side, quantity=quantity,
        decision_price=decision, wanted={"momentum": side * int(quantity)}, end_price=end,
        executions=[
            Execution(execution_id=str(k), quantity=q, price=p, reference_price=r, fee=f)
            for k, (q, p, r, f) in enumerate(executions)
        ], **fields,
    )  # fmt: skip


def test_a_purchase_worked_in_two_fills_and_left_unfinished():
    # decided at 50; 60 at 50.12 (market 50.10), 20 at 50.33 (market 50.30); 20 never came, the price ended at 51
    loss = shortfall(order(end=51.0, executions=[(60, 50.12, 50.10, 3.0), (20, 50.33, 50.30, 1.0)]))
    assert loss.delay == pytest.approx(0.10 * 80)
    assert loss.drift == pytest.approx(0.20 * 20)
    assert loss.cost == pytest.approx(0.02 * 60 + 0.03 * 20)
    assert loss.fees == 4.0
    assert loss.opportunity == pytest.approx(1.0 * 20)
    assert loss.total == pytest.approx(8 + 4 + 1.8 + 4 + 20)
    assert loss.value == 5000.0


def test_a_sale_that_nobody_took_lost_the_fall():
    loss = shortfall(order(side=-1, end=48.0))
    assert (loss.total, loss.opportunity) == (200.0, 200.0)
    assert [loss.delay, loss.drift, loss.cost, loss.fees] == [0.0, 0.0, 0.0, 0.0]


def said(execution_id, kind="FILL", amends="", lots=10, at=1):
    return FillEvent(
        broker="paper", execution_id=execution_id, order_id="S1", broker_ns=at, symbol="A", side="BUY", lots=lots,
        price_micro=50_000_000, fee_micro=0, reference_price=50.0, kind=kind, amends=amends,
    )  # fmt: skip


@given(st.permutations(range(8)))
def test_only_what_truly_happened_counts_whatever_order_it_is_told_in(order_told):
    words = [
        said("a"), said("a"), said("b"), said("c"),
        said("a2", "CORRECTION", "a", 8, 2), said("a3", "CORRECTION", "a2", 7, 3), said("b2", "BUST", "b", at=2),
        said("lost", "BUST", "never seen"),
    ]  # fmt: skip
    left = surviving([words[k] for k in order_told])
    assert sorted((fill.execution_id, fill.lots) for fill in left) == [("a3", 7), ("c", 10)]


def test_corrections_that_name_one_another_are_nothing():
    assert surviving([said("x", "CORRECTION", "y"), said("y", "CORRECTION", "x"), said("z", "BUST", "z")]) == []


prices = st.floats(1.0, 1000.0)
fills = st.lists(st.tuples(st.floats(0.1, 50.0), prices, prices, st.floats(0.0, 5.0)), max_size=5)


@given(side=st.sampled_from([1, -1]), decision=prices, end=prices, executions=fills)
@settings(max_examples=200)
def test_the_parts_are_paper_less_real(side, decision, end, executions):
    """Perold's definition, reckoned as two portfolios' profits instead of by part."""
    quantity = sum(q for q, *_ in executions) + 10.0
    loss = shortfall(order(side, quantity, decision, end, executions))
    paper = side * quantity * (end - decision)
    real = sum(side * q * (end - p) - f for q, p, _, f in executions)
    assert loss.total == pytest.approx(paper - real, rel=1e-9, abs=1e-6)


def test_the_standard_error_of_equal_orders_is_that_of_a_mean():
    money, values = [1.0, 2.0, 3.0, 6.0], [1e4] * 4
    found = estimate(money, values)
    assert found.bps == pytest.approx(3.0)
    deviation = math.sqrt(sum((m - 3.0) ** 2 for m in money) / 3)
    assert found.standard_error_bps == pytest.approx(deviation / 2.0)
    assert estimate([1.0], [1e4]).standard_error_bps is None
    assert estimate([], []).bps is None


def test_strategies_share_an_order_by_their_lots_on_its_side():
    shared = order(executions=[(100, 50.1, 50.0, 0.0)])
    shared.wanted = {"momentum": 90, "bullish": 30, "bearish": -20}
    assert dict(by_strategy(shared)) == {"momentum": 0.75, "bullish": 0.25}
    rows = {row.name: row for row in table([shared], by_strategy)}
    assert rows["momentum"].total.money == pytest.approx(7.5)
    assert rows["bullish"].value == pytest.approx(1250.0)


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A journal of a made-up session that the real worker's core has traded."""
    folder = tmp_path_factory.mktemp("data") / "station"
    bench = Bench(folder / "journal").configure().trade(900)
    bench.core.keeper.sync()
    return folder, bench


def test_the_report_of_a_journal_agrees_with_the_ledger(traded):
    folder, bench = traded
    collected = collect_journal(folder / "journal" / "execution")
    found = report(collected.decisions(), collected.instruments, collected.currency)
    account = bench.core.machine.engine.view()["account"]
    assert found.total.orders == bench.core.machine.projection.counts.orders > 20
    assert found.total.fills == bench.core.machine.projection.counts.fills
    assert found.total.parts["fees"].money == pytest.approx(account["fees"], abs=1e-6)
    without = sum(found.total.parts[part].money for part in ("delay", "drift", "cost"))
    assert without == pytest.approx(account["slippage"], abs=1e-6)
    assert found.total.parts["cost"].money > 0.0  # spread and impact always cost
    for rows in (found.by_symbol, found.by_hour):
        assert sum(row.orders for row in rows) == found.total.orders
        assert math.fsum(row.total.money for row in rows) == pytest.approx(found.total.total.money)
    assert math.fsum(row.total.money for row in found.by_strategy) == pytest.approx(found.total.total.money)
    assert {row.name for row in found.by_hour} <= {f"{hour:02d} America/New_York" for hour in range(9, 17)}


def test_the_command_prints_it_for_people_and_for_scripts(traded, capsys):
    folder, _ = traded
    assert command.main(["report", "--json", "--data-dir", str(folder)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["currency"] == "USD"
    assert set(found["total"]["parts"]) == set(PARTS)
    assert len(found["orders"]) == found["total"]["orders"]
    assert command.main(["report", "--data-dir", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "by strategy" in said
    assert "SYMA" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [(["reprot"], '"reprot" is no sub-command'), ([], "required"), (["report", "--data-dir", "/nowhere"], "/nowhere")],
)
def test_bad_input_is_one_sentence_and_two(argv, said, capsys):
    assert command.main(argv) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


def test_a_page_gets_expected_and_obtained_from_the_store_alone(traded):
    """Rows of the store give what the journal gives."""
    folder, bench = traded
    collected = collect_journal(folder / "journal" / "execution")
    wanted = next(each for each in collected.decisions() if len(each.executions) >= 1)
    records = [record for record in bench.records if f'"{wanted.order_id}"'.encode() in bytes(record.payload)]
    events = [msgspec.json.decode(record.payload) | {"_": record.type} for record in records]
    intent = next(event for event in events if event.get("state") == "INTENT")
    stored = OrderRow(
        order_id=wanted.order_id, engine_ns=wanted.engine_ns, updated_ns=0, state=wanted.state, symbol=wanted.symbol,
        side=intent["side"], lots=intent["lots"], filled_lots=0, type="MARKET", limit_ticks=None, stop_ticks=None,
        time_in_force="DAY", expires_ns=None, lots_by_strategy=intent["lots_by_strategy"],
        expected_price=intent["expected_price"], denials=[], reason="", seq=0, writer="execution",
    )  # fmt: skip
    life = [
        LifeRow(
            order_id=wanted.order_id, ts_ns=0, utc_ns=0, type=record.type, state="",
            payload=bytes(record.payload).decode(), seq=record.seq, writer="execution", hash_current="",
        )
        for record in records
    ]  # fmt: skip
    made = of_store(stored, life, units=1.0, end_price=wanted.end_price)
    assert expected_and_obtained(made) == expected_and_obtained(wanted)

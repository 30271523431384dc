"""`manage.py ledger`: a broker's statement, checked."""

import json
import math
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from controlroom.supervisor.ledger import main
from engine.statement.booked import book_file
from engine.statement.fills import Fill
from market.actions import Action, read_actions

HEADER = "ts,symbol,side,qty,price,fee"
WORKED = """2019-02-11T14:30:00Z,A,buy,12,100,0.12
2019-02-11T14:31:00Z,A,buy,17,99,0.1683
2019-02-11T14:32:00Z,A,sell,9,101,0.0909
2019-02-11T14:33:00Z,A,sell,4,105,0.042
2019-02-11T14:34:00Z,A,buy,3,103,0.0309"""
DAY_NS = 86_400_000_000_000


@pytest.fixture
def ask(tmp_path, capsys):
    """Run the command on rows of fills and actions; return its JSON."""

    def asked(fills: str, *arguments: str, actions: str = "") -> dict:
        file, other = tmp_path / "fills.csv", tmp_path / "actions.csv"
        file.write_text(f"{HEADER}\n{fills}\n")
        other.write_text(f"ts,symbol,kind,value\n{actions}\n")
        given = ["--actions", str(other)] if actions else []
        assert main([str(file), *given, *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return asked


@pytest.fixture
def refused(tmp_path, capsys):
    """Run the command on a whole file; return the one sentence of its refusal."""

    def asked(content: str, *arguments: str, actions: str | None = None) -> str:
        file, other = tmp_path / "fills.csv", tmp_path / "actions.csv"
        file.write_text(content)
        other.write_text(f"ts,symbol,kind,value\n{actions}\n")
        given = [] if actions is None else ["--actions", str(other)]
        assert main([str(file), *given, *arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        return said.err

    return asked


def test_the_worked_example_holds_after_each_fill_to_twelve_digits(ask) -> None:
    average = Fraction(12 * 100 + 17 * 99, 29)
    fees = [Fraction(x, 10_000) for x in (1200, 1683, 909, 420, 309)]
    profit = [0, 0, 9 * (101 - average), 4 * (105 - average), 0]
    averages = [100, average, average, average, (16 * average + 309) / 19]
    for n, quantity in enumerate((12, 29, 20, 16, 19), start=1):
        found = ask("\n".join(WORKED.split("\n")[:n]))
        position = found["positions"]["A"]
        assert position["qty"] == quantity
        assert position["average_price"] == pytest.approx(float(averages[n - 1]), rel=1e-12)
        assert position["realised"] == pytest.approx(float(sum(profit[:n]) - sum(fees[:n])), rel=1e-12)
        assert found["fees"] == pytest.approx(float(sum(fees[:n])), rel=1e-15)
    assert position["average_price"] == pytest.approx(99.98003629764065, rel=1e-12)
    assert found["cash_change"] == pytest.approx(-1200 - 1683 + 909 + 420 - 309 - 0.4521, rel=1e-15)


def test_crossing_zero_closes_the_old_side_first(ask) -> None:
    found = ask("2019-02-11,Z,buy,100,50,0\n2019-02-12,Z,sell,200,100,0", "--marks", "Z=90")
    assert found["positions"]["Z"] == {
        "qty": -100, "average_price": 100.0, "realised": 5000.0, "fees": 0.0, "dividends": 0.0, "financing": 0.0,
        "unrealised": 1000.0,
    }  # fmt: skip
    assert found["cash_change"] == 15_000.0


def test_a_split_leaves_the_cost_and_shares_it_by_more_units(ask) -> None:
    found = ask(WORKED, "--marks", "A=70", actions="2019-02-12,A,split,7/2")["positions"]["A"]
    before = ask(WORKED)["positions"]["A"]
    assert found["qty"] == 66.5
    assert found["average_price"] == pytest.approx(before["average_price"] * 2 / 7, rel=1e-14)
    assert found["realised"] == before["realised"]
    assert found["unrealised"] == pytest.approx(66.5 * 70 - 19 * before["average_price"], rel=1e-12)


def test_dividends_go_to_longs_and_are_paid_by_shorts(ask) -> None:
    rows = "2019-02-11,L,buy,10,5,0\n2019-02-11,S,sell,30,5,0\n2019-02-14,L,buy,90,5,0"
    found = ask(rows, actions="2019-02-12,L,dividend,0.123456\n2019-02-13,S,dividend,0.5\n2019-02-14,L,dividend,1")
    assert found["positions"]["L"]["dividends"] == 11.23456  # at one instant the dividend comes before the fill
    assert found["positions"]["S"]["dividends"] == -15.0
    assert found["positions"]["S"]["realised"] == -15.0
    assert found["dividends"] == -3.76544
    assert found["cash_change"] == -50 + 150 - 450 - 3.76544


def test_shorts_pay_each_night_on_their_last_price_act_360(ask) -> None:
    rows = (
        "2019-02-11T20:00:00Z,S,sell,100,50,0\n2019-02-12T20:00:00Z,S,sell,100,60,0\n"
        "2019-02-15T20:00:00Z,S,buy,300,40,0\n2019-02-20T20:00:00Z,T,sell,1,1,0"
    )
    found = ask(rows, "--financing-bps", "36")
    exact = Fraction(36, 10_000) / 360 * (100 * 50 * 1 + 200 * 60 * 3)  # long since the 15th: nothing more
    assert found["positions"]["S"]["financing"] == pytest.approx(float(exact), abs=1e-6)
    assert found["financing"] == pytest.approx(float(exact), abs=1e-6)
    assert found["positions"]["S"]["realised"] == pytest.approx(200 * 55 - 200 * 40 - float(exact), abs=1e-6)
    assert ask(rows)["financing"] == 0.0


def test_a_split_moves_the_price_that_a_short_pays_on(ask) -> None:
    rows = "2019-02-11,S,sell,100,70,0\n2019-02-13,X,buy,1,1,0"
    found = ask(rows, "--financing-bps", "100", actions="2019-02-12,S,split,7")
    assert found["positions"]["S"]["qty"] == -700
    assert found["financing"] == pytest.approx(7000 * 0.01 * 2 / 360, abs=2e-6)


def test_quantities_and_prices_of_coins_are_exact(ask) -> None:
    rows = "2022-01-01,BTC,BUY,0.12345678,41250.12,0.5\n2022-01-02,BTC,Sell,0.12345677,41250.12,-0.0000001"
    found = ask(rows)["positions"]["BTC"]
    assert found["qty"] == 1e-8
    assert found["average_price"] == pytest.approx(41250.12, rel=1e-9)  # what is left of 10^7 times as much turnover
    tiny = ask("2022-01-01,SHIB,buy,1000000,0.00000812,0")
    assert tiny["cash_change"] == -8.12
    assert tiny["positions"]["SHIB"]["average_price"] == pytest.approx(0.00000812, rel=1e-12)


def test_a_parquet_file_says_the_same(tmp_path, capsys, ask) -> None:
    rows = [line.split(",") for line in WORKED.split("\n")]
    file = tmp_path / "fills.parquet"
    names = HEADER.split(",")
    columns = {name: [row[k] if k < 3 else float(row[k]) for row in rows] for k, name in enumerate(names)}
    parquet.write_table(pa.table(columns), file)
    assert main([str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ask(WORKED)


def test_people_get_a_table(tmp_path, capsys) -> None:
    (tmp_path / "f.csv").write_text(f"{HEADER}\n{WORKED}\n")
    assert main([str(tmp_path / "f.csv")]) == 0
    said = capsys.readouterr().out
    assert "99.980036" in said
    assert "36.168590" in said


ROW = "2019-02-11,A,buy,1,2,0"


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("2019-02-11,A,buy,nan,2,0", 'qty = "nan"'),
        ("2019-02-11,A,buy,0,2,0", 'qty = "0"'),
        ("2019-02-11,A,buy,-1,2,0", 'qty = "-1"'),
        ("2019-02-11,A,buy,inf,2,0", 'qty = "inf"'),
        ("2019-02-11,A,buy,1e99,2,0", 'qty = "1e99"'),
        ("2019-02-11,A,buy,1_000,2,0", 'qty = "1_000"'),
        ("2019-02-11,A,buy,,2,0", 'qty = ""'),
        ("2019-02-11,A,buy,1,0,0", 'price = "0"'),
        ("2019-02-11,A,buy,1,NaN,0", 'price = "NaN"'),
        ("2019-02-11,A,buy,1,2,", 'fee = ""'),
        ("2019-02-11,A,hold,1,2,0", 'side = "hold"'),
        ("2019-02-11,,buy,1,2,0", "no symbol"),
        ("2019-02-10,A,buy,1,2,0", "row 2: ts"),
        ("yesterday,A,buy,1,2,0", "ts"),
        ("2019-02-11,A,buy,0.000000000001,2,0", None),
        ("2019-02-11,A,buy,1000000000000,2000000,0", "worth more"),
        ("2019-02-11,A,buy,123456.000000000001,2,0", "lots"),
    ],
)
def test_a_bad_row_is_named(refused, tmp_path, row, named) -> None:
    content = f"{HEADER}\n{ROW}\n{row}\n"
    if named is None:
        (tmp_path / "f.csv").write_text(content)
        assert main([str(tmp_path / "f.csv")]) == 0
        return
    assert named in refused(content)


@pytest.mark.parametrize(
    ("actions", "named"),
    [
        ("2019-02-11,A,split,0", 'value = "0"'),
        ("2019-02-11,A,split,-2", 'value = "-2"'),
        ("2019-02-11,A,split,1/0", 'value = "1/0"'),
        ("2019-02-11,A,split,nan", 'value = "nan"'),
        ("2019-02-11,A,split,10000000", "outside"),
        ("2019-02-11,A,dividend,0", 'value = "0"'),
        ("2019-02-11,A,merger,2", 'kind = "merger"'),
        ("2019-02-11,,split,2", "no symbol"),
        ("2019-02-12,A,split,2\n2019-02-11,A,split,2", "row 2: ts"),
    ],
)
def test_a_bad_action_is_named(refused, actions, named) -> None:
    assert named in refused(f"{HEADER}\n{ROW}\n", actions=actions)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--financing-bps", "-1"], "--financing-bps"),
        (["--financing-bps", "nan"], "--financing-bps"),
        (["--financing-bps", "0.001"], "--financing-bps"),
        (["--marks", "A"], "--marks"),
        (["--marks", "A=0"], "--marks"),
        (["--marks", "A=1,A=2"], "--marks"),
        (["--marks", "B=1"], "B not in"),
        (["--actions", "/nowhere.csv"], "/nowhere.csv"),
    ],
)
def test_a_bad_argument_is_named(refused, arguments, named) -> None:
    assert named in refused(f"{HEADER}\n{ROW}\n", *arguments)


def test_a_file_that_is_none_is_named(refused) -> None:
    assert "no column fee" in refused("ts,symbol,side,qty,price\n2019-02-11,A,buy,1,2\n")
    assert "empty" in refused("")
    assert "no rows" in refused(f"{HEADER}\n")


# --- against an exact model -------------------------------------------------------------------------------------------

QUANTITY = st.builds(lambda n, d: Fraction(n, 10**d), st.integers(1, 10**5), st.integers(0, 4))
PRICE = st.builds(lambda n, d: Fraction(n, 10**d), st.integers(1, 10**8), st.integers(0, 8))
FILL = st.builds(
    lambda q, p, buys, fee: ("fill", q if buys else -q, p, fee),
    QUANTITY, PRICE, st.booleans(), st.builds(lambda n: Fraction(n, 10**8), st.integers(-100, 10**9)),
)  # fmt: skip
SPLIT = st.builds(lambda a, b: ("split", Fraction(a, b)), st.integers(1, 7), st.integers(1, 4))
DIVIDEND = st.builds(lambda n: ("dividend", Fraction(n, 10**5)), st.integers(1, 10**6))


@settings(max_examples=80)
@given(st.lists(st.one_of(FILL, FILL, FILL, SPLIT, DIVIDEND), min_size=1, max_size=25), st.integers(0, 10**5))
def test_cash_is_exact_and_profit_within_a_trillionth_of_turnover(events, ppm) -> None:
    fills, actions = [], []
    for day, event in enumerate(events):
        if event[0] == "fill":
            fills.append(Fill(day * DAY_NS, "A", event[1], event[2], event[3]))
        else:
            actions.append(Action(day * DAY_NS, "A", event[0], event[1], day + 1))
    if not fills:
        return
    held = basis = realised = turnover = price = Fraction(0)
    micro = fees = 0
    for kind, *numbers in events:
        if held < 0 and price:
            lots = held  # a night for the position of the day before, at the last price
            ticks = math.ceil(price * 10**6 - Fraction(1, 10**4))
            cost = math.ceil(Fraction(math.ceil(-lots * ticks) * ppm, 360 * 10**6))
            micro -= cost
            realised -= Fraction(cost, 10**6)
        if kind == "split":
            held, price = held * numbers[0], Fraction(float(price) / float(numbers[0]))
        elif kind == "dividend":
            paid = math.floor(held * numbers[0] * 10**6)
            micro += paid
            realised += Fraction(paid, 10**6)
            turnover += abs(Fraction(paid, 10**6))
        else:
            quantity, price, fee = numbers
            price_before = basis / held if held else Fraction(0)
            closing = -max(-abs(held), -abs(quantity)) if held * quantity < 0 else Fraction(0)
            closed = closing if held > 0 else -closing
            realised += closed * (price - price_before) - Fraction(math.ceil(fee * 10**6), 10**6)
            basis += -closed * price_before + (quantity + closed) * price
            held += quantity
            turnover += abs(quantity) * price
            notional = quantity * price * 10**6
            micro -= math.ceil(notional) + math.ceil(fee * 10**6)
            fees += math.ceil(fee * 10**6)
    found = book_file(fills, actions, ppm, {"A": 1.0})
    position = found["positions"]["A"]
    last = max(event.ts_ns for event in [*fills, *actions])
    assert last == (len(events) - 1) * DAY_NS
    assert found["cash_change"] == micro / 10**6
    assert found["fees"] == fees / 10**6
    assert Fraction(position["qty"]) == Fraction(float(held))
    tolerance = turnover / 10**12 + Fraction(1, 10**9)
    assert abs(Fraction(position["realised"]) - realised) <= tolerance
    if held:
        assert abs(Fraction(position["average_price"]) * held - basis) <= 4 * tolerance


# --- factor files -----------------------------------------------------------------------------------------------------


def test_a_factor_file_gives_the_actions_of_the_day_after_each_row(tmp_path) -> None:
    file = tmp_path / "factors.csv"
    file.write_text(
        "sym,date,price_factor,split_factor,ref_price\nAAPL,2014-02-05,0.890844,0.035714,512.59\n"
        "AAPL,2014-05-07,0.896176,0.035714,592.33\nAAPL,2014-06-06,0.901182,0.035714,645.57\n"
        "AAPL,2014-08-06,0.901182,0.250000,94.97\n"
    )
    found = [(action.ts_ns // DAY_NS, action.kind, float(action.value)) for action in read_actions(file)]
    june_7 = 16_228  # days since 1970: the Saturday after the row; the session of Monday is its first
    assert found == [(june_7 - 121, "dividend", 3.05), (june_7 - 30, "dividend", 3.29), (june_7, "split", 7.0)]


@pytest.mark.realdata
def test_the_real_factors_are_the_splits_that_happened(station_data) -> None:
    found = read_actions(station_data / "us_factors_lean.parquet")
    splits = {(each.symbol, each.ts_ns // DAY_NS): each.value for each in found if each.kind == "split"}
    assert len(splits) == 13
    assert {value for (symbol, _), value in splits.items() if symbol == "AIG"} == {
        Fraction(3, 2), Fraction(5, 4), Fraction(1, 20),
    }  # fmt: skip
    assert {value for (symbol, _), value in splits.items() if symbol == "AAPL"} == {Fraction(2), Fraction(7)}
    paid = [float(each.value) for each in found if each.kind == "dividend" and each.symbol == "AAPL"]
    assert paid == [2.65, 2.65, 2.65, 3.05, 3.05, 3.05, 3.05, 3.29, 0.47, 0.47, 0.47, 0.52, 0.52]

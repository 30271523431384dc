"""`--stances`: opinions scale one strategy's targets within the clamp, and are replayed like everything else."""

import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.station.stations import (
    assert_equity_is_cash_and_positions,
    assert_nothing_twice,
    assert_the_record_gives_itself,
    finish,
    kills,
    refused,
)

pytestmark = [pytest.mark.station, pytest.mark.realdata]

LOW, HIGH = 0.5, 1.5
STANCES = (  # strategy, symbol, bias, confidence, from, until, source; behind each its multiplier
    ("momentum", "AAPL", 0.8, 1.0, "2019-02-12T18:00", "2019-02-13T16:00", "analyst"),  # 1.8, cut to 1.5
    ("momentum", "TSLA", -1.0, 0.9, "2019-02-11T00:00", "2019-02-14T00:00", "sentiment"),  # 0.1, cut to 0.5
    ("momentum", "*", 0.2, 0.5, "2019-02-14T12:00", "2019-02-20T00:00", "portfolio"),  # 1.1
    ("momentum", "AAPL", -0.5, 0.5, "2019-02-14T12:00", "2019-02-15T18:00", "analyst"),  # 0.75, before the one for all
)


def instant(text):
    return int(pa.scalar(text).cast(pa.timestamp("ns")).value)


def multiplier(strategy, symbol, engine_ns):
    """Return what STANCES make of a target: the one for the symbol goes before the one for every symbol."""
    valid = [
        row for row in STANCES
        if row[0] == strategy and row[1] in {symbol, "*"} and instant(row[4]) <= engine_ns < instant(row[5])
    ]  # fmt: skip
    if not valid:
        return 1.0
    _, _, bias, confidence, *_ = max(valid, key=lambda row: row[1] != "*")
    return min(HIGH, max(LOW, 1.0 + bias * confidence))


def write_stances(path, rows=STANCES, **changed):
    """Write a stance file; ``changed`` replaces fields of the first row."""
    names = ("strategy", "symbol", "bias", "confidence", "effective_from", "expiry", "source")
    first = {**dict(zip(names, rows[0], strict=True)), **changed}
    table = [first, *(dict(zip(names, row, strict=True)) for row in rows[1:])]
    parquet.write_table(pa.Table.from_pylist(table), path)
    return path


@pytest.fixture(scope="module")
def file(folder):
    return write_stances(folder / "stances.parquet")


@pytest.fixture(scope="module")
def steered(folder, week, file):
    return finish(folder / "steered", *week, "--speed", "max", "--stances", file)


def test_the_record_gives_itself(steered, folder):
    assert_the_record_gives_itself(steered, folder)


def test_signals_carry_the_multiplier_and_keep_their_targets(reference, steered):
    plain, shown = reference.payloads("SignalEvent"), steered.payloads("SignalEvent")
    assert [msgspec.structs.replace(signal, stance_multiplier=1.0) for signal in shown] == plain
    found = {(signal.strategy, signal.stance_multiplier) for signal in shown}
    for signal in shown:
        assert signal.stance_multiplier == multiplier(signal.strategy, signal.symbol, signal.engine_ns)
    assert {value for name, value in found if name == "momentum"} >= {LOW, HIGH, 1.1, 1.0}
    assert {value for name, value in found if name != "momentum"} == {1.0}


def test_entries_grow_and_shrink_with_their_stance(reference, steered):
    """An entry from flat is the reference's times the multiplier, as far as a target of one allows."""
    entries = {}
    for run in (reference, steered):
        targets = {(s.symbol, s.engine_ns): s for s in run.payloads("SignalEvent") if s.strategy == "momentum"}
        entries[run.data_dir] = {
            (order.symbol, order.engine_ns): order.lots_by_strategy["momentum"]
            for order in run.intents()
            if (signal := targets.get((order.symbol, order.engine_ns))) and signal.previous_target == 0.0
            and "momentum" in order.lots_by_strategy
        }  # fmt: skip
    before, after = entries[reference.data_dir], entries[steered.data_dir]
    targets = {(s.symbol, s.engine_ns): s.target for s in steered.payloads("SignalEvent") if s.strategy == "momentum"}
    changed = set()
    for key in before.keys() & after.keys():
        expected = multiplier("momentum", *key)
        bounded = min(1.0, abs(targets[key]) * expected) / abs(targets[key])
        assert abs(after[key]) == pytest.approx(abs(before[key]) * bounded, rel=0.01, abs=1.0)
        if expected != 1.0:
            changed.add((key[0], expected))
    assert {("AAPL", HIGH), ("TSLA", LOW)} <= changed
    assert steered.result["orders_sha256"] != reference.result["orders_sha256"]


def test_a_stance_that_expires_gives_the_lots_back(steered):
    """AAPL is held when its stance of 1.5 ends: an order with no signal of its own brings the position down."""
    end = instant("2019-02-13T16:00")
    signalled = {(s.symbol, s.engine_ns) for s in steered.payloads("SignalEvent") if s.strategy == "momentum"}
    given_back = [
        order.lots_by_strategy["momentum"]
        for order in steered.intents()
        if order.symbol == "AAPL" and end <= order.engine_ns < end + 120_000_000_000
        and "momentum" in order.lots_by_strategy and (order.symbol, order.engine_ns) not in signalled
    ]  # fmt: skip
    assert len(given_back) == 1
    assert given_back[0] < 0


def test_the_record_holds_each_stance_once_and_adds_up(steered):
    given = steered.payloads("StanceEvent")
    assert sorted((s.strategy, s.symbol, s.bias, s.confidence, s.source) for s in given) == sorted(
        (row[0], row[1], row[2], row[3], row[6]) for row in STANCES
    )
    assert [s.version for s in given] == [1, 2, 3, 4]
    assert steered.result["chain_ok"] is True
    assert_equity_is_cash_and_positions(steered)


def test_a_killed_run_replays_stances_identically(reference, steered, week, file, short_dir):
    disturb = kills(3, reference.result["bars"], ("feed", "worker"), ("worker",))
    again = finish(short_dir / "again", *week, "--speed", "max", "--stances", file, disturb=disturb)
    assert again.same() == steered.same()
    assert again.derived() == steered.derived()
    assert [bytes(r.payload) for r in again.records("StanceEvent")] == [
        bytes(r.payload) for r in steered.records("StanceEvent")
    ]
    assert_nothing_twice(again)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"strategy": "astrology"}, ("row 1", 'strategy = "astrology"', "momentum")),
        ({"bias": None}, ("row 1", "bias", "-1 to 1")),
        ({"effective_from": "yesterday"}, ("effective_from", "ISO")),
    ],
)
def test_a_bad_stance_is_one_sentence(week, short_dir, changed, words):
    file = write_stances(short_dir / "bad.parquet", STANCES[:1], **changed)
    sentence = refused(short_dir / "data", *week, "--stances", file)
    assert "bad.parquet" in sentence
    assert all(word in sentence for word in words), sentence
    assert not (short_dir / "data").exists()


def test_a_missing_column_is_named(week, short_dir):
    file = short_dir / "bad.parquet"
    parquet.write_table(parquet.read_table(write_stances(file)).drop_columns(["confidence"]), file)
    sentence = refused(short_dir / "data", *week, "--stances", file)
    assert "no column confidence" in sentence
    assert not (short_dir / "data").exists()

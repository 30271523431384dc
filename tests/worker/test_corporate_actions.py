"""Splits, dividends and financing in the worker: journaled, agreed with the broker, replayed and resumed alike."""

import json

import msgspec
import pytest
from worker_station import Bench, configuration, configure_event

from controlroom.supervisor.ledger import main as ledger
from engine.output import Output
from events.bus import Entry
from events.codec import decode_payload, envelope
from events.paths import DataPaths
from events.reader import JournalReader
from events.types import CorporateActionEvent, SliceEnd
from worker import replay
from worker.intake import MarketIntake
from worker.reconcile import difference
from worker.replay import main

SPLIT_AFTER, SESSION_AND_MORE = 160, 400


def action(symbol, kind, at_ns, **fields):
    return CorporateActionEvent(feed="simulated", symbol=symbol, kind=kind, effective_from_ns=at_ns, **fields)


def act(bench, *events):
    for event in events:
        bench.core.apply(Output("CorporateActionEvent", "feed:simulated", event))


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A journal of a session and a bit: actions between two crashes, a snapshot, a night that shorts pay for."""
    paths = DataPaths(tmp_path_factory.mktemp("station"))
    bench = Bench(paths.journal)
    chosen = configuration()
    costs = msgspec.structs.replace(chosen.settings.costs, financing_bps=500.0)
    chosen = msgspec.structs.replace(chosen, settings=msgspec.structs.replace(chosen.settings, costs=costs))
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(chosen)))
    bench.core.reconcile()
    bench.trade(SPLIT_AFTER)
    machine = bench.core.machine
    for symbol in machine.in_force().view()["positions"]:
        act(bench, action(symbol, "dividend", machine.engine_ns, amount_micro=123_457))
        act(bench, action(symbol, "split", machine.engine_ns, numerator=101, denominator=100))
    assert difference(machine) == "", "the broker's books moved with ours"
    bench.crash()
    bench.trade(200, first=SPLIT_AFTER)
    bench.core.snapshot()
    bench.trade(SESSION_AND_MORE, first=200)
    bench.crash()
    assert difference(bench.core.machine) == ""
    assert bench.core.machine.in_force().state.account[0]["financing_micro"] > 0
    bench.core.keeper.sync()
    bench.journal.close()
    return paths


def adjustments(paths):
    records = JournalReader(paths.journal / "execution").read()
    return [decode_payload(each.type, each.payload) for each in records if each.type == "AdjustmentEvent"]


def test_the_journal_holds_what_moved(station):
    found = adjustments(station)
    assert {each.kind for each in found} == {"split", "dividend", "financing"}
    for each in found:
        assert sum(each.cash_by_strategy_micro.values()) == each.cash_micro
        assert sum(each.lots_by_strategy.values()) == each.lots


@pytest.mark.parametrize("options", [(), ("--from-snapshot",)])
def test_it_is_replayed_byte_for_byte(station, monkeypatch, capsys, options):
    monkeypatch.setattr(replay, "fingerprint", lambda: {"test": "same"})
    monkeypatch.setattr(replay, "warm_up", lambda: None)
    assert main(["--data-dir", str(station.root), "--json", *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["exact"]) == (True, True)


def entries(*events, start=0):
    return [
        Entry("market.simulated", f"{start + n}-0", envelope(kind, "feed", payload, 1000 + n))
        for n, (kind, payload) in enumerate(events, 1)
    ]


def test_an_action_passes_before_its_slice_and_only_once():
    made = entries(
        ("CorporateActionEvent", action("A", "split", 5, numerator=2)),
        ("SliceEnd", SliceEnd(feed="simulated", close_ns=10, bars=0)),
    )
    fresh = MarketIntake("market.simulated", "0-0", "", 0, lambda _bar, _last: None)
    first, second = (fresh.take(entry) for entry in made)
    assert first.event.payload.position == "market.simulated 1-0"
    assert second.event.type == "MarketSlice"
    known = MarketIntake("market.simulated", "0-0", first.event.payload.position, 0, lambda _bar, _last: None)
    assert known.take(made[0]) is None, "the journal holds it already"


def test_the_days_statement_adds_up(station, capsys):
    days = [[], ["--date", "2019-02-11"]]
    found = []
    for day in days:
        assert ledger(["--statement", "--data-dir", str(station.root), "--json", *day]) == 0
        found.append(json.loads(capsys.readouterr().out))
    last, first = found
    assert (first["date"], last["date"]) == ("2019-02-11", "2019-02-12")
    assert first["opening"] == {"cash": 1_000_000.0, "equity": 1_000_000.0}
    assert last["opening"]["cash"] == first["closing"]["cash"]
    assert last["opening"]["equity"] == pytest.approx(first["closing"]["equity"], abs=1e-6)
    assert first["totals"]["dividends"] != 0.0
    assert first["totals"]["financing"] > 0.0
    assert first["fills"]
    for each in found:
        assert each["difference"]["cash"] == each["difference"]["cash_to_engine"] == 0.0
        assert each["difference"]["equity"] == pytest.approx(0.0, abs=1e-6)
        assert each["difference"]["equity_to_engine"] == pytest.approx(0.0, abs=1e-6)
        earned = sum(row["pnl"] for row in each["strategies"].values())
        assert earned == pytest.approx(each["closing"]["equity"] - each["opening"]["equity"], abs=1e-4)
        for name in ("fees", "dividends", "financing"):
            assert sum(row[name] for row in each["symbols"].values()) == pytest.approx(each["totals"][name], abs=1e-9)
    assert ledger(["--statement", "--data-dir", str(station.root)]) == 0
    assert "financing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--date", "2019-02-30"], "2019-02-30"), (["--date", "2018-01-01"], "2019-02-11 to 2019-02-12"),
        (["fills.csv"], "--statement"),
    ],
)  # fmt: skip
def test_a_day_that_is_not_there_is_named(station, capsys, arguments, named):
    assert ledger(["--statement", "--data-dir", str(station.root), *arguments]) == 2
    assert named in capsys.readouterr().err


def test_a_statement_needs_a_station(tmp_path, capsys):
    assert ledger(["--statement", "--data-dir", str(tmp_path / "none")]) == 2
    assert ledger(["--date", "2019-02-11", "x.csv"]) == 2
    assert ledger([]) == 2

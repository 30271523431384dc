"""Decisions worked in slices in a real worker's core: their record, their report, and the same again after a crash."""

from collections import defaultdict

import msgspec
import pytest

from agents.execution.orders import collect
from agents.execution.shortfall import report
from engine.configuration import Execution
from engine.output import Output
from events.types import ForecastEvent, OrderEvent, ParentEvent
from tests.engine.tape import configuration_of, of_files, slices
from tests.worker.worker_station import Bench, configuration, configure_event

MINUTES = 500
WEEK = "us_min1_2019-02-11_2019-02-15_24sym.parquet"
TWAP = Execution(algorithm="twap", slices=4, horizon_minutes=4.0)
SHARE = Execution(algorithm="participation", participation=0.0005)


def configured(bench, given, execution):
    chosen = msgspec.structs.replace(given, settings=msgspec.structs.replace(given.settings, execution=execution))
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(chosen)))
    bench.core.reconcile()
    return bench


def of(records, kind):
    return [msgspec.json.decode(r.payload, type=kind) for r in records if r.type == kind.__name__]


def check(records):
    """Every parent sent what its slices are, at most what was decided, and the report counts it as one decision."""
    intents = {order.order_id: order for order in of(records, OrderEvent) if order.state == "INTENT"}
    slices_of = defaultdict(list)
    for forecast in of(records, ForecastEvent):
        slices_of[forecast.parent_id].append(intents[forecast.order_id])
    parents = {parent.parent_id: parent for parent in of(records, ParentEvent)}  # their last word
    assert parents
    for parent_id, parent in parents.items():
        made = slices_of[parent_id]
        sent = sum(order.lots for order in made)
        assert sent <= parent.lots
        assert parent.state == "WORKING" or sent == parent.sent_lots
        assert {(order.symbol, order.side, order.expires_ns) for order in made} <= {
            (parent.symbol, parent.side, parent.expires_ns)
        }
        assert (parent.state == "DONE") == (parent.sent_lots == parent.lots)
    collected = collect(records)
    found = report(collected.decisions(), collected.instruments, collected.currency)
    at_once = len(slices_of.get("", []))
    assert found.total.orders == at_once + len([parent for parent in parents if slices_of[parent]])
    return parents, found


@pytest.mark.parametrize("execution", [TWAP, SHARE])
def test_a_crash_in_the_middle_goes_on_alike(tmp_path, execution):
    whole = configured(Bench(tmp_path / "whole"), configuration(), execution).trade(MINUTES)
    bench = configured(Bench(tmp_path / "torn"), configuration(), execution).trade(MINUTES // 2)
    bench.core.snapshot()
    bench.trade(MINUTES - 100, first=MINUTES // 2)
    bench.crash()
    assert bench.done.exact
    bench.trade(MINUTES, first=MINUTES - 100)
    assert bench.digest == whole.digest
    parents, _ = check(bench.records)
    assert len(parents) > 5
    bench.core.reconcile()
    assert bench.core.machine.reconciled


@pytest.mark.realdata
def test_a_day_of_real_minutes_in_slices(tmp_path, station_data):
    feed = of_files(station_data / WEEK, symbols=("AAPL", "BAC", "SPY", "TSLA"))
    bench = configured(Bench(tmp_path), configuration_of(feed), TWAP)
    for market in slices(feed)[:420]:
        bench.core.apply(Output("MarketSlice", "feed:replay", market))
    parents, found = check(bench.records)
    assert len(parents) > 10
    assert {parent.state for parent in parents.values()} <= {"WORKING", "DONE", "CANCELED", "EXPIRED"}
    assert found.total.parts["cost"].bps > 0.0
    assert bench.core.machine.projection.counts.denied == 0

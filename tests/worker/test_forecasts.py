"""Forecasts of slippage in a real worker's core: in their intent's batch, by the model in force, made again alike."""

import msgspec
import pytest

from agents.execution.slippage import FEATURES, spread_bps
from engine.output import Output
from events.types import ForecastEvent, OrderEvent
from tests.agents.slippage_models import BUYS, SALES, event, model, onnx_of
from tests.worker.worker_station import Bench

MINUTES = 500


def forecasts(records):
    return [msgspec.json.decode(r.payload, type=ForecastEvent) for r in records if r.type == "ForecastEvent"]


def orders(records, state="INTENT"):
    made = [msgspec.json.decode(r.payload, type=OrderEvent) for r in records if r.type == "OrderEvent"]
    return [order for order in made if order.state == state]


def take(bench, given):
    bench.core.apply(Output("ModelEvent", "slippage", given))


def alerts(records):
    return [r for r in records if r.type == "RiskAlert" and b"MODEL_REFUSED" in bytes(r.payload)]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path).configure()


def test_every_order_has_its_forecast_in_the_batch_of_its_intent(bench):
    records = bench.trade(MINUTES).records
    batch, seen = [], 0
    for record in records:
        batch.append(record)
        if record.left == 0:
            decided = [order.order_id for order in orders(batch)]
            assert [forecast.order_id for forecast in forecasts(batch)] == decided
            seen, batch = seen + len(decided), []
    assert seen == bench.core.machine.projection.counts.orders > 10


def test_without_a_model_it_is_the_spread_models_and_says_so(bench):
    records = bench.trade(MINUTES).records
    by_id = {order.order_id: order for order in orders(records)}
    costs = bench.core.machine.configuration.settings.costs
    for forecast in forecasts(records):
        known, order = forecast.features, by_id[forecast.order_id]
        assert forecast.model == "spread"
        assert set(known) == set(FEATURES)
        assert known["side"] == (1.0 if order.side == "BUY" else -1.0)
        assert known["minute"] == (forecast.engine_ns - 1_549_895_400_000_000_000) // 60_000_000_000 % 1440
        again = spread_bps(
            price=order.expected_price, tick=0.01, half_spread=costs.half_spread_bps * 1e-4,
            impact_eta=costs.impact_eta, sigma=known["sigma_bps"] * 1e-4, bars=known["size"],
        )  # fmt: skip
        assert forecast.forecast_bps == forecast.spread_bps == pytest.approx(again, rel=1e-12)
        assert forecast.forecast_bps >= costs.half_spread_bps


def test_a_model_corrects_the_forecast_from_its_instant_on_and_changes_no_order(bench, tmp_path):
    plain = Bench(tmp_path / "plain").configure().trade(MINUTES)
    [half_ns] = [one.close_ns for k, one in enumerate(bench.slices(MINUTES)) if k == MINUTES // 2]
    take(bench, event(model(version=4), half_ns))
    records = bench.trade(MINUTES).records
    made = forecasts(records)
    before = [each for each in made if each.engine_ns < half_ns]
    after = [each for each in made if each.engine_ns >= half_ns]
    assert {each.model for each in before} == {"spread"}
    assert {each.model for each in after} == {"slippage@4"}
    assert {each.forecast_bps - each.spread_bps == pytest.approx(BUYS if each.features["side"] > 0 else SALES)
            for each in after} == {True}  # fmt: skip
    assert bench.digest == plain.digest


def test_a_newer_version_without_a_model_gives_the_word_back_to_the_spread(bench):
    take(bench, event(model()))
    bench.trade(MINUTES // 2)
    take(bench, event(model(version=2, onnx="")))
    bench.trade(MINUTES, first=MINUTES // 2)
    models = [each.model for each in forecasts(bench.records)]
    assert set(models) == {"slippage@1", "spread"}
    assert models == sorted(models)  # first the model's, then the spread's


@pytest.mark.parametrize(
    "wrong",
    [
        event(model(), sha256="0" * 64),
        event(model(raw=b"this is no ONNX")),
        event(model(raw=onnx_of(features=3))),
        event(model(raw=onnx_of(buys=float("nan"), sales=float("nan")))),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_and_the_spread_model_goes_on(bench, wrong):
    take(bench, wrong)
    records = bench.trade(MINUTES).records
    assert len(alerts(records)) == 1
    assert {each.model for each in forecasts(records)} == {"spread"}


def test_a_crash_makes_the_same_forecasts_again_byte_for_byte(bench):
    """Bench.crash resumes: every record is made again and compared, from a snapshot that holds the model too."""
    take(bench, event(model()))
    bench.trade(MINUTES // 2)
    bench.crash()
    bench.core.snapshot()
    bench.trade(MINUTES, first=MINUTES // 2)
    bench.crash()
    assert bench.done.exact
    assert {each.model for each in forecasts(bench.records)} == {"slippage@1"}
    bench.trade(MINUTES + 100, first=MINUTES)
    assert len(orders(bench.records)) == len(forecasts(bench.records))

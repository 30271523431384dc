"""The fit of the slippage model: what it finds, what it leaves alone, and that its arithmetic is exact."""

import base64
import math

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.execution.fitting import NEEDED, Observation, Request, fit
from agents.execution.slippage import FEATURES, LEAF_BPS, SlippageError, decode, spread_bps
from engine.fills import market_price_micro
from tests.agents.slippage_models import event, model

COUNT = 400


def observations(afternoon_bps, count=COUNT, noise=4.0, seed=1):
    """Orders whose slippage is the spread model's, and ``afternoon_bps`` more after the 200th minute."""
    chance = np.random.default_rng(seed)
    made = []
    for k in range(count):
        side, size, sigma = float(chance.choice([-1, 1])), float(chance.exponential(0.02)), float(chance.uniform(3, 15))
        spread, minute = 1.0 + 0.1 * sigma * math.sqrt(size), float(k % 390)
        obtained = spread + (afternoon_bps if minute > 200 else 0.0) + float(chance.normal(0, noise))
        made.append(Observation(k * 60_000_000_000, [side, size, sigma, 1.0, spread, minute, 0.0, 60.0], obtained))
    return made


def request(given, version=3):
    return Request(version=version, fitted_through_ns=7, observations=given)


def correction(fitted, minute):
    session = onnxruntime.InferenceSession(base64.b64decode(fitted.onnx), providers=["CPUExecutionProvider"])
    row = np.array([[1.0, 0.02, 9.0, 1.0, 1.2, minute, 0.0, 60.0]], dtype=np.float32)
    return float(session.run(None, {"features": row})[0][0, 0])


@pytest.fixture(scope="module")
def fitted():
    return fit(request(observations(3.0)))


def test_a_cost_that_the_spread_model_misses_is_found(fitted):
    walked = fitted.walk_forward
    assert walked.gain > walked.gain_error > 0.0
    assert walked.model_rmse < walked.spread_rmse
    assert walked.orders == COUNT // 2
    assert fitted.label == "slippage@3"
    assert correction(fitted, 300.0) == pytest.approx(3.0, abs=1.0)
    assert correction(fitted, 100.0) == pytest.approx(0.0, abs=1.0)


def test_where_the_spread_model_is_right_it_stays():
    """Noise alone: whatever trees find in it does not hold out of sample."""
    found = fit(request(observations(0.0)))
    assert (found.onnx, found.label) == ("", "spread")
    assert found.walk_forward.gain <= found.walk_forward.gain_error


def test_the_same_orders_give_the_same_bytes_in_whatever_order_they_come(fitted):
    assert fit(request(observations(3.0)[::-1])) == fitted


def test_every_answer_is_a_whole_number_of_leaf_parts(fitted):
    """So that its float32 sum has no rounding, whichever way a runtime adds."""
    answers = [correction(fitted, float(minute)) * LEAF_BPS for minute in range(0, 390, 13)]
    assert answers == [round(answer) for answer in answers]
    assert len(set(answers)) > 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (observations(0.0, count=NEEDED - 1), f"{NEEDED - 1} orders with executions are too few"),
        ([*observations(0.0), Observation(1, [math.nan] * len(FEATURES), 1.0)], "not finite"),
    ],
)
def test_what_cannot_be_fitted_is_a_sentence(given, said):
    with pytest.raises(ValueError, match=said):
        fit(request(given))


def test_a_model_that_is_none_is_refused():
    right = event(model())
    assert decode(bytes(right.content), right.sha256).label == "slippage@1"
    for wrong, said in (
        (event(model(), sha256="0" * 64), "hash"),
        (event(model(features=["side"])), "reads side"),
        (event(model(onnx="no base64!")), "no slippage model"),
    ):
        with pytest.raises(SlippageError, match=said):
            decode(bytes(wrong.content), wrong.sha256)


@given(
    price=st.floats(1.0, 5000.0), side=st.sampled_from([1, -1]), bars=st.floats(0.0, 2.0), sigma=st.floats(0.0, 0.01),
    half_spread=st.floats(0.0, 0.001),
)  # fmt: skip
@settings(max_examples=100)
def test_the_spread_model_is_the_fill_models_own_cost(price, side, bars, sigma, half_spread):
    filled = market_price_micro(price, side, bars * 1000.0, 1000.0, sigma, 0.01, half_spread, 0.1) * 1e-6
    forecast = spread_bps(
        price=price, tick=0.01, half_spread=half_spread, impact_eta=0.1, sigma=sigma, bars=bars
    )  # fmt: skip
    assert side * (filled - price) / price * 1e4 == pytest.approx(forecast, abs=0.011 / price)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.metrics import SAMPLES, Metrics


def test_counters_gauges_and_histograms_have_one_snapshot():
    metrics = Metrics("worker")
    metrics.counter("orders").add()
    metrics.counter("orders").add(2)
    metrics.gauge("lag").set(5)
    metrics.gauge("lag").set(4)
    for value in range(1, 201):
        metrics.histogram("tick_ms").observe(value)
    assert metrics.histogram("empty").summary() == {"n": 0}
    assert metrics.snapshot() == {
        "orders": 3, "lag": 4, "tick_ms.p50": 100, "tick_ms.p95": 190, "tick_ms.p99": 198, "tick_ms.max": 200,
        "tick_ms.n": 200, "empty.n": 0,
    }  # fmt: skip


def test_a_counter_only_grows():
    with pytest.raises(ValueError, match="amount = -1"):
        Metrics("x").counter("c").add(-1)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300))
def test_quantiles_are_observed_values_in_order(values):
    histogram = Metrics("x").histogram("h")
    for value in values:
        histogram.observe(value)
    found = histogram.summary()
    assert found["p50"] <= found["p95"] <= found["p99"] <= found["max"] == max(values)
    assert {found["p50"], found["p95"], found["p99"]} <= set(values)
    assert sum(value <= found["p50"] for value in values) * 2 >= len(values)


def test_a_histogram_forgets_old_values_but_not_their_number():
    histogram = Metrics("x").histogram("h")
    histogram.observe(1e6)
    for _ in range(SAMPLES):
        histogram.observe(1.0)
    assert histogram.summary() == {"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1e6, "n": SAMPLES + 1}

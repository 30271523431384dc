"""Three hundred seeds of the worker's whole logic on a machine where everything fails: every invariant holds."""

import logging

import pytest

from tests.simulation.bus import SimulatedBus
from tests.simulation.simulation import run_seed

SEEDS = 300
PARTS = 6


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_seed_finds_anything(part):
    seeds = range(part, SEEDS, PARTS)
    results = [run_seed(seed) for seed in seeds]
    findings = [
        f"{result.finding}\n  ./station bench simulation --seeds 1 --seed {result.seed}"
        for result in results
        if result.finding
    ]
    assert not findings, "\n".join(findings)
    assert sum(result.crashes for result in results) > SEEDS / PARTS / 2
    assert sum(result.orders for result in results) > 5 * SEEDS / PARTS
    assert sum(result.fills for result in results) > 3 * SEEDS / PARTS


def test_a_seed_is_the_same_every_time():
    first, second = (run_seed(17, tracing=True) for _ in range(2))
    assert first.trace == second.trace
    assert first.counts == second.counts
    assert len(first.trace) > 30


def test_a_shorter_market_is_the_beginning_of_the_longer_one():
    whole, short = run_seed(17, tracing=True), run_seed(17, steps=12, tracing=True)
    assert sum("  slice" in line for line in short.trace) <= 12 < sum("  slice" in line for line in whole.trace)


def test_what_the_bus_took_is_told_with_its_seed(monkeypatch):
    """A finding is told, not raised, so that one seed's does not hide another's."""
    monkeypatch.setattr(SimulatedBus, "_take", lambda self, _told: self.told.update({"execution:0": b"another"}))
    results = [run_seed(seed) for seed in range(4)]
    assert "told after written" in {result.invariant for result in results}

"""The simulator finds what was planted: the table says within how many seeds, and by which invariant."""

import logging

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, found
from tests.simulation.simulation import run_seed


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def table(request):
    rows = []
    yield rows
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print()
        for name, seeds, invariant in rows:
            print(f"{name:30}{seeds:4} seeds {invariant}")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_every_planted_bug_is_found(mutant: Mutant, table):
    seeds, invariant = found(mutant, lambda seed: run_seed(seed).invariant)
    table.append((mutant.name, seeds, invariant))
    assert invariant, f"{mutant.what}: not found within {mutant.within} seeds"


def test_there_are_enough_of_them():
    assert len(MUTANTS) >= 14
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)

"""kill -9 of each process in turn at random points of a replay: nothing is lost, nothing happens twice."""

import secrets

import pytest

from tests.faults.killing import Deck, Loops, arguments

pytestmark = [pytest.mark.station, pytest.mark.realdata]

LOOPS = 20  # `./station bench faults --loops 300` does more


@pytest.mark.timeout(600)
def test_every_process_killed_anywhere(short_dir, station_data, fault_row):
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}: ./station bench faults --loops {LOOPS} --seed {seed} does the same again")
    loops = Loops(short_dir, arguments(station_data, short_dir), Deck(seed))
    loops.run(LOOPS)
    assert loops.counts.hold, loops.counts
    assert loops.counts.loops == LOOPS
    fault_row(
        fault="kill -9 of every process, anywhere",
        orders="those of the undisturbed run, byte for byte",
        state="ACTIVE throughout",
        sees="the process restarts, counted on System",
        recovers="by itself: the supervisor starts it again, it goes on where its journal or its place on the bus ends",
        measured=str(loops.counts),
    )

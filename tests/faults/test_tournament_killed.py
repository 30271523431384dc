"""kill -9 of Celery's worker in each step of a round: it goes on where it stopped and ends as an undisturbed one."""

import itertools
import random
import secrets
import time
from collections import Counter
from contextlib import nullcontext

import msgspec
import pytest

from events.actions import ATTEMPTS
from tests.faults.round_station import RoundStation, round_of
from tests.operator.running import wait_for
from tournaments.rounds import STEPS, TERMINAL

pytestmark = [pytest.mark.station, pytest.mark.timeout(900)]  # compiled code may have to be made first

NAMES = [each.name for each in STEPS]
DISTURBED = ("one", "two", "three", "four", "five", "six")  # a step that ends too soon is tried in the next
DRAWN = {"commitment", "box", "transport_key"}
"""What chance is in: fields of events that differ between rounds of the same inputs."""


def test_celery_killed_in_every_step_of_a_round(short_dir, fault_row):
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")
    chance, deaths = random.Random(seed), Counter()
    with RoundStation(short_dir / "d", "whole", *DISTURBED) as station:
        station.start("celery")
        station.wait_until_done(round_of("whole"))
        away_s = killed_for_good(station, round_of(DISTURBED[0]), deaths)
        disturbed = disturb(station, deaths, chance)
        assert set(deaths) == set(NAMES), deaths
        station.wait_until_journaled()
        assert_as_the_whole_one(station, disturbed)
    fault_row(
        fault="Celery killed (-9) in each step of a tournament's round",
        orders="none: a round places no order",
        state="as before: trading does not know of it",
        sees="the round's page stays at the step, then goes on",
        recovers="by itself: its lease runs out, beat rings, the next worker does the step that was cut off",
        measured=f"{deaths.total()} deaths ({', '.join(f'{name} {deaths[name]}' for name in NAMES)}), events twice 0, "
        f"different records 0; taken over {away_s:.0f} s after the first",
    )


def killed_for_good(station, round_id, deaths):
    """Kill the worker in the first step and let its lease run out; return the seconds until somebody has it."""
    station.wait_for_step(round_id, {"open"})
    station.kill9("celery")
    deaths[station.state(round_id)] += 1
    died_s = time.monotonic()
    station.start("celery")
    wait_for(lambda: station.held_by(round_id), 300, "another holder")
    return time.monotonic() - died_s


def disturb(station, deaths, chance):
    """Hold rounds until each step has been hit; return their names."""
    disturbed = []
    while set(deaths) != set(NAMES) and len(disturbed) < len(DISTURBED):
        disturbed.append(DISTURBED[len(disturbed)])
        kill_in_missing_steps(station, round_of(disturbed[-1]), deaths, chance)
        station.wait_until_done(round_of(disturbed[-1]))
    return disturbed


def kill_in_missing_steps(station, round_id, deaths, chance):
    """Kill the worker in each step that no death has hit yet, as far as one round survives it.

    By turns at once, as the step before has just been written, and with the step's own result held up.
    """
    turns = itertools.cycle((0, 1))
    while missing := set(NAMES) - set(deaths):
        station.wait_for_step(round_id, missing)
        if station.state(round_id) in TERMINAL or station.job(round_id)["attempts"] >= ATTEMPTS:
            return
        late = next(turns)
        with station.held_up() if late else nullcontext():
            time.sleep(late * chance.uniform(0.0, 0.3))
            station.kill9("celery")
        deaths.update({station.state(round_id)} - set(TERMINAL))
        station.end_lease(round_id)
        station.start("celery")


def assert_as_the_whole_one(station, disturbed):
    """Every round has the record of the undisturbed one, and told the same events, each once."""
    journal, holds = station.journaled()
    assert holds
    whole = said(journal, round_of("whole"))
    assert Counter(each[0] for each in whole)["RoundEvent"] == len(NAMES)
    for name in disturbed:
        assert plain(station.row(round_of(name))["record"], name) == station.row(round_of("whole"))["record"]
        row = station.row(round_of(name))
        assert (row["state"], row["reason"], row["sealed"]) == ("settled", "", "{}")
        assert said(journal, round_of(name), name) == whole
    assert not list((station.paths.secrets / "rounds").iterdir())


def said(journal, round_id, name="whole"):
    """Return a round's events in their order without its name and what is drawn by chance."""
    found = [(kind, agent, msgspec.json.decode(payload)) for kind, agent, payload in journal]
    mine = [(kind, agent, payload) for kind, agent, payload in found if payload["round_id"] == round_id]
    return [
        (kind, agent, {k: plain(str(v), name) for k, v in payload.items() if k not in DRAWN})
        for kind, agent, payload in mine
    ]


def plain(text, name):
    return text.replace(round_of(name), round_of("whole"))

"""kill -9 in the middle: the orders are those of the undisturbed run, and nothing happens twice."""

import time
from collections import Counter

import pytest

from tests.station.stations import (
    assert_equity_is_cash_and_positions,
    assert_nothing_twice,
    assert_the_record_gives_itself,
    begin,
    finish,
    kills,
    refused,
    restarts,
    wait_for_bars,
)

pytestmark = [pytest.mark.station, pytest.mark.realdata]


def test_processes_killed_together_change_nothing(reference, week, short_dir):
    """One at a time, anywhere: tests/faults/test_killed_anywhere.py."""
    groups = (("worker", "feed"), ("worker", "relay", "recorder"), ("worker", "feed", "celery"))
    disturb = kills("max", reference.result["bars"], *groups)
    disturbed = finish(short_dir / "killed", *week, "--speed", "max", disturb=disturb)
    assert restarts(disturbed) == Counter(name for group in groups for name in group)
    assert disturbed.result["chain_ok"] is True
    assert disturbed.same() == reference.same()
    assert disturbed.derived() == reference.derived()
    assert_nothing_twice(disturbed)
    assert_equity_is_cash_and_positions(disturbed)
    assert_the_record_gives_itself(disturbed, short_dir)


def test_a_stopped_run_goes_on_where_it_was(reference, week, short_dir):
    data_dir = short_dir / "resumed"
    half = begin(data_dir, *week, "--speed", "3000")
    wait_for_bars(half, reference.result["bars"] // 2)
    half.process.send_signal(2)
    assert half.process.wait(timeout=30) == 1
    said = data_dir.with_name("resumed.err").read_text()
    assert "Stopped before the source had ended." in said

    other = refused(data_dir, "--feed", "simulated")
    assert "--data-dir" in other
    assert "replay:" in other
    fewer = refused(data_dir, *week[:2], "--symbols", "AAPL")
    assert "symbols" in fewer

    began = time.monotonic()
    resumed = finish(data_dir, *week, "--speed", "max")
    assert resumed.result["seconds"] <= time.monotonic() - began
    assert resumed.result["chain_ok"] is True
    assert resumed.same() == reference.same()
    assert resumed.derived() == reference.derived()
    assert_nothing_twice(resumed)

"""`manage.py feed` on a real bus: killed, held back, steered."""

import random
import subprocess
import sys

from events import bus
from events.types import Bar, FeedEnd, SliceEnd
from market.feeds.inspect import describe_run, feed_of_run

SIMULATED = "simulated:seed=3,sessions=2"


def expected(make, feed):
    description = describe_run(make.options(feed))
    return [event for batch in feed_of_run(description).batches() for event in batch.events]


def test_every_event_once_in_order_with_its_number(station, make):
    stream = station.describe(SIMULATED)
    bus.ensure_group(station.recorder, stream, "recorder")
    station.feed()
    wanted = expected(make, SIMULATED)

    def follow():
        station.say_worker_has(stream, bus.last_id(station.worker, stream))
        bus.acknowledge(
            station.recorder, "recorder", got := bus.read_group(station.recorder, [stream], "recorder", count=5000)
        )
        seen.extend((entry.id, station.payload(entry)) for entry in got)
        return len(seen) == len(wanted)

    seen = []
    station.until(follow)
    assert [payload for _, payload in seen] == wanted
    assert [entry_id for entry_id, _ in seen] == [f"{n}-0" for n in range(1, len(wanted) + 1)]
    station.until(lambda: station.metrics().get("ended") == 1)
    assert station.metrics()["bars"] == sum(isinstance(event, Bar) for event in wanted)
    assert station.metrics()["done"] == 1.0


def test_killed_at_random_points_it_repeats_nothing_and_leaves_nothing_out(station, make):
    stream = station.describe(SIMULATED, speed=100_000.0)
    wanted = expected(make, SIMULATED)
    chance = random.Random(7)
    for _ in range(4):
        process = station.feed()
        target = station.worker.xlen(stream) + chance.randrange(1, 1500)
        station.until(lambda target=target: station.worker.xlen(stream) >= target)
        process.kill()
        process.wait()
    assert station.worker.xlen(stream) < len(wanted)
    (station.paths.feeds / "simulated.position").write_text("torn")  # the stream alone must be enough
    station.feed()
    station.until(lambda: bus.last_id(station.worker, stream) == f"{len(wanted)}-0")
    entries = station.entries(stream)
    assert [entry_id for entry_id, _ in entries] == [f"{n}-0" for n in range(1, len(wanted) + 1)]
    assert [payload for _, payload in entries] == wanted


def test_started_again_after_its_end_it_adds_nothing(station):
    stream = station.describe("sample", symbols=("SP500",), interval_s=None)
    bus.ensure_group(station.recorder, stream, "recorder")
    station.say_worker_has(stream, "1000000-0")  # far ahead: nothing is held back for the worker
    process = station.feed()

    def drain():
        bus.acknowledge(
            station.recorder, "recorder", bus.read_group(station.recorder, [stream], "recorder", count=20000)
        )
        return station.metrics().get("ended") == 1

    station.until(drain)
    end = bus.last_id(station.worker, stream)
    process.kill()
    process.wait()
    again = station.feed()
    pid = again.pid
    station.until(lambda: b'"pid":%d' % pid in (station.worker.get("status.feed") or b""))
    station.until(lambda: station.metrics().get("ended") == 1)
    assert bus.last_id(station.worker, stream) == end


def test_what_the_bus_lost_is_sent_again_under_the_same_ids_without_waiting(station):
    stream = station.describe(SIMULATED, speed=600.0)
    station.feed()
    station.until(lambda: station.worker.xlen(stream) >= 90)
    station.feeds[0].kill()
    station.feeds[0].wait()
    station.feeds.clear()
    before = dict(station.entries(stream))
    bus.connect(station.paths, "feed").delete(stream)
    station.feed()
    station.until(lambda: station.worker.xlen(stream) >= len(before), patience_s=20)
    again = dict(station.entries(stream))
    assert {name: again[name] for name in before} == before


def test_a_slow_reader_holds_it_back_and_what_both_have_is_trimmed(station):
    stream = station.describe("simulated:sessions=10")
    bus.ensure_group(station.recorder, stream, "recorder")
    station.feed()
    station.until(lambda: station.worker.xlen(stream) > 5000)
    station.until(lambda: station.metrics().get("ordinal", 0) > 5000)
    held = station.metrics()["ordinal"]
    assert held < 7000
    got = bus.read_group(station.recorder, [stream], "recorder", count=4000)
    bus.acknowledge(station.recorder, "recorder", got)
    station.say_worker_has(stream, "3000-0")
    station.until(lambda: station.metrics()["ordinal"] > held)
    station.until(lambda: bus.read_from(station.worker, {stream: "0"}, count=1)[0].id == "3000-0")
    assert station.metrics()["ordinal"] < 3000 + 7000


def test_pause_step_resume_and_speed(station):
    stream = station.describe(SIMULATED, speed=0.001)
    station.feed()
    station.until(lambda: station.worker.xlen(stream) == 9)  # the first slice goes at once
    station.steer("pause")
    station.steer("speed", 1_000_000.0)
    station.until(lambda: station.metrics().get("paused") == 1)
    assert station.worker.xlen(stream) == 9
    station.steer("step")
    station.until(lambda: station.worker.xlen(stream) == 18)
    station.until(lambda: station.metrics()["ordinal"] == 18)
    assert isinstance(station.entries(stream)[-1][1], SliceEnd)
    station.steer("resume")
    station.until(lambda: station.worker.xlen(stream) > 1000)
    assert station.metrics()["paused"] == 0
    assert station.metrics()["speed"] == 1_000_000.0


def test_a_pause_outlives_the_process(station):
    stream = station.describe(SIMULATED, speed=0.001)
    process = station.feed()
    station.until(lambda: station.worker.xlen(stream) == 9)
    station.steer("pause")
    station.until(lambda: station.metrics().get("paused") == 1)
    process.kill()
    process.wait()
    again = station.feed()
    station.until(lambda: b'"pid":%d' % again.pid in (station.worker.get("status.feed") or b""))
    assert station.metrics()["paused"] == 1
    assert station.worker.xlen(stream) == 9


def test_the_last_word_is_the_end(make):
    wanted = expected(make, SIMULATED)
    assert isinstance(wanted[-1], FeedEnd)
    assert wanted[-1].bars == sum(isinstance(event, Bar) for event in wanted)


def run_feed(root, *arguments):
    return subprocess.run(
        [sys.executable, "manage.py", "feed", "--data-dir", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_bad_descriptions_are_one_sentence(station, tmp_path, make):
    none = run_feed(tmp_path)
    assert (none.returncode, none.stdout) == (2, "")
    assert "run.json cannot be used" in none.stderr
    station.describe(SIMULATED)
    other = run_feed(station.paths.root, "replay")
    assert other.returncode == 2
    assert 'name = "replay" is not the feed' in other.stderr
    file = make.csv(tmp_path / "a.csv", [("2019-02-11T14:30:00Z", "AAPL", 1, 2, 1, 2, 5)] * 2)
    station.describe(f"replay:{file}", interval_s=60)
    file.unlink()
    gone = run_feed(station.paths.root)
    assert gone.returncode == 2
    assert gone.stderr.strip().endswith("does not exist; name a Parquet or CSV file")
    assert gone.stderr.count("\n") == 1

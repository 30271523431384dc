"""kill -9 of one process after the other during a replay, each kill checked against the undisturbed run.

A loop is one kill: a random process at a random point. Once it is back and the worker has gone on, both journals are
read and compared with those of the undisturbed run up to the same place; the end of the run is compared as a whole.
"""

import json
import random
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow.compute as pc
import redis
from pyarrow import array, parquet, scalar

from events import bus
from events.codec import decode_payload, envelope
from events.journal import JournalReader, verify
from events.paths import DataPaths
from events.streams import CONTROL_FEED
from events.types import FeedControl, FillEvent, OrderEvent
from tests.station.stations import (
    DERIVED,
    WEEK,
    assert_equity_is_cash_and_positions,
    assert_nothing_twice,
    finish,
    progress,
    restarts,
    wait_for_another,
    wait_for_bars,
)

SYMBOLS = ("AAPL", "BAC", "JPM", "MSFT", "MU", "TSLA")
DAYS = 2
KILLS_A_RUN = 5  # of different processes: a fifth crash of the same one within a minute is given up
SPEED = 3000  # a minute takes 20 ms
FLOW_S = 0.5
FIRST, LAST = 0.05, 0.75  # between these parts of the run the kills fall


@dataclass
class Counts:
    """What the loops found; everything but ``loops`` and ``by_process`` must stay as it begins."""

    loops: int = 0
    lost: int = 0
    duplicated: int = 0
    broken_chains: int = 0
    different_ends: int = 0
    by_process: Counter = field(default_factory=Counter)

    @property
    def hold(self):
        return not (self.lost or self.duplicated or self.broken_chains or self.different_ends)

    def __str__(self):
        killed = ", ".join(f"{name} {count}" for name, count in sorted(self.by_process.items()))
        return (
            f"{self.loops} loops ({killed}): lost {self.lost}, duplicated {self.duplicated}, "
            f"broken chains {self.broken_chains}, different ends {self.different_ends}"
        )


class Deck:
    """Deals every process before any comes again, in an order that the seed decides."""

    def __init__(self, seed, only=""):
        self.chance = random.Random(seed)
        self._only = only
        self._left = []

    def deal(self, names, count):
        """Return so many different names, or as often the only one."""
        dealt = [self._only] * count if self._only else []
        while len(dealt) < count:
            if not set(self._left) - set(dealt):
                self._left += self.chance.sample(sorted(names), len(names))
            dealt.append(next(name for name in self._left if name not in dealt))
            self._left.remove(dealt[-1])
        return dealt


def two_days(week_file, target):
    """Write the first days of some symbols of a week of minutes to ``target``; return how many bars these are."""
    table = parquet.read_table(week_file)
    table = table.filter(pc.is_in(table["sym"], value_set=array(SYMBOLS)))
    stamps = table["ts"]
    first = pc.min(stamps).as_py().replace(hour=0, minute=0)
    table = table.filter(pc.less(stamps, scalar(first + timedelta(days=DAYS), stamps.type)))
    parquet.write_table(table, target)
    return table.num_rows


def arguments(data, folder):
    """Return the arguments of a run of the two days, made in ``folder`` of the market data in ``data``."""
    source = folder / "two_days.parquet"
    if not source.exists():
        two_days(data / WEEK, source)
    return ("--feed", f"replay:{source}")


class Undisturbed:
    """The run without kills, and what its journals say."""

    def __init__(self, finished):
        self.finished = finished
        self.derived = finished.derived()
        self.bars = [bytes(record.payload) for record in finished.records("MarketEvent", writer="station")]


def compare(data_dir, undisturbed, counts):
    """Compare both journals as they are now with the undisturbed run's up to the same place; return how far they go."""
    seen = {"execution": [], "station": []}
    for writer, found in seen.items():
        counts.broken_chains += not verify(data_dir / "journal" / writer).ok
        wanted = DERIVED if writer == "execution" else ("MarketEvent",)
        records = JournalReader(data_dir / "journal" / writer).read()
        found += [(record.type, bytes(record.payload)) for record in records if record.type in wanted]
    bars = [payload for _, payload in seen["station"]]
    for found, whole in ((seen["execution"], undisturbed.derived), (bars, undisturbed.bars)):
        if found != whole[: len(found)]:
            here, there = Counter(found), Counter(whole[: len(found)])
            counts.lost += (there - here).total()
            counts.duplicated += (here - there).total()
    counts.duplicated += _twice(seen["execution"])
    return len(seen["execution"])


def _twice(derived):
    """Return how many orders were intended or accepted, and executions booked, more than once."""
    seen = Counter()
    for kind, payload in derived:
        if kind == "OrderEvent":
            order: OrderEvent = decode_payload(kind, payload)
            if order.state in {"INTENT", "ACCEPTED"}:
                seen[order.state, order.order_id] += 1
        elif kind == "FillEvent":
            fill: FillEvent = decode_payload(kind, payload)
            seen["fill", fill.execution_id] += 1
    return sum(count - 1 for count in seen.values())


class Loops:
    """Runs of one source, each with some kills; ``counts`` adds them all up.

    Parameters
    ----------
    folder : where the runs' data directories are made.
    source : arguments of ``run``.
    deck : decides which processes die when.
    say : takes a line for a person.
    """

    def __init__(self, folder, source, deck, say=print):
        self.folder, self.source, self.deck, self.say = folder, source, deck, say
        self.counts = Counts()
        self.undisturbed = Undisturbed(finish(folder / "whole", *source, "--speed", "max"))

    def run(self, loops):
        """Do so many loops."""
        until = self.counts.loops + loops
        while self.counts.loops < until:
            data_dir = self.folder / f"k{self.counts.loops}"
            self._run(data_dir, min(KILLS_A_RUN, until - self.counts.loops))
            shutil.rmtree(data_dir, ignore_errors=True)
            self.say(str(self.counts))

    def _run(self, data_dir, kills):
        chance, total = self.deck.chance, self.undisturbed.finished.result["bars"]
        points = sorted(int(total * chance.uniform(FIRST, LAST)) for _ in range(kills))
        killed, late = [], []

        def disturb(running):
            wait_for_bars(running, 1)
            while any(row["state"] != "ready" for row in rows(running)):
                time.sleep(0.05)
            for name, point in zip(self.deck.deal(running.pids(), kills), points, strict=True):
                wait_for_bars(running, point)
                time.sleep(chance.uniform(0.0, 0.1))
                if not self._kill(running, name):
                    late.append(name)
                    return
                killed.append(name)

        try:
            finished = finish(data_dir, *self.source, "--speed", SPEED, disturb=disturb)
        except AssertionError as error:
            said = data_dir.with_name(f"{data_dir.name}.err").read_text()
            raise AssertionError(
                f"after the kills of {', '.join(killed)}: {error}; the run said: {said[-1500:]}"
            ) from error
        self.counts.different_ends += not _same_end(finished, self.undisturbed, Counter(killed), Counter(late))

    def _kill(self, running, name):
        """Kill one process and look at the record once it is back; False if the run has ended before that."""
        pid, at = running.pids()[name], progress(running.data_dir)
        subprocess.run(["kill", "-9", str(pid)], check=True)
        time.sleep(self.deck.chance.uniform(0.0, FLOW_S))  # the market goes on without the dead
        steer(running, "pause")
        try:
            wait_for_another(running, name, pid)
        except AssertionError:
            if running.process.poll() is None:
                raise
            return False  # the pause came too late: the kill is not counted, the end is compared all the same
        steer(running, "resume")
        wait_for_bars(running, min(at + 1, self.undisturbed.finished.result["bars"]))
        reached = compare(running.data_dir, self.undisturbed, self.counts)
        self.counts.loops += 1
        self.counts.by_process[name] += 1
        self.say(f"  {name} killed at bar {at}; {reached} records compared")
        return True


def steer(running, action):
    """Pause or resume the replay, so that its end does not come before the dead are back; a dead bus is waited for."""
    event = envelope("FeedControl", "web", FeedControl(action=action, actor="test"), time.time_ns())
    until = time.monotonic() + 30
    while True:
        try:
            with bus.connect(DataPaths(running.data_dir), "relay", deadline_s=30.0) as client:
                bus.publish(client, CONTROL_FEED, event)
        except (redis.RedisError, OSError):
            assert time.monotonic() < until, "the bus never came back"
        else:
            return


def rows(running):
    """Return what the supervisor says of each process."""
    return json.loads((running.data_dir / "run" / "processes.json").read_text())


def _same_end(finished, undisturbed, killed, late):
    try:
        assert killed <= restarts(finished) <= killed + late, finished.said
        assert finished.result["chain_ok"] is True
        assert finished.same() == undisturbed.finished.same()
        assert finished.derived() == undisturbed.derived
        assert_nothing_twice(finished)
        assert_equity_is_cash_and_positions(finished)
    except AssertionError as error:
        print(f"  the end differs: {str(error)[:2000]}", flush=True)
        return False
    return True

"""What a round needs of a station, each as the supervisor starts it: both servers, relay, recorder, Celery, beat."""

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime

import msgspec

from audit.keys import create_missing
from controlroom.supervisor.compiled import cache_directory
from controlroom.supervisor.directory import DataDirectory
from controlroom.supervisor.options import parse_run
from controlroom.supervisor.programs import environment, table
from events.children import bound_to_us
from events.journal import JournalReader, verify
from events.paths import DataPaths
from tests.operator.running import ROOT, wait_for
from tests.operator.test_tournament_command import written
from tournaments.record import RoundRecord
from tournaments.rounds import TERMINAL

SERVERS, OTHERS = ("bus", "web-cache"), ("recorder", "relay", "beat")
SESSIONS = 120  # so that the brains have a model, and their entries differ from the climatology
SUNDAY = datetime(2018, 10, 7, 6, tzinfo=UTC)  # 02:00 in New York; the bars go on after it
AS_OF_NS = int(SUNDAY.timestamp()) * 10**9
LOOK_S = 0.0005
PAST = "2000-01-01 00:00:00"
KINDS = {
    "RoundOpenedEvent", "CommitmentEvent", "AbstentionEvent", "EntryEvent", "ChallengeEvent", "DefenseEvent",
    "RulingEvent", "ScoreEvent", "AllocationEvent", "TournamentResultEvent", "SettlementEvent", "RoundEvent",
}  # fmt: skip


def round_of(name):
    """Return the id of a round by hand."""
    return f"tournament:hand:{name}"


class RoundStation:
    """A data directory whose rounds a real Celery worker holds.

    The test looks into the database as it lies on the disk: a round's state is the step that its worker is in.
    """

    def __init__(self, root, *names):
        self.paths = DataPaths(root)
        self._directory = DataDirectory(self.paths)
        self._directory.take(0)
        create_missing(self.paths)
        options = parse_run(["--data-dir", str(root), "--until-done"])
        self._env = environment(self.paths, cache_directory(root / "cache"), options)
        self._programs = {each.name: each for each in table(self.paths, "127.0.0.1", options.port)}
        self._processes = {}
        bars = written(root.with_name("daily.csv"), count=SESSIONS)
        self.run("-m", "tests.faults.ask_rounds", str(bars), str(AS_OF_NS), *names)
        self.database = sqlite3.connect(self.paths.database, isolation_level=None, timeout=30)
        self.database.row_factory = sqlite3.Row

    def __enter__(self):
        for name in SERVERS:
            self.start(name)
        wait_for(lambda: all(self._programs[name].ready(self.paths) for name in SERVERS), what="the servers")
        for name in OTHERS:
            self.start(name)
        return self

    def __exit__(self, *_):
        self.database.close()
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._directory.unlock()

    def start(self, name):
        self.paths.logs.mkdir(mode=0o700, exist_ok=True)
        with (self.paths.logs / f"{name}.out").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                bound_to_us(self._programs[name].command), cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def kill9(self, name):
        process = self._processes[name]
        process.kill()
        process.wait()

    def run(self, *arguments):
        """Run Python in the environment of the station's processes; return what it printed."""
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=self._env, check=True, stdout=subprocess.PIPE).stdout

    def said(self, name):
        return (self.paths.logs / f"{name}.out").read_text()

    # --- what the database says ---------------------------------------------------------------------------------------

    def row(self, round_id):
        query = "SELECT * FROM tournaments_tournamentround WHERE round_id = ?"
        return self.database.execute(query, (round_id,)).fetchone()

    def state(self, round_id):
        query = "SELECT state FROM tournaments_tournamentround WHERE round_id = ?"
        return self.database.execute(query, (round_id,)).fetchone()["state"]

    def record(self, round_id):
        return msgspec.json.decode(self.row(round_id)["record"], type=RoundRecord)

    def job(self, round_id):
        return self.database.execute("SELECT * FROM events_job WHERE occurrence = ?", (round_id,)).fetchone()

    def held_by(self, round_id):
        """Return whether the Celery process that runs now holds the round's job."""
        job, mine = self.job(round_id), f":{self._processes['celery'].pid}:"
        return mine in job["lease_owner"]

    def wait_until(self, round_id, *states, seconds=300.0):
        def reached():
            assert self._processes["celery"].poll() is None, self.said("celery")[-3000:]
            return self.state(round_id) in states

        wait_for(reached, seconds, f"{round_id} {' or '.join(states)}; Celery said {self.said('celery')[-3000:]}")

    def wait_until_done(self, round_id, *states):
        self.wait_until(round_id, *(states or TERMINAL))
        wait_for(lambda: self.job(round_id)["state"] == "done", what=f"the job of {round_id}")

    def wait_for_step(self, round_id, steps, seconds=300.0):
        """Return as soon as the worker that runs now is in one of these steps of a round, or has ended it."""
        until = time.monotonic() + seconds
        while (state := self.state(round_id)) not in TERMINAL and not (state in steps and self.held_by(round_id)):
            assert time.monotonic() < until, f"{state}; Celery said {self.said('celery')[-3000:]}"
            time.sleep(LOOK_S)

    @contextlib.contextmanager
    def held_up(self):
        """Keep every other process from writing the database: no step ends meanwhile."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self.database.execute("COMMIT")

    def end_lease(self, round_id):
        """Let the seconds pass that a dead holder's lease has left."""
        self.database.execute("UPDATE events_job SET lease_until = ? WHERE occurrence = ?", (PAST, round_id))

    # --- what was told ------------------------------------------------------------------------------------------------

    def promised(self):
        """Return (type, agent, payload) of every tournament event of the outbox, in order."""
        rows = self.database.execute("SELECT type, agent_id, payload FROM events_outbox ORDER BY id")
        return [tuple(each) for each in rows if each["type"] in KINDS]

    def journaled(self):
        """Return the same of the station's journal, and whether its chain holds."""
        folder = self.paths.journal / "station"
        kept = [each for each in JournalReader(folder).read() if each.type in KINDS]
        return [(each.type, each.agent_id, bytes(each.payload).decode()) for each in kept], verify(folder).ok

    def wait_until_journaled(self):
        wanted = Counter(self.promised())
        wait_for(lambda: Counter(self.journaled()[0]) == wanted, what="the journal has what was promised, once each")

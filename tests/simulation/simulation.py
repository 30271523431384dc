"""One seed: a worker's life, or several, on a machine where everything fails that can."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.snapshot import SnapshotError
from events.journal import JournalWriter
from events.paths import DataPaths
from events.segments import JournalDamaged, JournalError
from events.types import OrderEvent
from tests.simulation import invariants
from tests.simulation.bus import SimulatedBus
from tests.simulation.disk import SimulatedDisk
from tests.simulation.exchange import Exchange, ExchangeBroker, SilentExchange, WatchedPaper
from tests.simulation.oracle import Oracle
from tests.simulation.script import GATE, Script
from tests.simulation.world import Crash, Finding, VirtualClock, World
from worker.calls import Calls
from worker.core import Core
from worker.guard import Guard
from worker.loop import Loop
from worker.ports import Ports
from worker.process import JOURNAL, open_core
from worker.resume import ReplayDiffersError

FINGERPRINT = {"simulation": "one process"}
STARTS = 60


@dataclass
class Result:
    """What came of a seed."""

    seed: int
    finding: str = ""
    invariant: str = ""
    crashes: int = 0
    orders: int = 0
    fills: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)


class Simulation:
    """The world, the worker in it, and what happens to both."""

    def __init__(self, seed: int, root: Path, *, steps: int | None = None, tracing: bool = False) -> None:
        self.paths = DataPaths(root)
        self.world = World(seed, tracing)
        self.disk = SimulatedDisk(self.world, root)
        self.oracle = Oracle()
        self.script = Script(self, random.Random(f"script {seed}"), steps)
        self.bus = SimulatedBus(self.world, self.script.hello, self.script.acknowledged)
        self.exchange = Exchange(self.world, 1_000_000_000_000, self.script.trouble, self._judged)
        self.submitted: list[str] = []
        self.core: Core | None = None
        self.calls = Calls()
        self.guard: Guard | None = None
        self.loop: Loop | None = None
        self._lives = 0
        connect = self._exchange_broker if self.script.on_exchange else self._paper_broker
        self.replay_broker: Callable[..., Any] | None = SilentExchange if self.script.on_exchange else None
        self.ports = Ports(VirtualClock(self.world), self.disk, connect, lambda: FINGERPRINT)
        self.world.may_interrupt, self.world.watch = self._may_interrupt, self._watch

    @property
    def folder(self) -> Path:
        return self.paths.journal / JOURNAL

    def run(self) -> None:
        """Live to the end and look at what is left.

        Raises
        ------
        Finding
            if an invariant does not hold.
        """
        self.script.begin()
        for _ in range(STARTS):
            if self._life():
                break
        else:
            raise Finding("progress", f"{STARTS} starts and no end")
        invariants.check_end(self)

    def _life(self) -> bool:
        """Start a worker and let it work; return whether it ended as it was told to."""
        try:
            core, loop = self._start()
            loop.run()
            core.keeper.journal.close()
        except Crash:
            self._after_crash()
        except (JournalDamaged, ReplayDiffersError, SnapshotError) as error:
            raise Finding("the journal can be continued", str(error)) from error
        except (JournalError, OSError) as error:
            self.world.note(f"the worker ends: {error}")
            self._down()
            if not self.script.over:
                self.script.repaired()
        else:
            self.disk.process_ended()
            return True
        return False

    def _start(self) -> tuple[Core, Loop]:
        self.world.revive()
        self._lives += 1
        self.world.note(f"start {self._lives}")
        if not self.script.over:
            self.world.crash_at = self.script.next_crash()
        journal = JournalWriter(
            self.folder, JOURNAL, f"life{self._lives}", self.ports.clock, disk=self.disk,
            segment_bytes=self.script.segment_bytes,
        )  # fmt: skip
        core = open_core(self.paths, journal, self.ports)
        core.switch.check()
        self.oracle.crashed(core.switch.words)
        self.oracle.check_started(core.switch.words)
        invariants.check_start(self)
        self.calls = Calls()
        self.guard = Guard(core)
        loop = Loop(core, self.bus, self.calls, journal.run, GATE)
        self.core, self.loop = core, loop
        return core, loop

    def _down(self) -> None:
        self.core = self.loop = self.guard = None
        self.disk.process_ended()
        self.world.mono_ns += self.script.restart_ns

    def _after_crash(self) -> None:
        power = self.world.rng.random() < 0.6
        self.core = self.loop = self.guard = None
        self.world.note("power lost" if power else "process killed")
        if power:
            self.disk.power_lost()
        else:
            self.disk.process_ended()
        self.world.mono_ns += self.script.restart_ns

    # --- what surrounds the worker ------------------------------------------------------------------------------------

    def _may_interrupt(self) -> bool:
        """Let other threads run wherever they could: not while the trading thread holds the kill's lock."""
        return self.core is None or not self.core.switch._lock._is_owned()

    def _watch(self) -> None:
        """Do what the kill's thread does; it waits for the end of a step before it cancels."""
        if self.core is not None and self.guard is not None and not self.core.stepping.locked():
            self.guard.look()

    def _judged(self, order: OrderEvent) -> None:
        """An order leaves: its intent is on the platter, no kill stands, and it has not left before."""
        self.oracle.check_order(order)
        if not self.disk.on_platter(self.folder, f'"order_id":"{order.order_id}","state":"INTENT"'.encode()):
            raise Finding("intent before order", f"{order.order_id} was sent and its intent is not on the disk")
        self.submitted.append(order.order_id)

    def _exchange_broker(self, *_: Any) -> ExchangeBroker:
        return ExchangeBroker(self.exchange)

    def _paper_broker(self, configuration: Any, engine: Any) -> WatchedPaper:
        return WatchedPaper(configuration, engine, self.world, self._judged)


def run_seed(seed: int, *, steps: int | None = None, tracing: bool = False) -> Result:
    """Run one seed in a folder of its own; a finding is in the result, not raised."""
    fast = Path("/dev/shm")  # noqa: S108 - memory, where there is any: the disk is a simulated one anyway
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=fast if fast.is_dir() else None) as folder:
        made = Simulation(seed, Path(folder), steps=steps, tracing=tracing)
        result = Result(seed)
        try:
            made.run()
        except Finding as finding:
            result.finding, result.invariant = str(finding), finding.name
        result.crashes, result.trace = made.world.crashes, made.world.trace
        result.orders = len(made.submitted)
        result.counts = made.script.counts
        result.fills = result.counts.get("fills", 0)
        return result

"""The simulated machine: one virtual clock, one seed, and a count of every port call at which something may happen."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

SECOND_NS = 1_000_000_000
STEP_LIMIT = 400_000  # port calls: a worker that needs more makes no progress


class Crash(BaseException):
    """The process dies here; nothing may catch it, as nothing catches kill -9."""


class Finding(Exception):  # noqa: N818 - what a simulation is for
    """An invariant does not hold; ``name`` is the invariant's."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


@dataclass
class Ambush:
    """Something that happens at the n-th call of a port from now."""

    port: str
    name: str
    left: int
    act: Callable[[], None]


@dataclass
class World:
    """Time, chance, and what is about to happen."""

    seed: int
    tracing: bool = False
    mono_ns: int = 1_000 * SECOND_NS
    wall_ns: int = 1_700_000_000 * SECOND_NS  # of monotonic 0
    steps: int = 0
    crashes: int = 0
    dead: bool = False
    calm: bool = False  # the end: nothing fails any more
    crash_at: tuple[str, int] = ("", -1)  # port ("any": every one but the clock), calls left
    trace: list[str] = field(default_factory=list)
    ambushes: list[Ambush] = field(default_factory=list)
    may_interrupt: Callable[[], bool] = lambda: True  # whether another thread could run here
    watch: Callable[[], None] = lambda: None  # what another thread does all the time
    watch_ns: int = SECOND_NS // 10

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._due: list[tuple[int, int, str, Callable[[], None]]] = []
        self._numbered = 0
        self._inside = False
        self._watched_ns = 0

    # --- the worker's Clock -------------------------------------------------------------------------------------------

    def utc_ns(self) -> int:
        self.call("clock", "utc")
        return self.wall_ns + self.mono_ns

    def mono_ns_(self) -> int:
        self.call("clock", "mono")
        return self.mono_ns

    def monotonic(self) -> float:
        self.call("clock", "mono")
        return self.mono_ns / SECOND_NS

    # --- what happens -------------------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        if self.tracing:
            self.trace.append(f"{self.steps:>7} {self.mono_ns / SECOND_NS - 1000:10.4f} s  {what}")

    def at(self, mono_ns: int, name: str, act: Callable[[], None]) -> None:
        """Let something happen at the first port call at or after an instant."""
        self._numbered += 1
        heapq.heappush(self._due, (mono_ns, self._numbered, name, act))

    @property
    def next_ns(self) -> int | None:
        return self._due[0][0] if self._due else None

    def call(self, port: str, name: str) -> None:
        """Count a port call: time passes, another thread may run, the process may die."""
        if self.dead:
            raise Crash
        self.steps += 1
        self.mono_ns += 3_000
        if self.steps > STEP_LIMIT:
            raise Finding("progress", f"{STEP_LIMIT} port calls and no end")
        if port != "clock" and not self._inside:
            self._happen(port, name)
        wanted, left = self.crash_at
        if left >= 0 and (wanted in {port, name} or (wanted == "any" and port != "clock")):
            self.crash_at = (wanted, left - 1)
            if left == 0:
                self.die(f"at {port}.{name}")

    def die(self, where: str) -> None:
        self.dead = True
        self.crashes += 1
        self.note(f"CRASH {where}")
        raise Crash

    def revive(self) -> None:
        self.dead = False
        self._inside = False

    def _happen(self, port: str, name: str) -> None:
        for ambush in [one for one in self.ambushes if one.port == port and one.name == name]:
            ambush.left -= 1
            if ambush.left <= 0:
                self.ambushes.remove(ambush)
                self.at(self.mono_ns, "ambush", ambush.act)
        if self.mono_ns - self._watched_ns > self.watch_ns and self.may_interrupt():
            self._watched_ns = self.mono_ns
            self._interrupt(self.watch)
        while self._due and self._due[0][0] <= self.mono_ns and self.may_interrupt():
            _, _, what, act = heapq.heappop(self._due)
            self.note(what)
            self._interrupt(act)

    def _interrupt(self, act: Callable[[], None]) -> None:
        self._inside = True
        try:
            act()
        finally:
            self._inside = False


class VirtualClock:
    """The world's time as the worker's port."""

    def __init__(self, world: World) -> None:
        self.utc_ns = world.utc_ns
        self.mono_ns = world.mono_ns_
        self.monotonic = world.monotonic

"""The disk-space guard: warns, then lets exposure only fall, then halts, while there is still room to write it down.

A full disk ends the worker, since nothing reaches a broker before its intent is on the disk; that end must not come as
a surprise in the middle of a position. Space that comes back re-arms nothing: a person releases.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from engine.configuration import DISK_LEVELS, Disk
from engine.layout import ACTIVE, HALTED, REDUCING
from events.paths import DataPaths
from worker.core import WORKER, Core, Severity

LEAST_BYTES = 16 * 2**20
"""No disk is too small to halt above this: each journal claims 4 MiB at a time, and the databases' logs as much."""


class Level(IntEnum):
    """How bad it is; a higher one is worse."""

    OK = 0
    WARNING = 1
    REDUCING = 2
    HALTED = 3


STATE_OF = {Level.REDUCING: REDUCING, Level.HALTED: HALTED}
ACTION_OF = {Level.REDUCING: "reduce", Level.HALTED: "halt"}


class Space(NamedTuple):
    """A file system's free space for us and its size, in bytes."""

    free: int
    total: int


def thresholds(total: int, disk: Disk) -> dict[Level, int]:
    """Return level to the free bytes below which it holds: the smaller of bytes and share, each at least 16 MiB.

    Of two levels whose thresholds would meet on a small disk the milder one begins at twice the other's.
    """
    found: dict[Level, int] = {}
    least = LEAST_BYTES
    for level, name in zip((Level.HALTED, Level.REDUCING, Level.WARNING), reversed(DISK_LEVELS), strict=True):
        wanted = min(getattr(disk, f"{name}_bytes"), int(getattr(disk, f"{name}_share") * total))
        found[level] = max(wanted, least)
        least = 2 * found[level]
    return found


def judge(space: Space, disk: Disk) -> Level:
    """Return the worst level whose threshold the free space is below; exactly at a threshold holds."""
    below = thresholds(space.total, disk)
    return max((level for level, limit in below.items() if space.free < limit), default=Level.OK)


def measure(folder: Path) -> Space:
    """Return the space of the file system of a folder, or of the nearest folder above it that is there.

    Raises
    ------
    OSError
        if the file system does not answer.
    """
    found = next(each for each in (folder, *folder.parents) if each.exists())
    usage = shutil.disk_usage(found)
    return Space(usage.free, usage.total)


def _calmer(space: Space) -> Space:
    """Return the space that decides when a level is forgotten: a tenth above it, or each log line would alert anew."""
    return Space(int(space.free / 1.1), space.total)


def disks(paths: DataPaths) -> dict[str, Path]:
    """Return name to a place of every file system that the station writes to: the journal's, and the others'."""
    places = {"journal": paths.journal, "store": paths.store, "database": paths.database, "bus": paths.valkey}
    found: dict[str, Path] = {}
    seen: set[int] = set()
    for name, place in places.items():
        there = next(each for each in (place, *place.parents) if each.exists())
        device = os.stat(there).st_dev  # noqa: PTH116 - follows a link to another disk, as the writer does
        if device not in seen:
            seen.add(device)
            found[name] = there
    return found


class SpaceGuard:
    """Looks at the disks once a second and acts on the journal's; of any other disk it only tells.

    Parameters
    ----------
    measured : how a place's space is found; a test puts its own here.
    """

    def __init__(self, core: Core, paths: DataPaths, measured: Callable[[Path], Space] = measure) -> None:
        self._core = core
        self._paths = paths
        self._measured = measured
        self._levels: dict[str, Level] = {}

    def look(self) -> Mapping[str, Space]:
        """Look at every disk; alert where a level was reached, and keep the state at least as safe as the level."""
        found: dict[str, Space] = {}
        configuration = self._core.machine.configuration
        disk = Disk() if configuration is None else configuration.settings.disk
        for name, place in disks(self._paths).items():
            found[name] = space = self._measured(place)
            level = judge(space, disk)
            if level > self._levels.get(name, Level.OK):
                self._tell(name, space, level)
            self._levels[name] = max(level, min(self._levels.get(name, Level.OK), judge(_calmer(space), disk)))
            if name == "journal":
                self._keep(level, space)
        return found

    def _tell(self, name: str, space: Space, level: Level) -> None:
        free, total = (f"{value / 2**20:,.0f} MiB" for value in space)
        did = level.name if name == "journal" and level in STATE_OF else "free some space"
        severity: Severity = "critical" if level in STATE_OF else "warning"
        self._core.alert("DISK_SPACE", f"the {name}'s disk has {free} of {total} left: {did}", severity)

    def _keep(self, level: Level, space: Space) -> None:
        """Act again after a release that came while the disk was as full as before."""
        engine = self._core.machine.engine
        if engine is None or level not in STATE_OF:
            return
        state = int(engine.state.account[0]["state"])
        if ACTIVE <= state < STATE_OF[level]:
            self._core.control(ACTION_OF[level], WORKER, f"the journal's disk has {space.free / 2**20:,.0f} MiB left")

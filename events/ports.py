"""What a process asks of its machine: the time, and a disk that may fail. A simulation passes its own."""

import os
import time
from pathlib import Path
from typing import Any, Protocol


class Clock(Protocol):
    """The time: UTC and monotonic, in nanoseconds, and monotonic in seconds."""

    def utc_ns(self) -> int: ...
    def mono_ns(self) -> int: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clocks; bound as they are, so that asking costs no more than asking the system."""

    utc_ns = staticmethod(time.time_ns)
    mono_ns = staticmethod(time.monotonic_ns)
    monotonic = staticmethod(time.monotonic)


class Disk(Protocol):
    """The calls that change files, and the one that looks at the kill file; every one raises OSError as ``os`` does.

    What a process reads at its start it reads from the files themselves.
    """

    def open(self, path: Path, flags: int, mode: int = 0o777, /) -> int: ...
    def close(self, fd: int, /) -> None: ...
    def write(self, fd: int, data: bytes, /) -> int: ...
    def pwrite(self, fd: int, data: bytes, offset: int, /) -> int: ...
    def ftruncate(self, fd: int, length: int, /) -> None: ...
    def fdatasync(self, fd: int, /) -> None: ...
    def fsync(self, fd: int, /) -> None: ...
    def rename(self, old: Path, new: Path, /) -> None: ...
    def unlink(self, path: Path, /) -> None: ...
    def stat(self, path: Path, /) -> Any: ...


SYSTEM_CLOCK: Clock = SystemClock()
SYSTEM_DISK: Disk = os


def sync_folder(disk: Disk, folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    handle = disk.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.fsync(handle)
    finally:
        disk.close(handle)

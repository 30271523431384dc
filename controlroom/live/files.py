"""What the pages read of the data directory: the run's description, the supervisor's list, how full the disk is."""

import functools
import shutil
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings

from events.paths import DataPaths


def paths() -> DataPaths:
    """Return the data directory of this station."""
    found: DataPaths = settings.DATA
    return found


@functools.lru_cache(maxsize=8)
def _read(file: Path, _changed_ns: int) -> Any:
    return msgspec.json.decode(file.read_bytes())


def _content(name: str, nothing: Any) -> Any:
    """Return a JSON file of the run, read again when it changes; ``nothing`` while there is none."""
    file = paths().run / name
    try:
        return _read(file, file.stat().st_mtime_ns)
    except (OSError, msgspec.DecodeError):
        return nothing


def run_description() -> dict[str, Any]:
    """Return the run's description; empty while there is none."""
    found: dict[str, Any] = _content("run.json", {})
    return found


def supervised() -> list[dict[str, Any]]:
    """Return what the supervisor says of each process; empty where nobody supervises."""
    found: list[dict[str, Any]] = _content("processes.json", [])
    return found


def disk_usage() -> dict[str, int]:
    """Return the disk of the data directory and the sizes of its parts, in bytes."""
    root = paths().root
    usage = shutil.disk_usage(root if root.exists() else root.anchor)
    folders = {"journal": paths().journal, "valkey": paths().valkey, "logs": paths().logs, "store": paths().questdb}
    sizes = {name: _size(folder) for name, folder in folders.items() if folder.exists()}
    files = {"store": paths().store, "database": paths().database}
    for name, file in files.items():
        if file.exists():
            sizes[name] = sizes.get(name, 0) + file.stat().st_size
    return {"free": usage.free, "total": usage.total, **sizes}


def _size(folder: Path) -> int:
    """Return what a folder's files occupy; one that goes away meanwhile occupies nothing."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total

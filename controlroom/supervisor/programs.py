"""The table of processes that `run` starts: in which order they come up and go down, and when each is ready."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controlroom.supervisor import control, probes
from controlroom.supervisor.options import ROOT, RunOptions
from controlroom.supervisor.tls import Tls
from events.embedded import valkey_command
from events.paths import DataPaths

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
CELERY_WORKER = (
    *("worker", "--pool", "threads", "--concurrency", "2"),
    *("--without-gossip", "--without-mingle", "--loglevel", "info"),
)

After = Literal["nothing", "servers", "database", "worker"]


@dataclass(frozen=True)
class Program:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    after: After  # what must be there before it is started
    stops: int  # programs of a lower number have ended before this one is told to
    stop_wait_s: float  # from TERM to KILL
    ready: Callable[[DataPaths], bool] | None  # None: ready when it has lived for a second
    essential: bool = False  # without it at start there is no station


def table(
    paths: DataPaths,
    host: str,
    port: int,
    checkpoint_dir: Path | None = None,
    *,
    questdb: bool = False,
    tls: Tls | None = None,
) -> tuple[Program, ...]:
    """Return every program of a station; ``checkpoint_dir`` gets copies of checkpoints, ``questdb`` adds the server."""
    python = sys.executable
    manage = (python, str(ROOT / "manage.py"))
    data = ("--data-dir", str(paths.root))
    celery = (python, "-m", "celery", "-A", "controlroom.celery")
    copies = ("--checkpoint-dir", str(checkpoint_dir)) if checkpoint_dir else ()
    beat_file = ("--schedule", str(paths.run / "celerybeat-schedule"), "--pidfile", "")
    programs: tuple[Program, ...] = (
        Program("bus", tuple(valkey_command(paths, "bus")), "nothing", 4, 2.0, probes.valkey("bus"), essential=True),
        Program(
            "web-cache", tuple(valkey_command(paths, "web")), "nothing", 4, 2.0, probes.valkey("web"), essential=True
        ),
        Program("worker", (*manage, "worker", *data), "servers", 1, 4.0, probes.worker),
        Program("recorder", (*manage, "recorder", *data), "servers", 2, 2.0, probes.beat("recorder")),
        Program("signer", (*manage, "signer", *data, *copies), "servers", 3, 10.0, probes.beat("signer")),
        Program("feed", (*manage, "feed", *data), "worker", 0, 2.0, probes.beat("feed")),
        Program("relay", (*manage, "relay", *data), "database", 3, 2.0, probes.beat("relay")),
        Program("web", (python, *_web(host, port, tls)), "database", 3, 2.0, probes.port(reached(host), port)),
        Program("celery", (*celery, *CELERY_WORKER), "database", 3, 2.0, None),
        Program("beat", (*celery, "beat", *beat_file, "--loglevel", "info"), "database", 3, 2.0, None),
    )
    if questdb:  # nobody waits for it: the recorder catches up, and pages say how far it is
        command = (*manage, "questdb", *data)
        programs += (Program("questdb", command, "servers", 4, 10.0, probes.questdb_answers),)
    return programs if control.embedded_bus() else tuple(program for program in programs if program.name != "bus")


def reached(host: str) -> str:
    """Return the address at which this machine itself reaches a host that may stand for all of its addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to


def _web(host: str, port: int, tls: Tls | None) -> tuple[str, ...]:
    address: tuple[str, ...] = ("-b", host, "-p", str(port))
    if tls is not None:
        quoted = [str(part).replace("\\", "\\\\").replace(":", "\\:") for part in (tls.key, tls.certificate, host)]
        address = ("-e", f"ssl:{port}:privateKey={quoted[0]}:certKey={quoted[1]}:interface={quoted[2]}")
    return ("-m", "daphne", *address, "--no-server-name", "--access-log", os.devnull, "controlroom.asgi:application")


def environment(paths: DataPaths, cache: Path, options: RunOptions, tls: Tls | None = None) -> dict[str, str]:
    """Return the environment of every child.

    One thread for the numeric libraries: their pools cost memory, none of the station's work is a large matrix product,
    and a forked pool is a deadlock. Few malloc arenas for the same memory.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CELERY_"))}
    return {
        **inherited,
        **dict.fromkeys(THREADS, "1"),
        "MALLOC_ARENA_MAX": "2",
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "controlroom.settings",
        "STATION_DATA_DIR": str(paths.root),
        "STATION_HOST": ",".join(
            (f"[{name}]" if ":" in name else name for name in tls.names) if tls is not None else (options.host,)
        ),
        "STATION_TLS": "0" if tls is None else "1",
        "STATION_OPERATORS": str(options.operators),
        "STATION_FIRST_LOGIN": "0" if options.until_done else "1",
    }

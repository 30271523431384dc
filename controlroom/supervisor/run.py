"""`run`: check everything, start everything, print the address, and leave nothing behind."""

import json
import os
import shutil
import sys
import time
import webbrowser
from typing import Any

from audit.errors import AuditError
from audit.keys import create_missing
from controlroom.supervisor import console, questdb_server, until_done
from controlroom.supervisor.compiled import cache_directory
from controlroom.supervisor.console import Console
from controlroom.supervisor.describe import describe
from controlroom.supervisor.directory import DataDirectory, check_port, write_atomically
from controlroom.supervisor.errors import BadInputError, complain
from controlroom.supervisor.options import RunOptions, parse_run
from controlroom.supervisor.programs import environment, reached, table
from controlroom.supervisor.station import LOOK_S, InterruptedStartError, Station
from controlroom.supervisor.stop import StopRequest
from controlroom.supervisor.tls import prepare
from events.children import TOOL
from events.embedded import EmbeddedServerError
from events.paths import DataPaths
from market.store.port import StoreUnavailableError
from market.store.questdb.address import URL_VARIABLE, parse_url

WARNINGS = 3
READY_S = 180.0
"""The first start compiles the strategies and the engine; later ones take seconds."""


def main(argv: list[str]) -> int:
    """Run the station until Ctrl-C, or until the source has ended; return 0, 1 or 2."""
    try:
        options = parse_run(argv)
        _check_host()
        description = describe(options)
        with DataDirectory(DataPaths(options.data_dir)) as directory:
            directory.take(options.port)
            return _run(options, description, directory)
    except BadInputError as error:
        return complain(error)


def _check_host() -> None:
    if shutil.which(TOOL) is None:
        raise BadInputError(f"{TOOL} is not on this host; install the package util-linux (2.33 or newer)")


def _run(options: RunOptions, description: dict[str, Any], directory: DataDirectory) -> int:
    paths, screen, stop = directory.paths, console.for_run(json=options.json), StopRequest()
    try:
        directory.refuse_another_source(description)
        check_port(options.host, options.port)
        _prepare_store(options, paths, description)
        create_missing(paths)
        tls = prepare(paths, options.host, options.names) if options.tls else None
        programs = table(paths, options.host, options.port, options.checkpoint_dir, questdb=options.questdb, tls=tls)
    except (BadInputError, EmbeddedServerError, AuditError) as error:
        directory.undo()
        raise BadInputError(str(error)) from error
    write_atomically(paths.run / "run.json", json.dumps(description))
    cache = cache_directory(paths.root / "cache")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))  # for the verification at the end of --until-done
    env = environment(paths, cache, options, tls)
    _warn(screen, paths, description["warnings"])
    if tls is not None:
        screen.note(tls.trust())
    if options.checkpoint_dir is not None and not options.checkpoint_dir.is_dir():
        screen.note(f"Warning: --checkpoint-dir {options.checkpoint_dir} is not there; copies begin when it is.")
    if not any(cache.iterdir()):
        screen.note("The worker compiles the strategies and the engine first; once, about a minute.")
    station = Station(paths, programs, screen, stop)
    try:
        station.start(env)
    except BadInputError:
        station.stop()
        directory.undo()
        raise
    except InterruptedStartError:
        station.stop()
        screen.note("Stopped before it had started.")
        return 1 if options.until_done else 0
    try:
        if options.until_done:
            return until_done.run(options, description, station, screen, stop)
        return _until_asked(options, station, screen, stop)
    except BadInputError:
        directory.undo()
        raise


def _prepare_store(options: RunOptions, paths: DataPaths, description: dict[str, Any]) -> None:
    """Say in the run's description where the projection is, and have what a QuestDB of its own needs."""
    url = os.environ.get(URL_VARIABLE)
    if options.questdb and url:
        raise BadInputError(f"--questdb starts a QuestDB and {URL_VARIABLE} names another one; leave one of them out")
    if url:
        try:
            parse_url(url)
        except StoreUnavailableError as error:
            raise BadInputError(str(error)) from error
    if options.questdb:
        questdb_server.need_java()
        questdb_server.fetch_jar()
        questdb_server.prepare(paths)
    description["store"] = "questdb" if options.questdb else "embedded"


def _warn(screen: Console, paths: DataPaths, of_the_source: list[str]) -> None:
    if os.getuid() == 0:
        screen.note("Warning: running as root. The station needs no such rights; a user of its own is safer.")
    if os.path.lexists(paths.kill_file):
        screen.note(
            f"Warning: KILLED ({paths.kill_file}): no order is sent until a person of the oversight group releases."
        )
    for warning in of_the_source[:WARNINGS]:
        screen.note(f"Warning: {warning}")
    if len(of_the_source) > WARNINGS:
        screen.note(f"Warning: {len(of_the_source) - WARNINGS} more of the source, all in run/run.json")


def _until_asked(options: RunOptions, station: Station, screen: Console, stop: StopRequest) -> int:
    host = reached(options.host)
    host = f"[{host}]" if ":" in host else host
    address = f"{'https' if options.tls else 'http'}://{host}:{options.port}/"
    code = 0
    try:
        if station.wait_until_ready(["web"], READY_S):
            screen.note(f"\n{address}   (Ctrl-C stops everything)")
            _first_login(station.paths)
            if (
                options.browser
                and os.getuid() != 0
                and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
            ):
                webbrowser.open(address)
        while not stop.wait(LOOK_S) and station.daemon.alive:
            station.watch.look()
            station.raise_refusal()
        if not stop.asked:
            screen.note("supervisord ended by itself and took every process with it; start again.")
            code = 1
    finally:
        began = time.monotonic()
        station.stop()
        screen.note(f"Stopped in {time.monotonic() - began:.1f} s; nothing is left running.")
    return code


def _first_login(paths: DataPaths) -> None:
    """Tell a person at a terminal the one-time password; elsewhere only where it lies, so that no log ever holds it."""
    for file in sorted(paths.secrets.glob("first-login*")):
        if sys.stderr.isatty():
            sys.stderr.write("First login, once: " + ", ".join(file.read_text().strip().splitlines()) + "\n")
            file.unlink()
        else:
            sys.stderr.write(f"First login: the one-time password is in {file}\n")

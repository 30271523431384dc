"""`run --until-done`: wait for the source's end, stop in order, prove the record, print the result."""

import shutil
import sys
import time
from typing import Any

import msgspec

from audit.errors import AuditError
from audit.signer import sign_rest
from controlroom.supervisor import control
from controlroom.supervisor.console import Console
from controlroom.supervisor.options import RunOptions
from controlroom.supervisor.result import collect, readable
from controlroom.supervisor.station import LOOK_S, Station
from controlroom.supervisor.stop import StopRequest
from events.commandline import Advance, progress
from events.paths import DataPaths
from events.segments import JournalError

SILENCE_S = 180.0
"""Silence that long is a failure: above the 60 s that a job is waited for."""

FIRST_S = 660.0
"""So long the worker may take for its first word: above what it gives its compiler, which takes minutes where busy."""

FULL_BYTES = 1024 * 1024  # below it, bus and journal refuse what comes, and everybody waits


class DidNotHoldError(Exception):
    """One sentence: why the run did not come to its end. Exit code 1."""


def run(options: RunOptions, description: dict[str, Any], station: Station, screen: Console, stop: StopRequest) -> int:
    """Follow the run to its end and print what came of it; return 0, or 1 if something did not hold.

    Raises
    ------
    BadInputError
        if a process cannot work with what it finds.
    """
    failure = ""
    try:
        with progress("bars", description.get("bars")) as advance:
            _follow(station, stop, advance)
        seconds = time.monotonic() - screen.started
    except DidNotHoldError as error:
        failure, seconds = str(error), time.monotonic() - screen.started
    finally:
        station.stop()
    if failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    try:
        sign_rest(station.paths, options.checkpoint_dir)  # nothing, unless the signer had died meanwhile
        result = collect(station.paths, seconds)
    except (JournalError, AuditError) as error:
        sys.stderr.write(f"The record does not verify: {error}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n" if options.json else readable(result))
    if not result["chain_ok"]:
        sys.stderr.write(f"The record does not verify: {result['journal']}\n")
        return 1
    return 0


def _follow(station: Station, stop: StopRequest, advance: Advance) -> None:
    """Return when the worker has consumed the source's end and the recorder all of it."""
    last, since, patience = (-1, -1), time.monotonic(), FIRST_S
    while True:
        if stop.wait(LOOK_S):
            raise DidNotHoldError("Stopped before the source had ended.")
        _look(station)
        view = _view(station.paths)
        projected, lag = _recorded(station.paths)
        if view is not None:
            patience = SILENCE_S
            advance(int(view["counts"]["bars"]))
            if view.get("failed"):
                raise DidNotHoldError(f"The worker cannot go on: {view['failed']}.")
            if view["source"]["ended"] and projected >= view["journal"]["seq"] and not lag:
                return
        now = (view["journal"]["seq"] if view else -1, projected)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > patience:
            raise DidNotHoldError(
                f"Nothing has moved for {patience:.0f} s (journal at {now[0]}, recorder at {now[1]}); "
                f"see {station.paths.logs}"
            )


def _look(station: Station) -> None:
    """Take a look at the processes; raise if one is lost for good."""
    station.watch.look()
    station.raise_refusal()
    if station.watch.failed:
        raise DidNotHoldError(
            f"{', '.join(station.watch.failed)} failed: {station.last_words(station.watch.failed[0])}"
        )
    if not station.daemon.alive:
        raise DidNotHoldError("supervisord ended by itself and took every process with it.")
    root = station.paths.root
    if shutil.disk_usage(root).free < FULL_BYTES:
        raise DidNotHoldError(
            f"The disk of {root} is full; free some space and start again: the run goes on from there."
        )


def _view(paths: DataPaths) -> dict[str, Any] | None:
    try:
        view = control.ask(paths, {"op": "status"})
    except control.WorkerAwayError:
        return None
    return view if "source" in view and "journal" in view else None


def _recorded(paths: DataPaths) -> tuple[int, int]:
    """Return up to where the recorder has projected the worker's journal, and how many bus entries it lacks."""
    beat = control.beat(paths, "recorder")
    metrics = beat["metrics"] if beat else {}
    return int(metrics.get("projected_seq", -1)), int(metrics.get("market_lag", 1))

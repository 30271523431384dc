"""`run --until-done`: wait for the source's end, stop in order, prove the record, print the result."""

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from controlroom.supervisor import control
from controlroom.supervisor.console import Console
from controlroom.supervisor.options import RunOptions
from controlroom.supervisor.result import collect, readable
from controlroom.supervisor.station import LOOK_S, Station
from controlroom.supervisor.stop import StopRequest
from events.paths import DataPaths
from events.segments import JournalError

SILENCE_S = 180.0
"""Silence that long is a failure: above a first compilation, and above the 60 s that a job is waited for."""

FULL_BYTES = 1024 * 1024  # below it, bus and journal refuse what comes, and everybody waits

Progress = Callable[[int], None]


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
        with _progress(description.get("bars")) as progress:
            _follow(station, stop, progress)
        seconds = time.monotonic() - screen.started
    except DidNotHoldError as error:
        failure, seconds = str(error), time.monotonic() - screen.started
    finally:
        station.stop()
    if failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    try:
        result = collect(station.paths, seconds)
    except JournalError as error:
        sys.stderr.write(f"The record does not verify: {error}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n" if options.json else readable(result))
    if not result["chain_ok"]:
        sys.stderr.write(f"The record does not verify: {result['journal']}\n")
        return 1
    return 0


def _follow(station: Station, stop: StopRequest, progress: Progress) -> None:
    """Return when the worker has consumed the source's end and the recorder all of it."""
    last, since = (-1, -1), time.monotonic()
    while True:
        if stop.wait(LOOK_S):
            raise DidNotHoldError("Stopped before the source had ended.")
        _look(station)
        view = _view(station.paths)
        projected, lag = _recorded(station.paths)
        if view is not None:
            progress(int(view["counts"]["bars"]))
            if view.get("failed"):
                raise DidNotHoldError(f"The worker cannot go on: {view['failed']}.")
            if view["source"]["ended"] and projected >= view["journal"]["seq"] and not lag:
                return
        now = (view["journal"]["seq"] if view else -1, projected)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > SILENCE_S:
            raise DidNotHoldError(
                f"Nothing has moved for {SILENCE_S:.0f} s (journal at {now[0]}, recorder at {now[1]}); "
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


@contextlib.contextmanager
def _progress(total: int | None) -> Iterator[Progress]:
    """Yield what moves the bar: on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _bars: None
        return
    from rich.console import Console as Terminal  # noqa: PLC0415 - only a terminal pays for its import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("bars"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
        task = bar.add_task("bars", total=total)
        yield lambda bars: bar.update(task, completed=bars)

"""`kill --drill`: the kill for real on a paper station, its times, and that one block lifted again."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from controlroom.supervisor import control, people
from events.paths import DataPaths

LOOK_S = 0.05


def run(paths: DataPaths, request: dict[str, Any], person: dict[str, str], wait_s: float) -> int:
    """Drill; return 0 if everything held: file, block, cancels, with a ``person`` flat too, and the block lifted."""
    trial = paths.kill_file.with_name(".drill")
    written = append(trial, request)
    trial.unlink(missing_ok=True)
    ability = "can" if written else "CANNOT"
    began = time.perf_counter()
    answer = people.ask(paths, {"op": "kill", "drill": True, "hold": bool(person), **request})
    round_trip_ms = (time.perf_counter() - began) * 1e3
    if not answer.get("ok") and "blocked_ms" not in answer:
        sys.stdout.write(f"Drill: the kill file {ability} be written; {answer.get('reason')}.\n")
        return 1
    sys.stdout.write(
        f"Drill: the kill file {ability} be written; blocked after {answer['blocked_ms']} ms, {answer['canceled']} "
        f"open orders canceled after {answer['canceled_ms']} ms, answered after {round_trip_ms:.1f} ms.\n"
    )
    flat = _flatten(paths, answer, request, person, wait_s) if person else True
    over = people.ask(paths, {"op": "drill_over", "request_id": answer["request_id"]}) if person else answer
    if not over.get("lifted"):
        sys.stderr.write(f"The block was not lifted: {over.get('reason')}.\n")
        return 1
    sys.stdout.write("Its block is lifted; the station is as it was.\n")
    return 0 if written and flat else 1


def append(file: Path, request: dict[str, Any]) -> bool:
    """Add one line and have it on disk."""
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(request) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True


def _flatten(
    paths: DataPaths, blocked: dict[str, Any], request: dict[str, Any], person: dict[str, str], wait_s: float
) -> bool:
    """Flatten the drill's scope while it is blocked; return whether it was flat in time."""
    began = time.perf_counter()
    scope = {name: request[name] for name in ("scope", "target")}
    answer = people.ask(paths, {"op": "flatten", **person, **scope, "reason": f"drill {blocked['request_id']}"})
    if not answer.get("ok"):
        sys.stderr.write(f"Not flattened: {answer.get('reason')}.\n")
        return False
    while time.perf_counter() - began < wait_s:
        held = _held(paths, request)
        if not held:
            sys.stdout.write(f"Flat after {(time.perf_counter() - began) * 1e3:.0f} ms.\n")
            return True
        time.sleep(LOOK_S)
    sys.stderr.write(f"Not flat within {wait_s:g} s: {', '.join(held)} are still held.\n")
    return False


def _held(paths: DataPaths, request: dict[str, Any]) -> list[str]:
    """Return the symbols in scope that are held; all of them unknown counts as held."""
    try:
        positions = control.ask(paths, {"op": "status"}).get("positions", {})
    except control.WorkerAwayError:
        return ["unknown: the worker does not answer"]
    scope, target = request["scope"], request["target"]
    if scope == "strategy":
        return [symbol for symbol, one in positions.items() if one.get("by_strategy", {}).get(target)]
    return [symbol for symbol, one in positions.items() if one["lots"] and (scope != "symbol" or symbol == target)]

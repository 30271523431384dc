"""`status`: state, mode, equity, positions, open orders, ages and processes of a running station."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from controlroom.supervisor import control
from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import ROOT
from events.commandline import existing
from events.paths import DataPaths

EXAMPLE = "example: manage.py status --json | jq .account.equity"


def main(argv: list[str]) -> int:
    """Print the status; return 0, or 1 if the worker does not answer."""
    parser = Parser(prog="status", description=__doc__, epilog=EXAMPLE)
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="the station's data directory (default: var/)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
    except BadInputError as error:
        return complain(error)
    found = status(paths)
    sys.stdout.write(json.dumps(found) + "\n" if given.json else readable(found))
    return 0 if found["running"] else 1


def status(paths: DataPaths) -> dict[str, Any]:
    """Return the worker's view with ``running``, ``processes`` and ``ages`` beside it; without it the journal's end."""
    running = processes(paths)
    try:
        view = control.ask(paths, {"op": "status"})
    except control.WorkerAwayError:
        return {
            "running": False,
            "seq": None,
            "journal": journal_end(paths),
            "killed_by_file": paths.kill_file.exists(),
            "processes": running,
        }
    return {**view, "running": True, "ages": _ages(view), "processes": running}


def processes(paths: DataPaths) -> list[dict[str, Any]]:
    """Return what `run` last wrote of its processes, "gone" those that are no more; empty when it does not run."""
    try:
        rows = msgspec.json.decode((paths.run / "processes.json").read_bytes(), type=list[dict[str, Any]])
    except (OSError, msgspec.DecodeError):
        return []
    return [row if _lives(row["pid"]) else {**row, "state": "gone", "pid": 0} for row in rows]


def _lives(pid: int) -> bool:
    """Return whether a process is there, or was never started (0)."""
    try:
        return not pid or psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def journal_end(paths: DataPaths) -> dict[str, Any]:
    """Return the last record of the worker's journal: sequence, time and type, or why there is none."""
    from audit.verification import verify_data_directory  # noqa: PLC0415 - paid for only where the worker is away

    record = verify_data_directory(paths)
    end = record["writers"].get("execution")
    if end is None or end["seq"] < 0:
        return {"seq": None, "reason": "nothing has been journaled yet"}
    return {"seq": end["seq"], "head": end["head"], "ok": record["ok"]}


def _ages(view: dict[str, Any]) -> dict[str, float | None]:
    """Return seconds since the worker's last input and since its view was made."""
    now = time.time_ns()
    arrival = view.get("source", {}).get("last_arrival_ns")
    return {
        "data_s": round((now - arrival) / 1e9, 3) if arrival else None,
        "view_s": round((now - view["wall_ns"]) / 1e9, 3) if view.get("wall_ns") else None,
    }


def readable(found: dict[str, Any]) -> str:
    """Return the status as lines for a person."""
    if not found["running"]:
        end = found["journal"]
        lines = ["The worker does not answer: it is not running, or just starting."]
        lines.append(f"Its journal ends at record {end['seq']}." if end["seq"] is not None else "Its journal is empty.")
        if found["killed_by_file"]:
            lines.append("A kill file is present: the worker will start killed.")
    else:
        account = found["account"]
        killed = f", killed: {', '.join(found['killed'])}" if found["killed"] else ""
        everything = any(scope.partition(":")[0] in {"all", "account"} for scope in found["killed"])
        state = "KILLED" if everything else found["state"]
        lines = [f"{found['mode']} {state}{killed} at record {found['seq']}, data {found['ages']['data_s']} s old"]
        lines.append(
            f"equity {account['equity']:,.2f} {account['currency']}, cash {account['cash']:,.2f}, "
            f"{len(found['open_orders'])} open orders"
        )
        lines += [
            f"  {symbol:<10} {row['qty']:>14,.4f} at {row['mark']:>12,.4f} = {row['value']:>16,.2f}"
            for symbol, row in found["positions"].items()
        ]
    lines += [
        f"{row['name']:<10} {row['state']:<10} pid {row['pid'] or '-':<8} restarts {row['restarts']}"
        for row in found["processes"]
    ]
    return "\n".join(lines) + "\n"

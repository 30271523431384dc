"""`bench kill_drill`: a running station that holds many symbols is blocked, its orders canceled and it is made flat.

example: ./station bench kill_drill --data ../shared/data

The market is real daily bars, the strategies are the station's, two of them set to hold what they enter. Flat takes the
next bar of each symbol, so the time between two bars is printed beside the others.
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pyotp
from pyarrow import parquet

from controlroom.supervisor import control
from events.paths import DataPaths
from tests.controlroom_backend.visitor import Browser
from tests.operator.running import unused_port

ROOT = Path(__file__).resolve().parent.parent
DAYS = "us_day1_2012-09_2015-12_88sym.parquet"
DAY_S = 86_400
DEAR = 2_000.0  # USD a share: one would be more than a symbol's budget
KEEPS = """[strategies.bullish]
channel_bars = 5
exit_bars = 60
trend = 0.0
trail_ranges = 20.0
stop_ranges = 20.0
patience_bars = 1000
[strategies.bearish]
low_bars = 2
weak_ranges = 0.0
goal_ranges = 20.0
stop_ranges = 20.0
patience_bars = 1000
"""
TIMES = re.compile(r"blocked after ([\d.]+) ms, (\d+) open orders canceled after ([\d.]+) ms, answered after ([\d.]+)")
FLAT = re.compile(r"Flat after (\d+) ms")


def main(argv: list[str]) -> int:
    """Drill once and print the times; return 0 if the drill held."""
    parser = argparse.ArgumentParser(prog="bench kill_drill", description=__doc__.partition("\n")[0])
    data = Path(os.environ.get("STATION_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=data, help=f"folder of the market data ({data})")
    parser.add_argument(
        "--positions", type=int, default=24, help="symbols to trade, all of them to be held (default: 24)"
    )
    parser.add_argument("--bars", type=float, default=2.0, help="a second, the market's speed (default: 2)")
    parser.add_argument("--wait", type=float, default=600.0, help="seconds until that many are held (default: 600)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(argv)
    if not (given.data / DAYS).is_file():
        parser.error(f"--data = {given.data} holds no {DAYS}")
    folder = Path(tempfile.mkdtemp(prefix="kd-"))
    try:
        found = _drill(given, DataPaths(folder / "d"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found) if given.json else "\n".join(f"{name:<14} {value}" for name, value in found.items()))
    return 0 if found["held"] else 1


def _drill(given: argparse.Namespace, paths: DataPaths) -> dict[str, Any]:
    paths.root.mkdir(mode=0o700)
    paths.settings.write_text(KEEPS)
    bars = parquet.read_table(given.data / DAYS, columns=["sym", "c"]).to_pylist()
    dear = {bar["sym"] for bar in bars if bar["c"] > DEAR}
    rows = Counter(bar["sym"] for bar in bars if bar["sym"] not in dear)
    symbols = sorted(sorted(rows), key=lambda symbol: -rows[symbol])[: given.positions]
    source = ["--feed", f"replay:{given.data / DAYS}", "--symbols", ",".join(symbols)]
    port = unused_port()
    place = ["--data-dir", str(paths.root), "--port", str(port), "--no-browser"]
    command = [sys.executable, str(ROOT / "manage.py"), "run", *source, "--speed", str(int(DAY_S * given.bars)), *place]
    with (paths.root.parent / "out").open("w") as log:
        station = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        held = _wait_for_positions(paths, station, given.positions, given.wait)
        words = ["kill", "--drill", "--flatten", "--data-dir", str(paths.root), *_person(paths, port)]
        done = _manage(words)
    finally:
        station.terminate()
        station.wait(60)
    times, flat = TIMES.search(done.stdout), FLAT.search(done.stdout)
    if times is None:
        raise SystemExit(f"no drill: {done.stdout}{done.stderr}")
    return {
        "positions": held, "bar_every_ms": 1e3 / given.bars, "blocked_ms": float(times[1]),
        "canceled": int(times[2]), "canceled_ms": float(times[3]), "answered_ms": float(times[4]),
        "flat_ms": int(flat[1]) if flat else None, "held": done.returncode == 0, "load": psutil.getloadavg()[0],
    }  # fmt: skip


def _wait_for_positions(paths: DataPaths, station: "subprocess.Popen[bytes]", wanted: int, wait_s: float) -> int:
    until = time.monotonic() + wait_s
    most = 0
    while time.monotonic() < until and station.poll() is None:
        with contextlib.suppress(control.WorkerAwayError):
            view = control.ask(paths, {"op": "status"})
            held = sum(1 for one in view.get("positions", {}).values() if one["lots"])
            most = max(most, held)
            if held >= wanted:
                return held
        time.sleep(0.05)
    raise SystemExit(f"--positions = {wanted}: at most {most} were held")


def _person(paths: DataPaths, port: int) -> list[str]:
    """Give the operator of the first login a password and a device; return the options of one act."""
    login = dict(line.split(": ", 1) for line in (paths.secrets / "first-login").read_text().splitlines())
    secret = paths.root.parent / "password"
    secret.touch(mode=0o600)
    secret.write_text(own := secrets.token_urlsafe(24))
    visitor = Browser(port)
    visitor.get("/login")
    visitor.post("/login", username=login["user"], password=login["password"])
    visitor.get("/first-password")
    visitor.post("/first-password", current=login["password"], new=own, again=own)
    who = ["--user", login["user"], "--password-file", str(secret)]
    where = ["--data-dir", str(paths.root), "--json"]
    device = pyotp.TOTP(_told(["codes", "enrol", *who, *where])["secret"])
    confirmed = _told(["codes", "confirm", "--code", device.now(), *who, *where])
    return [*who, "--code", confirmed["recovery_codes"][0]]


def _told(words: list[str]) -> dict[str, Any]:
    done = _manage(words)
    if done.returncode:
        raise SystemExit(f"{' '.join(words[:2])}: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def _manage(words: list[str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "manage.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

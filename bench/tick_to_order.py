"""From the XADD of a slice's end to the broker call: a real worker on a real Valkey, the journal synced before.

Load: half a second of idleness, then one close of 8 symbols, of which the 4 strategies make orders; no no-trade band,
so most closes do. The reference of the same run is the raw hop of one such entry from XADD to a reader blocked in
XREADGROUP, measured a quarter of a second after each close. The limit of the station's source document is 50 ms.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from engine.configuration import Configuration, Source, load_settings
from events.bus import acknowledge, connect, ensure_group, publish, read_group
from events.codec import envelope
from events.embedded import valkey_command
from events.paths import DataPaths
from events.streams import CONTROL_WORKER, market_stream
from events.types import Bar, ControlEvent, SliceEnd
from market.instruments import Instrument

ROOT = Path(__file__).resolve().parent.parent
SYMBOLS = tuple(f"LOAD{number}" for number in range(8))
FEED, RAW = "load", "raw"
HISTORY = 390  # closes before the measured ones: every policy is past its warm-up
IDLE_S = 0.5
COMPILE_S = 600.0  # the first start of a version compiles the engine
REACH_P99_MS, REACH_RATIO = 5.0, 3.0
OPEN_NS, MINUTE_NS, DAY_NS = 1_549_895_400_000_000_000, 60_000_000_000, 86_400_000_000_000


def main(argv: list[str]) -> int:
    """Measure and print; return 1 where a figure is outside its reach."""
    parser = argparse.ArgumentParser(prog="bench tick_to_order", description=__doc__)
    parser.add_argument("--closes", type=int, default=120, help="closes measured, two a second (default 120)")
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    arguments = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        figures = measure(DataPaths(folder), max(10, arguments.closes))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures, indent=None if arguments.json else 2))
    return 0 if figures["p99_ms"] <= REACH_P99_MS and figures["ratio"] <= REACH_RATIO else 1


def measure(paths: DataPaths, closes: int) -> dict[str, Any]:
    """Return percentiles in milliseconds, the raw hop's median, and the ratio of the medians."""
    with contextlib.ExitStack() as running:
        running.enter_context(_ended(subprocess.Popen(valkey_command(paths, "bus"), stdout=subprocess.DEVNULL)))
        feed, relay = connect(paths, "feed"), connect(paths, "relay")
        publish(relay, CONTROL_WORKER, envelope("ControlEvent", "bench", _configure(), time.time_ns()))
        market, position = _market(), 0
        with _ended(_worker(paths)):
            for _ in range(HISTORY):
                position = _send(feed, next(market), position)
            _until(paths, lambda view: view["counts"]["slices"] == HISTORY, COMPILE_S)
        running.enter_context(_ended(_worker(paths)))  # its histogram begins with the measured closes
        _until(paths, lambda view: view["state"] == "ACTIVE")
        hops = _load(paths, feed, market, position, closes)
        view = _until(paths, lambda view: view["counts"]["slices"] == HISTORY + closes)
        return _figures(view["tick_to_order_ms"], hops)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process whatever happens."""
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _load(
    paths: DataPaths, feed: Any, market: Iterator[tuple[int, list[Bar]]], position: int, closes: int
) -> list[float]:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    ensure_group(connect(paths, "recorder"), market_stream(RAW), "hop")
    reader = multiprocessing.get_context("fork").Process(target=_raw_reader, args=(paths, closes, sender))
    reader.start()
    time.sleep(1.0)
    for _ in range(closes):
        close = next(market)
        time.sleep(IDLE_S / 2)
        event = envelope("SliceEnd", "bench", SliceEnd(feed=RAW, close_ns=close[0], bars=8), time.time_ns())
        publish(feed, market_stream(RAW), event)
        time.sleep(IDLE_S / 2)
        position = _send(feed, close, position)
    hops: list[float] = receiver.recv()
    reader.join()
    return hops


def _raw_reader(paths: DataPaths, count: int, sender: Connection) -> None:
    """Time entries at a reader that does nothing else."""
    client, hops = connect(paths, "recorder"), []
    while len(hops) < count:
        entries = read_group(client, [market_stream(RAW)], "hop", block_ms=2000)
        now_ns = time.time_ns()
        hops += [(now_ns - json.loads(entry.event)["timestamp"]) / 1e6 for entry in entries]
        acknowledge(client, "hop", entries)
    sender.send(hops)


def _figures(latency: dict[str, Any], hops: list[float]) -> dict[str, Any]:
    raw = sorted(hops)[len(hops) // 2]
    named = {f"{name}_ms": round(latency[name], 4) for name in ("p50", "p95", "p99", "max")}
    return {**named, "n": latency["n"], "ratio": round(latency["p50"] / raw, 2), "raw_hop_p50_ms": round(raw, 4)}


def _worker(paths: DataPaths) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "manage.py"), "worker", "--data-dir", str(paths.root)]
    with (paths.root / "worker.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ)


def _until(paths: DataPaths, condition: Any, seconds: float = 120.0) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        try:
            view = _status(paths)
        except OSError:
            continue
        if "counts" in view and condition(view):
            return view
    raise TimeoutError(
        f"the worker did not get there within {seconds:g} s: {(paths.root / 'worker.log').read_text()[-2000:]}"
    )


def _status(paths: DataPaths) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(paths.socket("worker")))
        client.sendall(b'{"op":"status"}\n')
        received = b""
        while part := client.recv(1 << 20):
            received += part
    view: dict[str, Any] = json.loads(received)
    return view


def _configure() -> ControlEvent:
    settings = load_settings()
    limits = msgspec.structs.replace(settings.limits, no_trade_band=0.0, strategy_rate=1000.0, station_rate=1000.0)
    instruments = [
        Instrument(symbol=symbol, asset_class="equity", exchange="XNYS", calendar="XNYS", currency="USD", tick=0.01)
        for symbol in SYMBOLS
    ]
    given = Configuration(
        version=1,
        mode="PAPER",
        settings=msgspec.structs.replace(settings, limits=limits),
        instruments=instruments,
        source=Source(feed=FEED, label="SIMULATED", detail="load", interval_s=60, waits=False),
    )
    return ControlEvent(
        action="configure", scope="all", target="", actor="bench", reason="load", request_id="configure:1",
        content=msgspec.Raw(msgspec.json.encode(given)),
    )  # fmt: skip


def _market() -> Iterator[tuple[int, list[Bar]]]:
    """Yield closes of a seeded random walk with trends, session after session."""
    chance, minute = random.Random(7), 0
    prices = {symbol: 50.0 + 20.0 * number for number, symbol in enumerate(SYMBOLS)}
    trends = dict.fromkeys(SYMBOLS, 0.0)
    while True:
        day, inside = divmod(minute, 390)
        open_ns = OPEN_NS + (day // 5 * 7 + day % 5) * DAY_NS + inside * MINUTE_NS
        bars = []
        for symbol in SYMBOLS:
            if chance.random() < 0.03:
                trends[symbol] = chance.gauss(0.0, 0.001)
            opened = prices[symbol]
            close = round(opened * (1.0 + trends[symbol] + chance.gauss(0.0, 0.002)), 2)
            prices[symbol] = close
            bars.append(Bar(
                feed=FEED, symbol=symbol, open_ns=open_ns, interval_s=60, open=opened, high=max(opened, close),
                low=min(opened, close), close=close, volume=1_000_000.0, close_ns=open_ns + MINUTE_NS,
            ))  # fmt: skip
        minute += 1
        yield open_ns + MINUTE_NS, bars


def _send(feed: Any, close: tuple[int, list[Bar]], position: int) -> int:
    """Add one close in one transaction, as feeds do."""
    close_ns, bars = close
    events = [("MarketEvent", bar) for bar in bars] + [
        ("SliceEnd", SliceEnd(feed=FEED, close_ns=close_ns, bars=len(bars)))
    ]
    with feed.pipeline(transaction=True) as pipe:
        for kind, payload in events:
            position += 1
            event = envelope(kind, f"feed:{FEED}", payload, time.time_ns())
            pipe.xadd(market_stream(FEED), {b"event": event}, id=f"{position}-0")
        pipe.execute()
    return position


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

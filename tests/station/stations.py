"""Whole runs of the station, what their journals hold, and an account of our own to check theirs."""

import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

import msgspec
import psutil

from controlroom.supervisor import control
from engine.configuration import Configuration
from events.codec import decode_payload
from events.journal import JournalReader
from events.paths import DataPaths
from market.calendars import session_of_bar
from recorder.rebuild import rebuild
from tests.operator.running import ROOT, Running, manage, unused_port
from worker.replay import replay

WEEK = "us_min1_2019-02-11_2019-02-15_24sym.parquet"
EIGHT = "AAPL,MSFT,AMZN,BAC,JPM,SPY,TSLA,MU"
MICRO, CENT = 1_000_000, Decimal("0.01")
STRATEGIES = {"bullish", "bearish", "mean_reversion", "momentum"}
SAME = ("bars", "orders", "denied", "fills", "equity", "cash", "positions", "by_strategy", "orders_sha256")
DERIVED = (
    "MarketSlice", "PhaseEvent", "SignalEvent", "OutcomeEvent", "OrderEvent", "BrokerEvent", "FillEvent", "TradeEvent",
    "AccountEvent",
)  # fmt: skip
"""Record types whose payloads depend on the market alone: equal byte for byte in every run of it."""


@dataclass
class Finished:
    """A run that came to its end by itself."""

    data_dir: Path
    result: dict
    said: str
    cache: dict = field(default_factory=dict)

    def records(self, *types, writer="execution"):
        """Return the records of these types, in order."""
        kept = self.cache.setdefault(writer, list(JournalReader(self.data_dir / "journal" / writer).read()))
        return [record for record in kept if record.type in types]

    def payloads(self, *types):
        """Return their decoded payloads."""
        return [decode_payload(record.type, record.payload) for record in self.records(*types)]

    def derived(self):
        """Return (type, payload's bytes) of all that the market alone decides."""
        return [(record.type, bytes(record.payload)) for record in self.records(*DERIVED)]

    def intents(self):
        return [order for order in self.payloads("OrderEvent") if order.state == "INTENT"]

    def same(self):
        return {name: self.result[name] for name in SAME}


def begin(data_dir, *arguments):
    """Start `run --until-done --json`; its words go to files beside the data directory."""
    port = unused_port()
    out, err = data_dir.with_name(f"{data_dir.name}.out"), data_dir.with_name(f"{data_dir.name}.err")
    options = ["--until-done", "--json", "--port", port, "--data-dir", data_dir, *arguments]
    command = [sys.executable, ROOT / "manage.py", "run", *options]
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(list(map(str, command)), stdout=stdout, stderr=stderr)
    return Running(data_dir, port, process)


def finish(data_dir, *arguments, disturb=None, patience_s=270):
    """Run the station to its end, disturbed by ``disturb(running)``, and return what came of it."""
    running = begin(data_dir, *arguments)
    try:
        if disturb is not None:
            disturb(running)
        code = running.process.wait(timeout=patience_s)
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            running.process.wait(timeout=30)
    said = data_dir.with_name(f"{data_dir.name}.err").read_text()
    assert code == 0, said
    return Finished(data_dir, json.loads(data_dir.with_name(f"{data_dir.name}.out").read_text()), said)


def progress(data_dir):
    """Return how many source bars the worker has taken, 0 while it does not answer."""
    try:
        return control.ask(DataPaths(data_dir), {"op": "status"})["counts"]["bars"]
    except (control.WorkerAwayError, KeyError):
        return 0


def wait_for_bars(running, bars, seconds=150.0):
    """Return once the worker has taken so many bars."""
    until = time.monotonic() + seconds
    while progress(running.data_dir) < bars:
        assert running.process.poll() is None, "the run ended before it could be disturbed"
        assert time.monotonic() < until, f"the worker never took {bars} bars"
        time.sleep(0.01)


def wait_for_another(running, name, pid, seconds=60.0):
    """Return once a process of this name has another pid."""
    until = time.monotonic() + seconds
    while running.pids().get(name, pid) == pid:
        assert running.process.poll() is None, f"the run ended before {name} came back"
        assert time.monotonic() < until, f"{name} never came back"
        time.sleep(0.02)


def kills(seed, bars, *groups):
    """Return a disturber: kill -9 of each group of processes at a random point of the run, in order.

    Points are drawn as bars that the worker has taken, so that they fall into the run however fast the machine is; the
    members of a group, in random order, die up to 0.3 s apart, anywhere between two instructions. At full speed each
    group needs the worker: a run that goes on meanwhile could end before the others are back.
    """
    drawn = random.Random(seed)
    points = sorted(drawn.uniform(0.05, 0.75) for _ in groups)

    def disturb(running):
        for group, point in zip(groups, points, strict=True):
            wait_for_bars(running, int(point * bars))
            before = running.pids()
            for name in drawn.sample(group, len(group)):
                subprocess.run(["kill", "-9", str(before[name])], check=True)
                time.sleep(drawn.uniform(0.0, 0.3))
            for name in group:
                wait_for_another(running, name, before[name])

    return disturb


class Memory:
    """A disturber that disturbs nothing: the most memory that the station and its worker had, in MiB."""

    def __init__(self):
        self.station = self.worker = 0.0

    def __call__(self, running):
        whole = psutil.Process(running.process.pid)
        while running.process.poll() is None:
            worker = running.pids().get("worker")
            total = 0.0
            with contextlib.suppress(psutil.Error):
                for process in [whole, *whole.children(recursive=True)]:
                    found = process.memory_full_info()
                    total += found.pss / 2**20
                    if process.pid == worker:
                        self.worker = max(self.worker, found.rss / 2**20)
                self.station = max(self.station, total)
            time.sleep(0.25)


def restarts(finished):
    """Return name to how often the supervisor said that it had to restart it."""
    return Counter(line.split()[1] for line in finished.said.splitlines() if line.startswith("↻"))


def assert_nothing_twice(finished):
    """Each order was submitted once, each execution booked once, and the station journal holds each bar once."""
    orders = finished.payloads("OrderEvent")
    for state in ("INTENT", "ACCEPTED"):
        seen = Counter(order.order_id for order in orders if order.state == state)
        assert {order_id for order_id, count in seen.items() if count > 1} == set(), state
    answered = Counter((event.order_id, event.kind) for event in finished.payloads("BrokerEvent"))
    assert {key for key, count in answered.items() if count > 1} == set()
    fills = finished.payloads("FillEvent")
    assert len({(fill.broker, fill.execution_id) for fill in fills}) == len(fills)
    booked = [trade.execution_id for trade in finished.payloads("TradeEvent")]
    assert len(set(booked)) == len(booked)
    assert {fill.execution_id for fill in fills} <= set(booked)
    wanted = {order.order_id: order.lots for order in orders if order.state == "INTENT"}
    filled = Counter()
    for fill in fills:
        filled[fill.order_id] += fill.lots
    assert all(filled[order_id] <= wanted[order_id] for order_id in filled)
    kept = (_bar(record) for record in finished.records("MarketEvent", writer="station"))
    bars = Counter((bar.symbol, bar.open_ns) for bar in kept)
    assert set(bars.values()) == {1}
    assert len(bars) == finished.result["bars"]


def _bar(record):
    return decode_payload("MarketEvent", record.payload)


def assert_equity_is_cash_and_positions(finished):
    """Book every fill in decimals, mark with in-session closes, and compare with each account record.

    Cash is the same to the micro-unit, each fill's notional rounded against us; equity is to the cent.
    """
    configured = next(event for event in finished.payloads("ControlEvent") if event.action == "configure")
    configuration = msgspec.json.decode(configured.content, type=Configuration)
    instruments = {each.symbol: each for each in configuration.instruments}
    cash = round(configuration.settings.account.initial_cash * MICRO)
    lots, marks, compared = Counter(), {}, 0
    for event in finished.payloads("MarketSlice", "FillEvent", "AccountEvent"):
        match type(event).__name__:
            case "FillEvent":
                side, rounding = (1, ROUND_CEILING) if event.side == "BUY" else (-1, ROUND_FLOOR)
                notional = event.lots * _unit(instruments[event.symbol]) * event.price_micro
                cash -= side * int(notional.to_integral_value(rounding)) + event.fee_micro
                lots[event.symbol] += side * event.lots
            case "MarketSlice":
                for bar in event.bars:
                    if session_of_bar(instruments[bar.symbol].calendar, bar.open_ns, bar.close_ns):
                        marks[bar.symbol] = Decimal(bar.close)
            case _:
                held = sum(count * _unit(instruments[symbol]) * marks[symbol] for symbol, count in lots.items())
                assert event.cash_micro == cash
                assert abs(Decimal(event.equity) - Decimal(cash) / MICRO - held) < CENT / 2
                compared += 1
    assert compared > 0
    shown = finished.result["positions"]
    assert {symbol for symbol, count in lots.items() if count} == set(shown)
    for symbol, row in shown.items():
        assert set(row) == {"qty", "mark", "value"}
        assert abs(Decimal(row["qty"]) - lots[symbol] * _unit(instruments[symbol])) < Decimal("1e-9")
    total = finished.result["cash"] + sum(row["value"] for row in shown.values())
    assert abs(finished.result["equity"] - total) < CENT / 2
    assert round(finished.result["cash"] * MICRO) == cash


def assert_the_record_gives_itself(finished, folder):
    """The engine makes every output of the journal again, and the journals every row of the store."""
    reader = JournalReader(finished.data_dir / "journal" / "execution")
    found = replay(reader, reader.last_seq())
    assert (found["ok"], found["exact"], found["first_difference"]) == (True, True, None)
    assert found["events"] == finished.result["journal"]["execution"]["seq"] + 1
    assert found["orders_sha256"] == finished.result["orders_sha256"]
    again = folder / f"{finished.data_dir.name}.sqlite3"
    rebuilt = rebuild(DataPaths(finished.data_dir), str(again), against_old=True, replace=False)
    assert rebuilt["ok"] is True
    assert rebuilt["writers"] == {name: end["seq"] for name, end in finished.result["journal"].items()}


def _unit(instrument):
    return Decimal(instrument.lot_numerator) / Decimal(instrument.lot_denominator)


def refused(data_dir, *arguments):
    """Return the one sentence with which `run` exits 2."""
    done = manage("run", "--until-done", "--json", "--port", unused_port(), "--data-dir", data_dir, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Warning:")]
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    return lines[0]

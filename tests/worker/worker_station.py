"""What the worker's tests share: a made-up market, a real bus, a worker process."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import msgspec
import pyotp

from audit.files import write_file
from engine.configuration import Configuration, Source, load_settings
from engine.output import Output
from events.bus import connect, publish
from events.codec import envelope
from events.embedded import valkey_command
from events.journal import JournalWriter
from events.paths import DataPaths
from events.reader import JournalReader
from events.streams import CONTROL_WORKER, market_stream
from events.types import Bar, ControlEvent, FeedEnd, MarketSlice, RunStarted, SliceEnd
from market.instruments import Instrument
from worker.brokers import open_broker
from worker.core import Core
from worker.keeper import Keeper
from worker.kill import KillSwitch
from worker.machine import Machine
from worker.onetime import NAME as CODES
from worker.onetime import Device
from worker.orders import OrderDesk
from worker.process import Trading, open_core
from worker.release import make_entry
from worker.resume import resume

ROOT = Path(__file__).resolve().parent.parent.parent
SYMBOLS = tuple(f"SYM{letter}" for letter in "ABCDEFGH")
FEED = "simulated"
MINUTE_NS = 60_000_000_000
OPEN_NS = 1_549_895_400_000_000_000  # 2019-02-11 09:30 in New York
DAY_NS = 86_400_000_000_000
SESSION = 390
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # of every test's device


def instrument(symbol):
    return Instrument(
        symbol=symbol,
        asset_class="equity",
        exchange="XNYS",
        calendar="XNYS",
        currency="USD",
        tick=0.01,
    )


def configuration(version=1, symbols=SYMBOLS, *, waits=False, **limits):
    settings = load_settings()
    settings = msgspec.structs.replace(settings, limits=msgspec.structs.replace(settings.limits, **limits))
    return Configuration(
        version=version,
        mode="PAPER",
        settings=settings,
        instruments=[instrument(symbol) for symbol in symbols],
        source=Source(feed=FEED, label="SIMULATED", detail="test", interval_s=60, waits=waits),
    )


def configure_event(given, request_id=""):
    return ControlEvent(
        action="configure",
        scope="all",
        target="",
        actor="station",
        reason="first configuration",
        request_id=request_id or f"configure:{given.version}",
        content=msgspec.Raw(msgspec.json.encode(given)),
    )


def market(minutes, symbols=SYMBOLS, seed=1):
    """Yield (close_ns, bars) of a wandering market: minutes of sessions that begin at 09:30 in New York."""
    chance = random.Random(seed)
    prices = {symbol: 100.0 + 10 * i for i, symbol in enumerate(symbols)}
    drift = dict.fromkeys(symbols, 0.0)
    for minute in range(minutes):
        day, inside = divmod(minute, SESSION)
        open_ns = OPEN_NS + day * DAY_NS + inside * MINUTE_NS
        bars = []
        for symbol in symbols:
            if chance.random() < 0.02:
                drift[symbol] = chance.gauss(0, 0.0008)
            opened = prices[symbol]
            close = round(opened * (1 + drift[symbol] + chance.gauss(0, 0.0015)), 2)
            high, low = round(max(opened, close) * 1.0005, 2), round(min(opened, close) * 0.9995, 2)
            prices[symbol] = close
            bars.append(Bar(
                feed=FEED, symbol=symbol, open_ns=open_ns, interval_s=60, open=opened, high=max(high, opened, close),
                low=min(low, opened, close), close=close, volume=float(chance.randrange(50_000, 500_000)),
                close_ns=open_ns + MINUTE_NS,
            ))  # fmt: skip
        yield open_ns + MINUTE_NS, bars


def feed_entries(minutes, symbols=SYMBOLS, seed=1):
    """Return the feed's entries without their ids, a list a close; the last one is the end."""
    count, closes, close_ns = 0, [], 0
    for close_ns, bars in market(minutes, symbols, seed):
        count += len(bars)
        closes.append(
            [("MarketEvent", bar) for bar in bars]
            + [("SliceEnd", SliceEnd(feed=FEED, close_ns=close_ns, bars=len(bars)))]
        )
    closes.append([("FeedEnd", FeedEnd(feed=FEED, bars=count, last_close_ns=close_ns))])
    return closes


class Bus:
    """A real embedded Valkey in a data directory."""

    def __init__(self, paths):
        self.paths = paths
        self.process = None
        self.counter = 0

    def start(self):
        self.process = subprocess.Popen(
            valkey_command(self.paths, "bus"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.feed = connect(self.paths, "feed")
        self.relay = connect(self.paths, "relay")
        self.web = connect(self.paths, "web")
        return self

    def stop(self):
        for client in (self.feed, self.relay, self.web):
            client.close()
        self.process.kill()
        self.process.wait()

    def send_close(self, close):
        """Send one close as a feed does: one transaction, explicit ids."""
        with self.feed.pipeline(transaction=True) as pipe:
            for kind, payload in close:
                self.counter += 1
                event = envelope(kind, f"feed:{FEED}", payload, time.time_ns())
                pipe.xadd(market_stream(FEED), {b"event": event}, id=f"{self.counter}-0")
            pipe.execute()

    def control(self, payload, kind="ControlEvent", repeat=1):
        for _ in range(repeat):
            publish(self.relay, CONTROL_WORKER, envelope(kind, "controlroom", payload, time.time_ns(), id="outbox-1"))


class Asked:
    """What a worker answers on its control socket, wherever it runs."""

    def ask(self, **request):
        return ask(self.paths, json.dumps(request).encode() + b"\n")

    def until(self, condition, seconds=200):
        """Wait until the worker's view satisfies a condition; return the view."""
        end, view = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                view = self.ask(op="status")
            except OSError:
                view = None
            if view is not None and "seq" in view and condition(view):
                return view
            if not self.alive:
                break
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s; view {str(view)[:600]}; said {self.said()[-3000:]}")


class WorkerProcess(Asked):
    """A worker as the supervisor starts it."""

    def __init__(self, paths):
        self.paths = paths
        self.process = None
        self.log = paths.root / "worker.err"

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "worker", "--data-dir", str(self.paths.root)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return self

    @property
    def alive(self):
        return self.process.poll() is None

    def said(self):
        return self.log.read_text()

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.alive:
            self.process.send_signal(signal.SIGTERM)
            return self.process.wait(timeout=30)
        return None if self.process is None else self.process.returncode


class WorkerThread(Asked):
    """The same worker in a thread of the test: without the seconds that a process takes to start."""

    def __init__(self, paths):
        self.paths = paths
        self.trading = None
        self._failed = []
        self._thread = None

    def start(self):
        journal = JournalWriter(self.paths.journal / "execution", "execution", uuid.uuid4().hex)
        self.trading = Trading(self.paths, open_core(self.paths, journal))
        self.trading.start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self):
        try:
            self.trading.run()
        except BaseException as error:  # noqa: BLE001 - stop() raises it in the test's own thread
            self._failed.append(error)

    @property
    def alive(self):
        return self._thread is not None and self._thread.is_alive()

    def said(self):
        return str(self._failed)

    def stop(self):
        if self._thread is None:
            return
        self.trading.loop.stop()
        self._thread.join(60)
        self._thread = None
        if self._failed:
            raise self._failed.pop()


def ask(paths, line, timeout=20):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(str(paths.socket("worker")))
        client.sendall(line)
        received = b""
        while not received.endswith(b"\n"):
            part = client.recv(1 << 20)
            if not part:
                break
            received += part
    return json.loads(received)


PASSWORD = "right"


def seal(paths, user="operator", password=PASSWORD):
    """Let a person release: their password, and a device whose codes ``code`` gives."""
    write_file(paths.secrets / "release.json", msgspec.json.encode({user: make_entry(password)}))
    write_file(paths.secrets / CODES, msgspec.json.encode({user: Device(secret=SECRET, since_ns=1)}))


def code(paths, user="operator"):
    """Return a code that is not used yet; the device forgets what was used, as if half a minute had passed."""
    devices = msgspec.json.decode((paths.secrets / CODES).read_bytes(), type=dict[str, Device])
    devices[user].step = 0
    write_file(paths.secrets / CODES, msgspec.json.encode(devices))
    return pyotp.TOTP(SECRET).now()


def data_paths(folder):
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = DataPaths(folder)
    made.secrets.mkdir(mode=0o700, exist_ok=True)
    return made


class Bench:
    """The core without a bus: a real journal and a real engine in a folder; ``reopen`` is a new process's start."""

    def __init__(self, folder, connect=open_broker):
        self.folder = folder
        self.connect = connect
        self.journal = None
        self.number = 0
        self.open()

    def open(self):
        self.journal = JournalWriter(self.folder / "execution", "execution", f"run{self.number}")
        self.number += 1
        machine = Machine(self.connect)
        self.done = resume(machine, JournalReader(self.folder / "execution"), {"test": "same"})
        self.switch = KillSwitch(self.folder / "kill" / "KILL")
        self.switch.latch(machine.killed)
        self.core = Core(machine, Keeper(self.journal), self.switch, OrderDesk(self.switch))
        started = RunStarted(
            station_version="0",
            fingerprint={"test": "same"},
            resumed_from=self.done.resumed_from,
            replayed=self.done.replayed,
        )
        self.core.note(Output("RunStarted", "worker", started))
        if machine.engine is not None:
            self.core.settle(resend=True)
            self.core.reconcile()
        return self

    def crash(self):
        """End without closing: what was not synced may still be there, as after a killed process."""
        os.close(self.journal._fd)
        os.close(self.journal._lock)
        self.journal._fd = -1
        return self.open()

    def configure(self, **options):
        self.core.apply(Output("ControlEvent", "controlroom", configure_event(configuration(**options))))
        self.core.reconcile()
        return self

    def slices(self, minutes, seed=1, first=0, symbols=SYMBOLS):
        position = 0
        for number, (close_ns, bars) in enumerate(market(minutes, symbols, seed)):
            position += len(bars) + 1
            if number >= first:
                yield MarketSlice(feed=FEED, position=f"{position}-0", close_ns=close_ns, bars=bars)

    def trade(self, minutes, seed=1, first=0):
        for one in self.slices(minutes, seed, first):
            self.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
        return self

    @property
    def records(self):
        self.core.keeper.sync()
        return list(JournalReader(self.folder / "execution").read())

    @property
    def digest(self):
        return self.core.machine.projection.digest.hexdigest()


def essence(records):
    """What two runs of the same inputs must share: types and payloads of everything that follows from inputs."""
    return [
        (record.type, bytes(record.payload))
        for record in records
        if record.agent_id != "worker"
        and record.type not in {"RunStarted", "SnapshotEvent", "ControlEvent", "ControlAck", "JobDue"}
    ]

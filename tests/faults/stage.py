"""Bus, feed and worker of one made-up session, real each, for faults that need no supervisor."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

import msgspec
import worker_station as made

from engine.configuration import Configuration, Source, load_settings
from events.bus import connect, publish
from events.codec import decode_payload, envelope
from events.embedded import valkey_command
from events.reader import JournalReader, verify
from events.streams import CONTROL_FEED
from events.types import FeedControl
from market.feeds.inspect import describe_run
from market.instruments import Instrument

FEED = "simulated:seed=3,sessions=1"
SLICES = 390
SPEED = 6000  # a minute takes 10 ms
PASSWORD = "correct horse"


class Stage:
    """A data directory with a bus, a feed process and a worker: in a thread of the test, or a process."""

    def __init__(self, paths, worker=made.WorkerThread):
        self.paths = paths
        self.bus = made.Bus(paths)
        self.worker = worker(paths)
        self.feed = None
        asked = {"symbols": (), "speed": SPEED, "interval_s": None, "stances": None, "actions": None}
        self.description = describe_run(
            SimpleNamespace(feed=FEED, host="127.0.0.1", port=8000, until_done=False, **asked)
        )

    def start(self):
        self.bus.start()
        (self.paths.run / "run.json").write_bytes(msgspec.json.encode(self.description))
        made.seal(self.paths, "ann", PASSWORD)
        self.worker.start()
        self.bus.control(made.configure_event(self.configuration()))
        self.until(lambda view: view["state"] == "ACTIVE")
        self.start_feed()
        return self

    def configuration(self):
        source = msgspec.convert({**self.description["source"], "waits": False}, Source)
        instruments = msgspec.convert(self.description["instruments"], list[Instrument])
        return Configuration(version=1, mode="PAPER", settings=load_settings(), instruments=instruments, source=source)

    def start_feed(self):
        command = [sys.executable, "manage.py", "feed", "--data-dir", str(self.paths.root)]
        self.feed = subprocess.Popen(command, cwd=made.ROOT, stderr=subprocess.DEVNULL, env=dict(os.environ))

    def until(self, condition, seconds=60):
        return self.worker.until(condition, seconds)

    def until_slices(self, count):
        return self.until(lambda view: view["counts"]["slices"] >= count)

    def until_alert(self, rule):
        """Wait for an alert of the worker's; return the view that has it."""
        return self.until(lambda view: any(alert["rule"] == rule for alert in view["alerts"]))

    def finish(self):
        """Wait for the source's end and stop everything; return the last view."""
        view = self.until(lambda view: view["source"]["ended"])
        self.close()
        return view

    def close(self):
        self.worker.stop()
        if self.feed is not None:
            self.feed.kill()
            self.feed.wait()
        if self.bus.process is not None and self.bus.process.poll() is None:
            self.bus.process.send_signal(signal.SIGCONT)
            self.bus.stop()

    # --- faults -------------------------------------------------------------------------------------------------------

    def end_bus(self, number):
        self.bus.process.send_signal(number)
        self.bus.process.wait()

    def empty_bus(self):
        """Let the bus die and come back with nothing."""
        self.end_bus(signal.SIGKILL)
        shutil.rmtree(self.paths.valkey / "bus")
        self.bus.start()

    def bus_with(self, *options):
        """Start the bus with other options than its configuration's."""
        command = [*valkey_command(self.paths, "bus"), *options]
        self.bus.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in ("feed", "relay", "web"):
            setattr(self.bus, name, connect(self.paths, name))

    def steer(self, action):
        event = envelope("FeedControl", "web", FeedControl(action=action, actor="test"), time.time_ns())
        publish(self.bus.relay, CONTROL_FEED, event)

    def release(self, reason="seen"):
        code = made.code(self.paths, "ann")
        return self.worker.ask(op="release", user="ann", password=PASSWORD, code=code, reason=reason)

    # --- findings -----------------------------------------------------------------------------------------------------

    def records(self, *types):
        found = JournalReader(self.paths.journal / "execution").read()
        return [decode_payload(record.type, record.payload) for record in found if record.type in types]

    def twice(self):
        """Return how many orders were intended or executions booked more than once."""
        intents = Counter(order.order_id for order in self.records("OrderEvent") if order.state == "INTENT")
        fills = Counter(fill.execution_id for fill in self.records("FillEvent"))
        return sum(count - 1 for count in [*intents.values(), *fills.values()])

    def chain_ok(self):
        return verify(self.paths.journal / "execution").ok

    def rules(self):
        """Return the rules of the alerts, in the order in which each first came."""
        return list(dict.fromkeys(alert.rule for alert in self.records("RiskAlert")))

    def states(self):
        """Return the trading states in their order."""
        found = [event.state for event in self.records("StateEvent")]
        return [state for state, before in zip(found, [None, *found], strict=False) if state != before]

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from events import bus, embedded
from events.codec import encode_payload, envelope
from events.journal import JournalWriter
from events.paths import DataPaths
from events.streams import CONTROL_AUDIT
from events.types import (
    AccountEvent,
    Bar,
    BrokerEvent,
    Denial,
    FillEvent,
    MarketSlice,
    OrderEvent,
    SignalEvent,
    TradeEvent,
)
from tests.recorder import held_round

ROOT = Path(__file__).resolve().parents[2]
MINUTE = 60_000_000_000
PATIENCE_S = 60


def minute_bar(number: int, symbol: str = "AAPL") -> Bar:
    return Bar(
        feed="test",
        symbol=symbol,
        open_ns=number * MINUTE,
        interval_s=60,
        open=10.0,
        high=12.0,
        low=9.0,
        close=11.0,
        volume=100.0,
        close_ns=(number + 1) * MINUTE,
        exchange="XNYS",
        data_source="test",
    )


def order(number: int, state: str, filled: int = 0, denials: tuple[Denial, ...] = ()) -> OrderEvent:
    return OrderEvent(
        engine_ns=(number + 1) * MINUTE,
        order_id=f"o{number:06d}",
        state=state,
        symbol="AAPL",
        side="BUY",
        lots=10,
        filled_lots=filled,
        type="MARKET",
        limit_ticks=None,
        stop_ticks=None,
        time_in_force="DAY",
        expires_ns=None,
        lots_by_strategy={"momentum": 7, "bullish": 3, "bearish": 0},
        expected_price=11.0,
        denials=list(denials),
    )


def step(number: int) -> list:
    """What the worker journals for one slice in which an order is made and filled."""
    at = (number + 1) * MINUTE
    payloads = [
        ("MarketSlice", MarketSlice(feed="test", position=f"{number}-0", close_ns=at, bars=[minute_bar(number)])),
        (
            "SignalEvent",
            SignalEvent(
                engine_ns=at,
                strategy="momentum",
                symbol="AAPL",
                interval_s=60,
                target=0.5,
                previous_target=0.0,
                score=0.75,
                features={"return_20": 0.1},
                stance_multiplier=1.0,
                calibrator="uncalibrated",
                outcomes=3,
            ),
        ),
        ("OrderEvent", order(number, "INTENT")),
        (
            "BrokerEvent",
            BrokerEvent(broker="paper", order_id=f"o{number:06d}", kind="ACCEPTED", broker_ns=at, reason=""),
        ),
        (
            "FillEvent",
            FillEvent(
                broker="paper",
                execution_id=f"e{number}",
                order_id=f"o{number:06d}",
                broker_ns=at,
                symbol="AAPL",
                side="BUY",
                lots=10,
                price_micro=11_250_000,
                fee_micro=11_000,
                reference_price=11.0,
            ),
        ),
        ("OrderEvent", order(number, "FILLED", 10)),
        (
            "TradeEvent",
            TradeEvent(
                engine_ns=at,
                execution_id=f"e{number}",
                order_id=f"o{number:06d}",
                symbol="AAPL",
                side="BUY",
                lots=10,
                quantity=10.0,
                price=11.25,
                fee_micro=11_000,
                slippage=2.5,
                lots_by_strategy={"momentum": 7, "bullish": 3, "bearish": 0},
                crossed_lots=0,
                realised={"momentum": -0.0077, "bullish": -0.0033},
            ),
        ),
        (
            "AccountEvent",
            AccountEvent(
                engine_ns=at,
                cash_micro=999_887_489_000,
                fees_micro=11_000,
                equity=1_000_000.0 - number,
                gross=112.5,
                net=112.5,
                realised=-0.011,
                unrealised=0.0,
                high_water=1_000_000.0,
                drawdown=number / 1_000_000.0,
                day_pnl=-float(number),
                strategies={"momentum": -1.0},
                units={"momentum": 1_000_000.0},
            ),
        ),
    ]
    return [
        (kind, "engine", 0.5 if kind == "SignalEvent" else None, None, encode_payload(item)) for kind, item in payloads
    ]


class Station:
    """A data directory with a real bus, a journal for the worker's part, and recorders to start and kill."""

    def __init__(self, root: Path) -> None:
        self.paths = DataPaths(root)
        self.server: subprocess.Popen | None = None
        self.recorder: subprocess.Popen | None = None
        self.published = self.told = 0
        self.steps = 0
        self._execution: JournalWriter | None = None

    def start_bus(self) -> None:
        self.server = subprocess.Popen(embedded.valkey_command(self.paths, "bus"), stdout=subprocess.DEVNULL)
        bus.connect(self.paths, "status", deadline_s=PATIENCE_S).close()

    def stop_bus(self, number: int = signal.SIGTERM) -> None:
        self.server.send_signal(number)
        self.server.wait(timeout=PATIENCE_S)

    def start_recorder(self) -> subprocess.Popen:
        self.recorder = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "recorder", "--data-dir", str(self.paths.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.recorder

    def stop_recorder(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.recorder.send_signal(number)
        out, err = self.recorder.communicate(timeout=PATIENCE_S)
        code, self.recorder = self.recorder.returncode, None
        return code, out, err

    def publish(self, bars: int) -> None:
        feed = bus.connect(self.paths, "feed", deadline_s=PATIENCE_S)
        entries = []
        for _ in range(bars):
            number = self.published
            self.published += 1
            event = envelope("MarketEvent", "feed", minute_bar(number), number)
            entries.append(("market.test", f"{self.published}-0", event))
        bus.publish_many(feed, entries)
        feed.close()

    def hold_round(self) -> None:
        """Tell of a whole round, as the relay does."""
        relay = bus.connect(self.paths, "relay", deadline_s=PATIENCE_S)
        events = [envelope(type(payload).__name__, agent, payload, self.told) for agent, payload in held_round.told()]
        bus.publish_many(relay, [(CONTROL_AUDIT, "*", event) for event in events])
        relay.close()
        self.told += len(events)

    def work(self, steps: int) -> None:
        if self._execution is None:
            self._execution = JournalWriter(self.paths.journal / "execution", "execution", "run")
        for _ in range(steps):
            self._execution.append(step(self.steps))
            self.steps += 1
        self._execution.sync()

    def metrics(self) -> dict[str, float]:
        client = bus.connect(self.paths, "status", deadline_s=PATIENCE_S)
        found = client.get("status.recorder")
        client.close()
        status = json.loads(found) if found else {"pid": -1}
        return status["metrics"] if status["pid"] == self.recorder.pid else {}

    def caught_up(self) -> dict[str, float]:
        """Wait until the recorder beats that both journals are projected and no entry of the bus waits."""
        until, seen = time.monotonic() + PATIENCE_S, {}
        while time.monotonic() < until:
            assert self.recorder.poll() is None, self.recorder.communicate()
            seen = self.metrics()
            if (
                seen.get("projected_seq") == self.steps * 8 - 1
                and seen["market_lag"] == seen["lag_records"] == seen["station_lag_records"] == 0
                and seen["journal_seq"] >= self.published + self.told - 1
            ):
                return seen
            time.sleep(0.05)
        raise AssertionError(f"the recorder did not catch up: {seen}")

    def close(self) -> None:
        for process in (self.recorder, self.server):
            if process is not None and process.poll() is None:
                process.kill()
                process.communicate()
        if self._execution is not None:
            self._execution.close()


@pytest.fixture
def station(short_dir):
    found = Station(short_dir)
    found.start_bus()
    yield found
    found.close()

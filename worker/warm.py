"""Everything compiled before the first tick, and compiled elsewhere: the compiler's memory never enters the worker."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine import gate
from engine.configuration import Configuration, Source, load_settings
from engine.output import Output
from events.children import bound_to_us
from events.types import Bar, BrokerEvent, ControlEvent, MarketSlice, OrderEvent
from market.instruments import Instrument
from worker.fingerprint import sources_hash, sources_stamp
from worker.machine import Machine

log = logging.getLogger(__name__)

MINUTES = 240  # the longest interval of the policies closes several times, and orders are decided and filled
OPEN_NS = 1_549_895_400_000_000_000  # a Monday's session in New York
MINUTE_NS = 60_000_000_000
SYMBOLS = ("ONE", "TWO")
COMPILE_S = 600.0


def warm_up() -> None:
    """Load everything compiled; where this cache does not hold it yet, let a child process compile it first.

    Raises
    ------
    OSError
        if the child could not compile.
    """
    cache = os.environ.get("NUMBA_CACHE_DIR")
    mark = None if cache is None else Path(cache) / f"warm-{sources_hash()[:16]}-{sources_stamp()[:16]}"
    if mark is None or not mark.exists():
        log.info("compiling the engine: this happens once for each version", extra={"event_type": "compile"})
        done = subprocess.run(
            bound_to_us([sys.executable, "-m", "worker.warm"]),
            check=False, capture_output=True, text=True, timeout=COMPILE_S,
        )  # fmt: skip
        if done.returncode:
            raise OSError(f"the engine does not compile: {done.stderr[-2000:]}")
        if mark is not None:
            mark.touch()
    rehearse()


def rehearse() -> int:
    """Trade a made-up hour in memory and forget it; return how many orders it made."""
    machine = Machine()
    machine.step(_control("configure", msgspec.json.encode(_configuration())))
    machine.step(_control("reconciled", b"null"))
    orders = 0
    for minute, market in enumerate(_market()):
        machine.step(Output("MarketSlice", "rehearsal", market))
        if minute == MINUTES - 10:
            _seldom(machine)
        for order in list(machine.intents.values()):
            orders += 1
            machine.step(Output("BrokerEvent", "paper", _accepted(order)))
    machine.snapshot()
    if machine.engine is not None:
        machine.engine.view()
    return orders


def _seldom(machine: Machine) -> None:
    """Do what seldom happens and must not wait for a compiler then: a flatten's gate, a limit's price, a bust."""
    engine = machine.in_force()
    gate.judge(engine.state, 0, {}, engine.now_ns)
    gate.price_denials(engine.state, 0, 1, 10_000, engine.now_ns)
    booked = [each for order in engine.state.closed_orders.values() for each in order.booked.values()]
    if booked:
        fill = booked[0].fill
        bust = msgspec.structs.replace(fill, execution_id="bust", kind="BUST", amends=fill.execution_id)
        machine.step(Output("FillEvent", "paper", bust))


def _control(action: str, content: bytes) -> Output:
    event = ControlEvent(
        action=action,  # type: ignore[arg-type]
        scope="all",
        target="",
        actor="rehearsal",
        reason="rehearsal",
        request_id=action,
        content=msgspec.Raw(content),
    )
    return Output("ControlEvent", "rehearsal", event)


def _accepted(order: OrderEvent) -> BrokerEvent:
    return BrokerEvent(broker="paper", order_id=order.order_id, kind="ACCEPTED", broker_ns=order.engine_ns)


def _configuration() -> Configuration:
    instruments = [
        Instrument(
            symbol=symbol, asset_class="equity", exchange="XNYS", calendar="XNYS", currency="USD", tick=0.01,
        )
        for symbol in SYMBOLS
    ]  # fmt: skip
    source = Source(feed="rehearsal", label="SIMULATED", detail="rehearsal", interval_s=60, waits=False)
    return Configuration(version=1, mode="PAPER", settings=load_settings(), instruments=instruments, source=source)


def _market() -> Iterator[MarketSlice]:
    """Yield minutes of a saw-tooth market whose swings and trends make every policy act."""
    price, noise = 100.0, 1
    for minute in range(MINUTES):
        noise = (noise * 1_103_515_245 + 12_345) % 2_147_483_648
        step = (noise / 2_147_483_648 - 0.5) * 0.01 + (0.002 if minute // 40 % 2 else -0.0015)
        opened, price = price, round(price * (1.0 + step), 2)
        open_ns = OPEN_NS + minute * MINUTE_NS
        bars = [
            Bar(
                feed="rehearsal", symbol=symbol, open_ns=open_ns, interval_s=60, open=opened, high=max(opened, price),
                low=min(opened, price), close=price, volume=100_000.0, close_ns=open_ns + MINUTE_NS,
            )
            for symbol in SYMBOLS
        ]  # fmt: skip
        last = minute == MINUTES - 1
        yield MarketSlice(
            feed="rehearsal", position=f"{minute + 1}-0", close_ns=open_ns + MINUTE_NS, bars=bars, ended=last
        )


if __name__ == "__main__":
    rehearse()

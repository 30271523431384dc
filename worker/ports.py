"""What the worker's logic reaches the world through: clock, disk, bus and broker. A simulation passes its own."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.configuration import Configuration
from engine.engine import Engine
from events.bus import Entry
from events.ports import SYSTEM_CLOCK, SYSTEM_DISK, Clock, Disk
from worker.brokers import open_broker
from worker.brokers.port import Broker
from worker.fingerprint import fingerprint
from worker.keeper import Told

OpenBroker = Callable[[Configuration, Engine], Broker]


class Bus(Protocol):
    """What the loop asks of the bus; every method says by its answer whether the bus took part (worker/link.py)."""

    reconnects: int

    def read(self, positions: Mapping[str, str], *, count: int, block_ms: int | None) -> list[Entry]: ...
    def last_ids(self, streams: list[str]) -> dict[str, str] | None: ...
    def tell(self, outbox: deque[Told], positions: Mapping[str, str], view: bytes | None = None) -> bool: ...
    def send(self, told: Told) -> bool: ...
    def beat(self, metrics: Mapping[str, float]) -> None: ...


@dataclass(frozen=True)
class Ports:
    """The machine's own, unless a simulation says otherwise; the bus is given to the loop."""

    clock: Clock = SYSTEM_CLOCK
    disk: Disk = SYSTEM_DISK
    open_broker: OpenBroker = open_broker
    fingerprint: Callable[[], dict[str, str]] = fingerprint


SYSTEM = Ports()

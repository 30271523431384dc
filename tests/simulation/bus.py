"""A bus in memory that goes away, is emptied, loses answers; and the relay behind it that repeats itself."""

from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from events.bus import Entry, order
from events.streams import CONTROL_WORKER
from tests.simulation.world import SECOND_NS, World
from worker.keeper import Told


class SimulatedBus:
    """The port ``worker.ports.Bus``; it outlives the worker."""

    def __init__(self, world: World, hello: Callable[[], None], acknowledged: Callable[[str], None]) -> None:
        self.world = world
        self.reconnects = 0
        self.away = False
        self.emptied = False
        self.entries = 0
        self.stall_ns = SECOND_NS  # the scale of the pauses in which the thread is not woken
        self.told: dict[str, bytes] = {}
        self._hello, self._acknowledged = hello, acknowledged
        self._streams: dict[str, list[Entry]] = {}
        self._last: dict[str, tuple[int, int]] = {}

    # --- who writes to it ---------------------------------------------------------------------------------------------

    def add(self, stream: str, event: bytes, entry_id: str = "") -> str:
        """XADD: an id that is not above the last one is refused, ``*`` never is."""
        last = self._last.get(stream, (0, 0))
        if not entry_id:
            now = (self.world.wall_ns + self.world.mono_ns) // 1_000_000
            made = (now, 0) if now > last[0] else (last[0], last[1] + 1)
        else:
            made = order(entry_id)
        assert made > last
        self._last[stream] = made
        self._streams.setdefault(stream, []).append(Entry(stream, f"{made[0]}-{made[1]}", event))
        self.entries += 1
        return f"{made[0]}-{made[1]}"

    def empty(self) -> None:
        """Come back without anything, as a server whose data is gone."""
        self._streams.clear()
        self._last.clear()
        self.emptied = True

    # --- the port -----------------------------------------------------------------------------------------------------

    def read(self, positions: Mapping[str, str], *, count: int, block_ms: int | None) -> list[Entry]:
        self.world.call("bus", "read")
        if self.away:
            self._wait((block_ms or 1) * 1_000_000)
            return []
        found = self._after(positions, count)
        if not found and block_ms:
            self._wait(block_ms * 1_000_000)
            self.world.call("bus", "read")
            found = [] if self.away else self._after(positions, count)
        return found

    def last_ids(self, streams: list[str]) -> dict[str, str] | None:
        self.world.call("bus", "last_ids")
        if self.away:
            return None
        return {stream: "{}-{}".format(*self._last.get(stream, (0, 0))) for stream in streams}

    def tell(self, outbox: deque[Told], _positions: Mapping[str, str], view: bytes | None = None) -> bool:
        self.world.call("bus", "tell")
        if self.away:
            self.reconnects += 1
            return False
        batch = list(outbox)[:1000]
        for told in batch:
            self._take(told)
        if view is not None:
            msgspec.json.decode(view)
        if not self.world.calm and self.world.rng.random() < 0.02:
            return False  # done, but the answer was lost
        for _ in batch:
            outbox.popleft()
        return True

    def send(self, _told: Told) -> bool:
        self.world.call("bus", "send")
        if self.away:
            return False
        self._hello()
        return True

    def beat(self, _metrics: Mapping[str, float]) -> None:
        self.world.call("bus", "beat")

    def _take(self, told: Told) -> None:
        self.told[told.id] = told.payload
        if told.type == "ControlAck":
            ack = msgspec.json.decode(told.payload)
            if ack["action"] == "kill" and ack["accepted"]:
                self._acknowledged(ack["request_id"])

    def _after(self, positions: Mapping[str, str], count: int) -> list[Entry]:
        found: list[Entry] = []
        for stream, position in positions.items():
            if self._last.get(stream, (0, 0)) > order(position):
                entries, after = self._streams[stream], order(position)
                first = next(i for i, entry in enumerate(entries) if order(entry.id) > after)
                most = count if self.world.calm else self.world.rng.choice((1, 3, count))
                found += entries[first : first + most]
        return found

    def _wait(self, longest_ns: int) -> None:
        """Let time pass to the next thing that happens; at times the thread is not woken for seconds."""
        world, coming = self.world, self.world.next_ns
        if world.calm:
            longest_ns = SECOND_NS // 2
        elif world.rng.random() < 0.003:
            world.mono_ns += world.rng.randrange(5 * self.stall_ns if world.rng.random() < 0.9 else 40 * SECOND_NS)
            return
        left = longest_ns if coming is None else min(longest_ns, max(coming - world.mono_ns, 0))
        world.mono_ns += left


def relayed(bus: SimulatedBus, event: bytes) -> Callable[[], None]:
    """Return what puts a control event on the bus, at times twice: the relay marks its row after it has sent."""

    def act() -> None:
        if bus.away:
            bus.world.at(bus.world.mono_ns + SECOND_NS // 2, "relay tries again", act)
            return
        for _ in range(1 if bus.world.calm or bus.world.rng.random() > 0.2 else 2):
            bus.add(CONTROL_WORKER, event)

    return act

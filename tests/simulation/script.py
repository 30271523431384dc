"""What a seed brings: bars, people, and the failures of everything around the worker."""

import random
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import artefacts
from audit.ring import KeyRing
from engine.configuration import Configuration
from events.codec import envelope
from events.streams import REQUEST_KILL, market_stream
from events.types import ControlEvent, FeedEnd, ModelEvent
from tests.simulation import invariants
from tests.simulation.bus import relayed
from tests.simulation.market import FEED, STEP_NS, Sent, closes, configuration
from tests.simulation.world import SECOND_NS, Ambush
from worker.approvals import PURPOSE, Gate, sign
from worker.kill import Kill, Scope, word

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

STREAM = market_stream(FEED)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RING = KeyRing.of_one(KEY.public_key(), PURPOSE)
RING.entries += KeyRing.of_one(KEY.public_key(), artefacts.PURPOSE).entries
GATE = Gate(lambda: RING)
CALM_S = 75  # at the end: two reconciliations, and the latest fill
POINTS = (
    ("disk", "pwrite"), ("disk", "fdatasync"), ("disk", "stat"), ("disk", "rename"), ("broker", "submit"),
    ("broker", "submitted"), ("broker", "cancel"), ("bus", "read"), ("bus", "tell"), ("disk", "unlink"),
)  # fmt: skip
"""Port calls at which a person or a failure strikes."""
BEFORE_ORDERS = (
    ("disk", "intents"),
    ("disk", "pwrite"),
    ("broker", "submitted"),
    ("broker", "cancel"),
    ("disk", "rename"),
    ("disk", "unlink"),
)
"""Port calls after which an order may be about to leave: where a kill is most in a hurry."""


class Script:
    """Draws a seed's events; ``steps`` cuts the market short, to shrink a finding by hand."""

    def __init__(self, sim: "Simulation", chance: random.Random, steps: int | None) -> None:
        self.sim, self.chance = sim, chance
        self.counts: Counter[str] = Counter()
        self._asked: dict[str, str] = {}  # kills on the bus: request id to scope, until one is acknowledged or released
        self.symbols = chance.choice((2, 3))
        self.on_exchange = chance.random() < 0.65
        self.trouble = chance.choice((0.0, 0.5, 1.0, 2.0))
        self.segment_bytes = chance.choice((16_384, 65_536, 262_144))
        self.configuration = configuration(1, self.symbols, chance)
        self.sent: list[str] = []  # positions of the slices' ends
        self.over = False
        self.deleted_kill_file = False
        self._slices = chance.randrange(30, 70)
        self._pace_ns = int(chance.choice((0.02, 0.2, 1.0)) * SECOND_NS)
        self._market = list(closes(self._slices, self.symbols, chance, chance.choice((0.0, 0.02, 0.15))))[:steps]
        self.restart_ns = chance.randrange(self._pace_ns, SECOND_NS + self._pace_ns) // 2
        self._crashes = chance.choice((0, 2, 4, 8, 12))
        self._counter = 0
        self._trading_ends = self._market[-1].close_ns + 1  # the exchange fills nothing from this close on
        self._unsent: list[Sent] = []
        self._numbers = 0

    def begin(self) -> None:
        """Lay everything out in time."""
        world, start = self.sim.world, self.sim.world.mono_ns + SECOND_NS
        self.sim.bus.stall_ns = self._pace_ns
        for k, sent in enumerate(self._market):
            jitter = self.chance.randrange(self._pace_ns)
            world.at(start + k * self._pace_ns + jitter, f"slice {k + 1}", lambda sent=sent: self._send(sent))  # type: ignore[misc]
        end = start + len(self._market) * self._pace_ns
        acts = (
            (self._socket_kill, 1.0), (self._file_kill, 0.7), (self._bus_kill, 0.7), (self._release, 2.5),
            (self._tighten, 1.2), (self._pause, 0.6), (self._halt, 0.15), (self._snapshot, 2.5), (self._bus_away, 1.0),
            (self._bus_empty, 0.08), (self._disk_full, 0.3), (self._sync_fails, 0.6), (self._clock_back, 0.4),
            (self._model, 0.4), (self._foreign, 0.08), (self._garbage, 0.4),
        )  # fmt: skip
        kills = self.chance.random() < 0.5
        for act, rate in acts:
            if "kill" in act.__name__ and not kills:
                continue
            for _ in range(self._poisson(rate)):
                if self.chance.random() < 0.5:
                    world.at(start + self.chance.randrange(end - start), act.__name__, act)
                else:
                    port, name = self.chance.choice(BEFORE_ORDERS if "kill" in act.__name__ else POINTS)
                    left = self.chance.randrange(
                        1, 80 if name in {"pwrite", "fdatasync", "stat", "read", "tell"} else 8
                    )
                    world.ambushes.append(Ambush(port, name, left, act))
        if self.chance.random() < 0.35:
            self._trading_ends = self._market[-min(4, len(self._market))].close_ns
            world.at(end + SECOND_NS // 2, "a last kill", self._last_kill)
        world.at(end + SECOND_NS, "calm", self._calm)

    def next_crash(self) -> tuple[str, int]:
        """Return where this life ends: a port, and how many of its calls are left."""
        if self._crashes <= 0:
            return "", -1
        self._crashes -= 1
        port = self.chance.choice(
            ("any", "disk", "broker", "pwrite", "fdatasync", "intents", "submitted", "rename", "unlink", "clock")
        )
        most = {"any": 800, "clock": 2_000, "disk": 120, "broker": 100, "rename": 3, "unlink": 3}.get(port, 20)
        return port, self.chance.randrange(most) if self.chance.random() < 0.8 else self.chance.randrange(min(most, 12))

    def hello(self) -> None:
        """The relay answers the worker's hello with the configuration in force, some time later."""
        self._numbers += 1
        self._publish(configure(self.configuration, f"hello-{self._numbers}"), self.chance.randrange(SECOND_NS // 4))

    def repaired(self) -> None:
        """Somebody frees the disk between two starts, most of the time."""
        self.sim.disk.failing_syncs = 0
        if self.chance.random() < 0.7:
            self.sim.disk.full = False

    # --- the feed -----------------------------------------------------------------------------------------------------

    def _send(self, sent: Sent) -> None:
        self._unsent.append(sent)
        if self.sim.bus.away:
            return
        invariants.nothing_works_unknown(self.sim)
        for each in self._unsent:
            for kind, payload in each.entries:
                self._entry(kind, payload)
            self.sent.append(f"{self._counter}-0")
            if self.on_exchange:
                self.sim.exchange.trade(each.close_ns, each.prices, fills=each.close_ns < self._trading_ends)
        self._unsent.clear()

    def _entry(self, kind: str, payload: msgspec.Struct | bytes) -> None:
        self._counter += 1
        raw = payload if isinstance(payload, bytes) else envelope(kind, f"feed:{FEED}", payload, self._wall_ns)
        self.sim.bus.add(STREAM, raw, f"{self._counter}-0")

    @property
    def _wall_ns(self) -> int:
        return self.sim.world.wall_ns + self.sim.world.mono_ns

    # --- people -------------------------------------------------------------------------------------------------------

    def _kill(self, wanted: Scope | None = None) -> Kill:
        self._numbers += 1
        scopes: tuple[tuple[Scope, str], ...] = (
            ("all", ""), ("account", ""), ("strategy", "momentum"), ("strategy", "bullish"), ("symbol", "AAA"),
        )  # fmt: skip
        scope, target = (wanted, "") if wanted else self.chance.choice(scopes)
        return Kill(scope=scope, target=target, actor="person", reason="simulation", request_id=f"kill-{self._numbers}")

    def _socket_kill(self, kill: Kill | None = None) -> None:
        core = self.sim.core
        if core is None:
            return
        kill = kill or self._kill()
        made = core.switch.request(kill, "socket")
        self.sim.oracle.killed(word(kill.scope, kill.target), self.sim.world.steps, lasting=made.persisted)
        self.sim.calls.ask(lambda: core.canceled_by(kill.request_id))
        self._killed()

    def _last_kill(self) -> None:
        """Kill while orders work and the exchange hardly answers; nothing fills after it: all must be cancelled."""
        self.sim.exchange.trouble = 4.0
        self._socket_kill(self._kill("all"))

    def _file_kill(self) -> None:
        kill = self._kill()
        line = msgspec.json.encode(kill) + b"\n"
        if self.chance.random() < 0.2:
            kill, line = msgspec.structs.replace(kill, scope="all", target=""), b"stop it"
        self.sim.disk.written_by_another(self.sim.paths.kill_file, line)
        self.sim.oracle.killed(word(kill.scope, kill.target), self.sim.world.steps, lasting=True)
        self._killed()

    def _bus_kill(self) -> None:
        kill = self._kill()
        event = ControlEvent(
            action="kill", scope=kill.scope, target=kill.target, actor=kill.actor, reason=kill.reason,
            request_id=kill.request_id,
        )  # fmt: skip
        if not self.sim.bus.away:
            for _ in range(self.chance.choice((1, 1, 2))):
                self.sim.bus.add(REQUEST_KILL, envelope("ControlEvent", "web", event, self._wall_ns))
            self._asked[kill.request_id] = word(kill.scope, kill.target)
            self._killed()

    def _killed(self) -> None:
        self.counts["kills"] += 1
        if self.chance.random() < 0.3:
            after_ns = self.chance.randrange(SECOND_NS // 10, 3 * SECOND_NS)
            self.sim.world.at(self.sim.world.mono_ns + after_ns, "the kill file is deleted", self._delete_kill_file)

    def acknowledged(self, request_id: str) -> None:
        """Note that whoever asked for a kill by the bus was told that it stands."""
        scope = self._asked.pop(request_id, None)
        if scope is not None:
            self.sim.oracle.killed(scope, self.sim.world.steps, lasting=True)

    def _release(self) -> None:
        core, oracle = self.sim.core, self.sim.oracle
        if core is None:
            return

        def work() -> bool:
            oracle.releasing(self.sim.world.steps)
            done = not core.release("person", "simulation")
            oracle.released(done=done)
            if done:
                self._asked = {key: scope for key, scope in self._asked.items() if not core.machine.seen(key)}
            self.sim.world.note(f"release {'done' if done else 'refused'}")
            return done

        self.sim.calls.ask(work)

    def _delete_kill_file(self) -> None:
        """Somebody thinks that deleting the file releases; the journal knows better, if the kill has reached it."""
        core = self.sim.core
        if core is None or core.switch.requests or core.keeper.unsynced:
            return
        if self.sim.oracle.kills.keys() <= core.machine.killed and self.sim.paths.kill_file.is_file():
            self.sim.disk.removed_by_another(self.sim.paths.kill_file)

    def _tighten(self) -> None:
        version = self.configuration.version + 1
        self.configuration = configuration(version, self.symbols, self.chance)
        self._publish(configure(self.configuration, f"configure:{version}"), self.chance.randrange(3 * SECOND_NS))
        self.counts["limit changes"] += 1

    def _pause(self) -> None:
        self._act(self.chance.choice(("pause", "enable")), "strategy", self.chance.choice(("momentum", "bearish")))

    def _halt(self) -> None:
        self._act("halt", *self.chance.choice((("all", ""), ("symbol", "BBB"))))

    def _act(self, action: str, scope: str, target: str) -> None:
        self._numbers += 1
        event = ControlEvent(
            action=action, scope=scope, target=target, actor="person", reason="simulation",  # type: ignore[arg-type]
            request_id=f"{action}-{self._numbers}",
        )  # fmt: skip
        self._publish(event, self.chance.randrange(2 * SECOND_NS))

    def _model(self) -> None:
        self._numbers += 1
        event = ModelEvent(
            name="calibrators", version=self._numbers, outcome="failed", occurrence=f"refit:{self._numbers}",
            sha256="", effective_from_ns=self._market[0].close_ns + self._numbers * STEP_NS,
            content=msgspec.Raw(b"null"), reason="simulation",
        )  # fmt: skip
        self._publish(artefacts.signed(event, KEY), 0)

    def _garbage(self) -> None:
        self.sim.bus.add("control.worker", self.chance.choice((b"garbage", b"", b'{"type":"Nothing"}')))

    def _snapshot(self) -> None:
        core = self.sim.core
        if core is not None:
            self.sim.calls.ask(core.snapshot)
            self.counts["snapshots"] += 1

    # --- failures -----------------------------------------------------------------------------------------------------

    def _bus_away(self) -> None:
        self.sim.bus.away = True
        self.counts["bus away"] += 1
        self.sim.world.at(self.sim.world.mono_ns + self.chance.randrange(1, 5 * SECOND_NS), "bus back", self._bus_back)

    def _bus_back(self) -> None:
        self.sim.bus.away = False

    def _bus_empty(self) -> None:
        self.sim.bus.empty()
        self.counts["bus emptied"] += 1

    def _disk_full(self) -> None:
        self.sim.disk.full = True
        self.counts["disk full"] += 1

    def _sync_fails(self) -> None:
        self.sim.disk.failing_syncs = 1
        self.counts["failing syncs"] += 1

    def _clock_back(self) -> None:
        self.sim.world.wall_ns -= 3600 * SECOND_NS
        self.counts["clock set back"] += 1

    def _foreign(self) -> None:
        if self.on_exchange:
            self.sim.exchange.fill_for_another()
            self.counts["foreign fills"] += 1

    def _calm(self) -> None:
        """End the failures, send what is left and give the worker time to put everything right."""
        sim = self.sim
        self.over = sim.world.calm = True
        sim.world.crash_at, sim.world.ambushes = ("", -1), []
        sim.bus.away = sim.disk.full = False
        sim.disk.failing_syncs = 0
        if self._unsent:
            self._send(self._unsent.pop())
        if self.chance.random() < 0.5 and not self.on_exchange:
            self._entry("FeedEnd", FeedEnd(feed=FEED, bars=0, last_close_ns=self._market[-1].close_ns))
        sim.world.at(sim.world.mono_ns + CALM_S * SECOND_NS, "stop", self._stop)

    def _stop(self) -> None:
        if self.sim.loop is None:
            self.sim.world.at(self.sim.world.mono_ns + SECOND_NS, "stop", self._stop)
        else:
            self.sim.loop.stop()

    def _publish(self, event: ControlEvent | ModelEvent, after_ns: int) -> None:
        kind = type(event).__name__
        raw = envelope(kind, "controlroom", event, self._wall_ns)
        self.sim.world.at(self.sim.world.mono_ns + after_ns, f"relay: {kind}", relayed(self.sim.bus, raw))

    def _poisson(self, rate: float) -> int:
        count, left = 0, self.chance.expovariate(1.0)
        while left < rate:
            count += 1
            left += self.chance.expovariate(1.0)
        return count


def configure(given: Configuration, request_id: str) -> ControlEvent:
    """Return the event that brings a configuration, approved by two: some of them loosen limits."""
    event = ControlEvent(
        action="configure", scope="all", target="", actor="relay", reason="simulation", request_id=request_id,
        content=msgspec.Raw(msgspec.json.encode(given)),
    )  # fmt: skip
    signature = sign(event, KEY, approvers=["ada", "bob"], version=given.version, issued_ns=0)
    return msgspec.structs.replace(event, signature=signature)

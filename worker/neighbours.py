"""What the worker hears of what is around it: a process that falls silent is an alert, once, and so is its return.

It decides nothing about orders: symbols of a silent feed go stale by themselves, and what does not come is not traded.
"""

import time
from collections.abc import Callable
from typing import Any

from worker.core import Core
from worker.link import Link

BEATING = ("feed", "recorder", "relay", "signer")
"""Processes that beat on the bus once a second; one that has never beaten is none of this station's."""

BUS_AWAY_S = 3.0
CLOCK_JUMP_S = 1.0  # between two looks; keeping time in step moves a clock far less


class Neighbours:
    """Looks once a second.

    Parameters
    ----------
    beats : returns name to a process's last beat, None without a bus; a beat ends ten seconds after its process did.
    refused : returns what the bus said to the last write, "" where it took it.
    monotonic : seconds, for what has to last before it is told.
    """

    def __init__(
        self,
        core: Core,
        beats: Callable[[tuple[str, ...]], dict[str, dict[str, Any]] | None],
        refused: Callable[[], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = core
        self._beats = beats
        self._refused = refused
        self._monotonic = monotonic
        self._known: dict[str, dict[str, Any]] = {}
        self._down: set[str] = set()
        self._heard_bus = self._moved = monotonic()
        self._close_ns = 0
        self._wall_ahead = time.time() - self._moved

    @classmethod
    def of(cls, core: Core, link: Link) -> "Neighbours":
        """Listen to the beats on the worker's own bus connection."""
        return cls(core, link.beats, lambda: link.refused)

    def look(self) -> None:
        """Compare what beats with what has beaten, and alert of each difference once."""
        now, beats = self._monotonic(), self._beats(BEATING)
        if beats is None:
            self._change("bus", down=now - self._heard_bus >= BUS_AWAY_S, why=f"no answer for {BUS_AWAY_S:g} s")
        else:
            self._heard_bus = now
            self._change("bus", down=False)
            self._known |= beats
            for name in self._known:
                self._change(name, down=name not in beats, why="no beat for 10 s")
        self._refuses(self._refused())
        self._watch_clock(now)
        self._listen(now)

    def _refuses(self, said: str) -> None:
        """Tell of a bus that takes nothing: out of memory, or its disk is full."""
        if said and "refuses" not in self._down:
            self._down.add("refuses")
            self._core.alert("BUS_REFUSES", f"the bus takes nothing: {said}")
        elif not said and "refuses" in self._down:
            self._down.remove("refuses")
            self._core.alert("BUS_TAKES", "the bus takes what is sent again", "info")

    def _watch_clock(self, now: float) -> None:
        """Tell of a wall clock that was set: engine time is the market's, but the record's UTC times follow it."""
        before, self._wall_ahead = self._wall_ahead, time.time() - now
        if abs(self._wall_ahead - before) > CLOCK_JUMP_S:
            moved = f"{self._wall_ahead - before:+,.0f} s"
            self._core.alert("CLOCK_JUMP", f"the host's clock was set by {moved}", "warning")

    def _change(self, name: str, *, down: bool, why: str = "") -> None:
        if down and name not in self._down:
            self._down.add(name)
            self._core.alert("PROCESS_DOWN", f"{name} is down: {why}", "warning")
        elif not down and name in self._down:
            self._down.remove(name)
            self._core.alert("PROCESS_UP", f"{name} is back", "info")

    def _listen(self, now: float) -> None:
        """Tell of a feed from which nothing comes while the market is open."""
        machine = self._core.machine
        if machine.last_close_ns != self._close_ns:
            self._close_ns, self._moved = machine.last_close_ns, now
            if "market" in self._down:
                self._down.remove("market")
                self._core.alert("FEED_HEARD", "the feed sends again", "info")
        limit_s = self._limit_s()
        if limit_s is None or self._down & {"bus", "refuses"} or self._heard_bus != now:  # then no feed can be heard
            self._moved = now
        elif now - self._moved > limit_s and "market" not in self._down:
            self._down.add("market")
            self._core.alert("FEED_SILENT", f"nothing has come from the feed for {limit_s:g} s of an open market")

    def _limit_s(self) -> float | None:
        """Return how long an open market may be silent: two bars at the feed's speed and the age of a stale price."""
        machine, feed = self._core.machine, self._known.get("feed", {}).get("metrics", {})
        if machine.engine is None or machine.configuration is None or machine.ended or machine.waiting:
            return None
        phases = machine.engine.clock.phases.values()
        if not machine.last_close_ns or feed.get("paused") or not any(phase.name == "market" for phase in phases):
            return None
        speed = float(feed.get("speed", 1.0))
        bars_s = 2 * machine.configuration.source.interval_s / speed if speed > 0 else 0.0
        return bars_s + machine.configuration.settings.limits.stale_after_s

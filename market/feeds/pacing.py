"""How fast a replay goes: its speed, its pauses, and what a person asked of it on the bus."""

import math
from dataclasses import dataclass, field
from typing import Any

from events.bus import Entry
from events.codec import CodecError, decode_envelope, decode_payload
from events.types import FeedControl

SECOND_NS = 1_000_000_000
CLOSED_AFTER_NS = 3600 * SECOND_NS  # a gap longer than a bar and this is a closed market
CLOSED_WAIT_S = 1.0


def wait_s(previous_ns: int, close_ns: int, interval_s: int, speed: float) -> float:
    """Return how long to wait between two closes at ``speed`` times market time (infinite: not at all).

    What is missing is not waited for: a gap takes as long as one bar, a closed market at most a second.
    """
    if not math.isfinite(speed) or previous_ns == 0:
        return 0.0
    step_ns = max(0, close_ns - previous_ns)
    if step_ns > interval_s * SECOND_NS + CLOSED_AFTER_NS:
        return min(step_ns / SECOND_NS / speed, CLOSED_WAIT_S)
    return min(step_ns / SECOND_NS, float(interval_s)) / speed


@dataclass
class Pace:
    """The speed as it is now; ``steps`` slices may pass while paused."""

    speed: float
    paused: bool = False
    steps: int = 0
    position: str = field(default="0-0")

    @classmethod
    def of_run(cls, speed: Any) -> "Pace":
        """Return the pace of a run.json: a number, or "max"."""
        return cls(math.inf if speed in {"max", None, 0} else float(speed))

    @property
    def shown(self) -> float:
        """The speed as a metric: 0 is as fast as possible."""
        return self.speed if math.isfinite(self.speed) else 0.0

    def take(self, entry: Entry, *, live: bool) -> None:
        """Apply an entry of control.feed; a step counts only while ``live``: an old one has been taken already."""
        self.position = entry.id
        try:
            envelope = decode_envelope(entry.event)
            asked = decode_payload(envelope.type, envelope.payload)
        except CodecError:
            return
        if not isinstance(asked, FeedControl):
            return
        match asked.action:
            case "pause":
                self.paused = True
            case "resume":
                self.paused, self.steps = False, 0
            case "step":
                self.paused, self.steps = True, self.steps + int(live)
            case "speed":
                self.speed = asked.speed if asked.speed > 0.0 else math.inf

    def may_pass(self, left_s: float) -> bool:
        """Return whether the next slice, due in so many seconds, may go; while paused a step is taken for it."""
        if not self.paused:
            return left_s <= 0.0 or math.isinf(self.speed)
        if self.steps > 0:
            self.steps -= 1
            return True
        return False

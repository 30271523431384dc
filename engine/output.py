"""What a step of the engine says: records for the journal, intents among them."""

import math
import sys
from dataclasses import dataclass
from typing import Any

ENGINE = "engine"


def finite(value: float) -> float:
    """Return a number that JSON can carry: a record must never fail for what it has to tell."""
    if math.isnan(value):
        return sys.float_info.max
    return float(min(sys.float_info.max, max(-sys.float_info.max, value)))


@dataclass(frozen=True, slots=True)
class Output:
    """One record of type ``type`` by ``agent_id``; ``confidence`` is a probability or None."""

    type: str
    agent_id: str
    payload: Any
    confidence: float | None = None


def say(kind: str, payload: Any, agent_id: str = ENGINE, confidence: float | None = None) -> Output:
    """Return a record of the engine's own."""
    return Output(kind, agent_id, payload, confidence)

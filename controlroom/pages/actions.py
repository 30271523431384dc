"""What the pages' forms change: the replay's pace, nothing of the trading."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from controlroom.access.permissions import named
from events.actions import put
from events.models import Outbox
from events.streams import CONTROL_FEED
from events.types import FeedControl

SPEEDS = ("1", "10", "60", "120", "600", "3000", "max")
ACTIONS = ("pause", "resume", "step", "speed")


class ReplayInputError(ValueError):
    """One sentence: the field, the value, what is allowed."""


@transaction.atomic
def control_replay(*, actor: Any, action: str, speed: str = "") -> Outbox:
    """Ask the feed to pause, go on, step one slice or change its speed; return the request.

    Raises
    ------
    PermissionDenied
        if the person may not.
    ReplayInputError
        if the action or the speed is none of the table.
    """
    if not actor.has_perm(named("control_replay")):
        raise PermissionDenied(f"{actor.get_username()} may not control the replay")
    if action not in ACTIONS:
        raise ReplayInputError(f"action {action!r} is unknown; allowed are {', '.join(ACTIONS)}")
    if action == "speed" and speed not in SPEEDS:
        raise ReplayInputError(f"speed {speed!r} is not offered; allowed are {', '.join(SPEEDS)}")
    name = actor.get_username()
    factor = 0.0 if speed in {"", "max"} else float(speed)
    return put(stream=CONTROL_FEED, payload=FeedControl(action=action, actor=name, speed=factor), actor=name)  # type: ignore[arg-type]  # checked above

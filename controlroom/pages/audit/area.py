"""Which part of the record a person may see: all of it, or the events of their own strategies and of tournaments."""

from typing import Any

from agents.selectors import strategies_of
from controlroom.access.permissions import named
from events.tournament import TYPES
from market.store.port import EventScope

TOURNAMENT_TYPES = tuple(TYPES)
"""Event types of tournaments, under the source document's names."""


def area_of(user: Any) -> EventScope | None:
    """Return what a person's searches are limited to; None is everything, an empty scope nothing."""
    if user.has_perm(named("view_whole_audit")):
        return None
    types = TOURNAMENT_TYPES if user.has_perm(named("view_tournament_audit")) else ()
    return EventScope(agents=tuple(strategies_of(user)), types=types)


def holds(area: EventScope | None, *, agent_id: str, event_type: str) -> bool:
    """Return whether an event lies in an area."""
    return area is None or agent_id in area.agents or event_type in area.types


def in_words(area: EventScope | None) -> str:
    """Return an area as a page says it."""
    if area is None:
        return "all events"
    parts = [f"events of your strategies ({', '.join(area.agents)})"] if area.agents else []
    parts += ["tournament events"] if area.types else []
    return " and ".join(parts) or "nothing"

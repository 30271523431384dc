"""Who may follow which topic."""

from typing import Any

from controlroom.access.permissions import named
from controlroom.live.documents import is_topic

PERMISSIONS = {
    "overview": "view_overview",
    "strategy": "view_overview",
    "market": "view_market",
    "positions": "view_positions",
    "orders": "view_orders",
    "risk": "view_risk",
    "system": "view_system",
}
"""Kind of topic to the permission that its page asks for; the header is for whoever may see any of them."""


def may_see(user: Any, topic: str) -> bool:
    """Return whether this person may follow a topic."""
    if not is_topic(topic) or not user.is_authenticated or not user.is_active:
        return False
    kind = topic.partition(".")[0]
    if kind == "header":
        return any(user.has_perm(named(permission)) for permission in PERMISSIONS.values())
    return bool(user.has_perm(named(PERMISSIONS[kind])))

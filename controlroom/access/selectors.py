"""Reads about people."""

from typing import Any

from controlroom.access.models import User
from controlroom.access.permissions import PERMISSIONS, ROLES, named


def roles_of(user: Any) -> tuple[str, ...]:
    """Return a person's roles, in the table's order."""
    if not user.is_authenticated:
        return ()
    held = set(user.groups.values_list("name", flat=True))
    return tuple(role for role in ROLES if role in held)


def flags_of(user: Any) -> dict[str, bool]:
    """Return ``may_CODENAME`` for every permission of the table."""
    return {f"may_{codename}": user.has_perm(named(codename)) for codename in PERMISSIONS}


def people() -> list[User]:
    """Return everybody, by name, with their roles loaded."""
    return list(User.objects.order_by("username").prefetch_related("groups"))

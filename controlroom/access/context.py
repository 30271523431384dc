"""What every template may ask: ``theme``, and of the person ``user_name``, ``roles``, ``may_*`` of permissions.py."""

from django.http import HttpRequest

from controlroom.access.selectors import flags_of, roles_of
from controlroom.access.theme import theme_of


def person(request: HttpRequest) -> dict[str, object]:
    """Return the person's name, roles and flags, ``manages_people`` among them; all empty without a login."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"user_name": "", "roles": (), "manages_people": False, "theme": theme_of(request)}
    return {
        "theme": theme_of(request),
        "user_name": user.get_username(),
        "roles": roles_of(user),
        "manages_people": user.has_perm("access.change_user"),
        **flags_of(user),
    }

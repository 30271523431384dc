"""Who may use which route: every route of urls.py by name. A route that is not here answers nobody."""

from dataclasses import dataclass
from typing import Literal

from controlroom.access.permissions import named


@dataclass(frozen=True)
class Rule:
    """What a route asks for: nothing, a login, the signed kill cookie, being superuser, a permission, or a token.

    "token": the route looks at the request's token by itself (controlroom/api/door.py), and at no session.
    """

    kind: Literal["anyone", "signed in", "kill cookie", "superuser", "permission", "token"]
    permission: str = ""


ANYONE, SIGNED_IN, KILL_COOKIE, SUPERUSER = Rule("anyone"), Rule("signed in"), Rule("kill cookie"), Rule("superuser")
TOKEN = Rule("token")


def holding(codename: str) -> Rule:
    """Return the rule that asks for a permission of permissions.py."""
    return Rule("permission", named(codename))


ROUTES: dict[str, Rule] = {
    "favicon": ANYONE,
    "healthz": ANYONE,
    "login": ANYONE,
    "logout": SIGNED_IN,
    "first-password": SIGNED_IN,
    "kill": KILL_COOKIE,
    "release": holding("release_kill"),
    "one-time-codes": SIGNED_IN,
    "step-up": SIGNED_IN,
}
NAMESPACES: dict[str, Rule] = {"admin": SUPERUSER, "api": TOKEN}

WITH_ONE_TIME_PASSWORD = frozenset({"favicon", "healthz", "login", "logout", "first-password", "kill"})
"""All that a person may use before they have chosen a password of their own."""


def rule_for(view_name: str) -> Rule | None:
    """Return a route's rule, None for one that nobody listed."""
    from controlroom.pages.access import ROUTES as PAGES  # noqa: PLC0415 - the pages name the rules of this module

    space = view_name.partition(":")[0] if ":" in view_name else ""
    return ROUTES.get(view_name) or PAGES.get(view_name) or NAMESPACES.get(space)

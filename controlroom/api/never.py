"""What no token may do, whatever its scopes: asked for here, it is refused with the page that a person uses."""

from typing import NoReturn

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from ninja import Router

from controlroom.api.door import Token
from controlroom.api.problems import PAGE_ONLY

router = Router()
NEVER: dict[str, str] = {
    "/allocations/overrides": "allocation-act",
    "/allocations/deployments": "allocation-act",
    "/approvals": "approval-approve",
    "/release": "release",
    "/flatten": "act",
    "/operators": "operators",
    "/allocations/readmissions": "allocation-act",
    "/promotions": "tournament-evolution-promote",
    "/maintenance": "act",
}
"""Address to the page's route, whose permission the refusal names to who does not hold it either."""


def refuse(request: HttpRequest) -> NoReturn:  # noqa: ARG001 - ninja's
    """Refuse: it takes a person with password and one-time code."""
    raise PermissionDenied(PAGE_ONLY)


for address, page in NEVER.items():
    name = f"never-{address.strip('/').replace('/', '-')}"
    router.post(
        address, auth=Token(page), url_name=name, operation_id=name, summary=f"Refused: a person does it ({page})"
    )(refuse)

"""Changes of the configuration: each one a new complete version."""

import hashlib
from collections.abc import Callable

import msgspec
from django.core.exceptions import PermissionDenied
from django.db import transaction

from events.actions import in_turn, put
from events.actors import STATION, Actor
from events.streams import CONTROL_WORKER
from events.types import ControlEvent
from risk.models import ConfigurationVersion
from risk.selectors import current_configuration

Sign = Callable[[ControlEvent, int], str]
PERMISSION = "access.change_configuration"


@transaction.atomic
def create_configuration(
    *, build: Callable[[int], bytes], actor: Actor | None, reason: str, sign: Sign | None = None
) -> ConfigurationVersion:
    """Store the configuration that ``build(version)`` returns as JSON, unless it is the current one; return what holds.

    A person's change is sent to the worker; at the start (``actor`` None) the worker's own hello asks for it.
    ``sign(event, version)`` gives the signature of what people have approved; without it the worker takes no loosening.

    Raises
    ------
    PermissionDenied
        if the person may not change the configuration.
    """
    if actor is not None and not actor.has_perm(PERMISSION):
        raise PermissionDenied(f"{actor.get_username()} may not change the configuration; oversight may")
    in_turn()
    current = current_configuration()
    if current is not None and build(current.version).decode() == current.content:
        return current
    version = current.version + 1 if current else 1
    content = build(version)
    made = ConfigurationVersion.objects.create(
        version=version,
        content=content.decode(),
        sha256=hashlib.sha256(content).hexdigest(),
        actor=actor.get_username() if actor else STATION,
        reason=reason,
    )
    if sign is not None:
        made.signature = sign(_event(made, request_of(version)), version)
        made.save(update_fields=["signature"])
    if actor is not None:
        send_configuration(version=made, request_id=request_of(version))
    return made


def request_of(version: int) -> str:
    """Return the request id with which a person's change goes to the worker."""
    return f"configure-{version}"


def send_configuration(*, version: ConfigurationVersion, request_id: str) -> None:
    """Promise this version to the worker, within the caller's transaction; the same request again changes nothing."""
    put(stream=CONTROL_WORKER, payload=_event(version, request_id), actor=version.actor, request_id=request_id)


def _event(version: ConfigurationVersion, request_id: str) -> ControlEvent:
    return ControlEvent(
        action="configure",
        scope="all",
        target="",
        actor=version.actor,
        reason=version.reason,
        request_id=request_id,
        content=msgspec.Raw(version.content.encode()),
        signature=version.signature,
    )

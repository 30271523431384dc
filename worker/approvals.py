"""What loosens carries the approvals key's signature: made after people have approved, verified before it is stepped.

Signed is canonical JSON (sorted keys) of action, scope, target, content, version, approvers, request_id and issued_ns.
A signature counts for exactly that content: a configuration's version binds it in order, and a release or a resumption
counts for one request within ten minutes, so that an old one repeated on the bus loosens nothing.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.errors import AuditError
from audit.ring import KeyRing, key_id
from engine.configuration import Configuration
from events.types import ControlEvent
from market.instruments import Instrument
from risk.limit_rules import loosened

PURPOSE = "approvals"
SIGNED = frozenset({"release", "resume_maintenance", "enable", "adopt", "flatten_external"})
"""Acts that need a signature whatever they hold; a configuration needs one where it loosens."""
FRESH_NS = 600 * 10**9


class Approved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The field ``signature`` of a ControlEvent, as JSON: who approved which request, and the key's word for it."""

    key: str
    approvers: list[str]
    request_id: str
    version: int  # of the configuration: the new one, or the one in force
    issued_ns: int
    signature: str


def signed_bytes(event: ControlEvent, approved: Approved) -> bytes:
    """Return what is signed; the bus's own fields (position, effective_from) are no part of it."""
    return msgspec.json.encode(
        {
            "action": event.action,
            "scope": event.scope,
            "target": event.target,
            "content": msgspec.json.decode(event.content),
            "version": approved.version,
            "approvers": approved.approvers,
            "request_id": approved.request_id,
            "issued_ns": approved.issued_ns,
        },
        order="sorted",
    )


def sign(event: ControlEvent, key: Ed25519PrivateKey, *, approvers: Sequence[str], version: int, issued_ns: int) -> str:
    """Return the signature of an event that these people have approved, for its field ``signature``."""
    approved = Approved(
        key=key_id(key.public_key()), approvers=list(approvers), request_id=event.request_id, version=version,
        issued_ns=issued_ns, signature="",
    )  # fmt: skip
    made = base64.b64encode(key.sign(signed_bytes(event, approved))).decode()
    return msgspec.json.encode(msgspec.structs.replace(approved, signature=made)).decode()


class Gate:
    """Judges control events of the bus; ``ring`` gives the public keys as they are now, so that a rotation counts."""

    def __init__(self, ring: Callable[[], KeyRing]) -> None:
        self._ring = ring

    def refusal(self, event: ControlEvent, in_force: Configuration | None, now_ns: int) -> str:
        """Return why this event may not be stepped, "" if it may.

        Parameters
        ----------
        in_force : the worker's configuration; before the first one nothing can be loosened.
        now_ns : wall time, UTC nanoseconds.
        """
        if event.action == "configure":
            loose, version = _loosening(event, in_force)
            people = 1 if in_force is None else in_force.operators
            return self._judge(event, version, f"it loosens {', '.join(loose)}, and ", people) if loose else ""
        if event.action not in SIGNED:
            return ""
        why = self._judge(event, None, "")
        if why:
            return why
        approved = msgspec.json.decode(event.signature, type=Approved)
        if approved.request_id != event.request_id:
            return f"its signature is for request {approved.request_id}"
        if not -FRESH_NS <= now_ns - approved.issued_ns <= FRESH_NS:
            return "its signature is older than ten minutes"
        return ""

    def _judge(self, event: ControlEvent, version: int | None, because: str, people: int = 1) -> str:
        if not event.signature:
            return f"{because}nobody has signed it"
        try:
            approved = msgspec.json.decode(event.signature, type=Approved)
            ring = self._ring()
            current = ring.current(PURPOSE)
            if current is None or approved.key != current.key:
                return f"{because}key {approved.key[:16]!r} is not the approvals key in force"
            ring.keys[current.key].verify(base64.b64decode(approved.signature), signed_bytes(event, approved))
        except (msgspec.DecodeError, InvalidSignature, ValueError):
            return f"{because}its signature does not hold"
        except (AuditError, OSError) as error:
            return f"{because}the key ring cannot be read ({error})"
        if version is not None and approved.version != version:
            return f"{because}its signature is for version {approved.version}"
        count = len(set(approved.approvers))
        return "" if count >= people else f"{because}{count} of {people} people have approved it"


def _loosening(event: ControlEvent, in_force: Configuration | None) -> tuple[list[str], int]:
    """Return what a configuration loosens against the one in force, and its version; nothing where it is refused."""
    try:
        given = msgspec.json.decode(event.content, type=Configuration)
    except msgspec.DecodeError:
        return [], 0  # the machine refuses it, with the field's name
    if in_force is None or given.version <= in_force.version:
        return [], given.version
    return loosening(in_force, given), given.version


def loosening(before: Configuration, after: Configuration) -> list[str]:
    """Return what is looser in ``after``: limits by name, the mode, the operators, and whatever limits hang on.

    Fractions of equity hang on the account's money, breakers on the detector's settings, the guard of the disk on its
    thresholds, and the checks of a symbol on what its instrument says.
    """
    found = loosened(before.settings.limits, after.settings.limits)
    modes: tuple[Any, Any] = (before.mode, after.mode)
    if modes[0] == "PAPER" and modes[1] != "PAPER":
        found.append("mode")
    if after.operators < before.operators:
        found.append("operators")
    old, new = before.settings, after.settings
    found += [name for name in ("account", "black_swan") if getattr(old, name) != getattr(new, name)]
    found += [
        f"disk.{name}" for name in old.disk.__struct_fields__ if getattr(new.disk, name) < getattr(old.disk, name)
    ]
    known = {instrument.symbol: instrument for instrument in before.instruments}
    return found + [
        f"instruments.{each.symbol}" for each in after.instruments if _looser(known.get(each.symbol, each), each)
    ]


def _looser(before: Instrument, after: Instrument) -> bool:
    """Whether an instrument may be traded in a way, at a time or at a price at which it might not before."""
    moved = (before.calendar, before.tick) != (after.calendar, after.tick)
    more = after.restricted < before.restricted or after.shortable > before.shortable
    return moved or more or after.tradable > before.tradable

"""What loosens carries the approvals key's signature: made after people have approved, verified before it is stepped.

Signed is canonical JSON (sorted keys) of action, scope, target, content, version, approvers, request_id and issued_ns.
A signature counts for exactly that content: a configuration's version binds it in order, and a release or a resumption
counts for one request within ten minutes, so that an old one repeated on the bus loosens nothing. A start signs for
itself what settings.toml may change (weights, costs, routing, ...), and nothing that limits hang on. The tournament
signs for itself an allocation that gives no strategy more than a small step; beyond it people do. Fitted models carry
the models key's word, which no person gives (audit/artefacts.py).
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import artefacts
from audit.errors import AuditError
from audit.ring import KeyRing, key_id
from engine.allocation import Allocation, large
from engine.configuration import Configuration
from events.types import ControlEvent, ModelEvent
from market.instruments import Instrument
from risk.limit_rules import loosened

PURPOSE = "approvals"
EMPTY: Mapping[str, float] = MappingProxyType({})
SIGNED = frozenset({"release", "resume_maintenance", "enable", "adopt", "flatten_external", "allocate"})
"""Acts that need a signature whatever they hold; a configuration needs one where it loosens."""
FRESH_NS = 600 * 10**9
START = "start"
"""The approver of what a start of the station changes by its settings file."""
TOURNAMENT = "tournament"
"""The approver of an allocation that a round has decided."""
OF_THE_SOURCE = ("exchange", "asset_class", "currency", "lot_numerator", "lot_denominator", "volume_unit")
"""Fields of an instrument that another source may name otherwise: at which fee, in which money and steps it trades."""
OF_THE_FILE = ("costs", "orders", "execution", "routing", "strategies")
"""Sections of the settings of which any change needs a signature, though a start may give it."""


class Approved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The field ``signature`` of a ControlEvent, as JSON: who approved which request, and the key's word for it."""

    key: str
    approvers: list[str]
    request_id: str
    version: int  # of the configuration: the new one, or the one in force; of an allocation its own
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


class Used(NamedTuple):
    """The allocation that the engine goes by, and the instant of its market, UTC nanoseconds."""

    allocation: Allocation
    market_ns: int


UNUSED = Used(Allocation(version=0, round_id="", weights={}), 0)


class Gate:
    """Judges control events of the bus; ``ring`` gives the public keys as they are now, so that a rotation counts."""

    def __init__(self, ring: Callable[[], KeyRing]) -> None:
        self._ring = ring

    def refusal(self, event: ControlEvent, in_force: Configuration | None, now_ns: int, used: Used = UNUSED) -> str:
        """Return why this event may not be stepped, "" if it may.

        Parameters
        ----------
        in_force : the worker's configuration; before the first one nothing can be loosened.
        now_ns : wall time, UTC nanoseconds.
        used : what each strategy may use of the capital, and until when.
        """
        if event.action == "configure":
            return self._configuration_refusal(event, in_force, used)
        if event.action not in SIGNED:
            return ""
        if event.action == "allocate":  # its version binds it in order: a station that was down takes it late
            return self._allocation_refusal(event, in_force, used) or _stale(event, None)
        return self._judge(event, None, "") or _stale(event, now_ns)

    def model_refusal(self, event: ModelEvent) -> str:
        """Return why the word of a fit may not be stepped, "" if it may."""
        try:
            return artefacts.refusal(event, self._ring())
        except (AuditError, OSError) as error:
            return f"the key ring cannot be read ({error})"

    def _allocation_refusal(self, event: ControlEvent, in_force: Configuration | None, used: Used) -> str:
        """Return why an allocation may not be stepped: a larger step takes as many people as a loosening."""
        try:
            given = msgspec.json.decode(event.content, type=Allocation)
        except msgspec.DecodeError as error:
            return f"allocation: {error}"
        if set(given.overrides) - set(given.weights):
            return "allocation: overrides name a strategy that weights do not"
        try:
            by_round = self._approved(event).approvers == [TOURNAMENT]
        except ValueError as error:
            return str(error)
        found = large(given, used.allocation, used.market_ns, by_round=by_round)
        because = f"it gives {', '.join(found)} more than one may give, and " if found else ""
        people = in_force.operators if found and in_force is not None else int(bool(found))
        return self._judge(event, given.version, because, people)

    def _configuration_refusal(self, event: ControlEvent, in_force: Configuration | None, used: Used) -> str:
        now, decided = used.allocation.at(used.market_ns), used.allocation.weights
        least = {name: min(share, decided.get(name, share)) for name, share in now.items()}
        found, version = _changes(event, in_force, least)
        if in_force is None or not any(found):
            return ""
        because = f"it {' and '.join(_told(*found))}, and "
        return self._judge(event, version, because, in_force.operators, by_start=not found[0])

    def _judge(
        self, event: ControlEvent, version: int | None, because: str, people: int = 1, *, by_start: bool = False
    ) -> str:
        try:
            approved = self._approved(event)
        except ValueError as error:
            return f"{because}{error}"
        if version is not None and approved.version != version:
            return f"{because}its signature is for version {approved.version}"
        if by_start and approved.approvers == [START]:
            return ""
        count = len(set(approved.approvers) - {START, TOURNAMENT})
        return "" if count >= people else f"{because}{count} of {people} people have approved it"

    def _approved(self, event: ControlEvent) -> Approved:
        """Return who approved exactly this event; a ValueError says why the signature is none."""
        if not event.signature:
            raise ValueError("nobody has signed it")
        try:
            approved, ring = msgspec.json.decode(event.signature, type=Approved), self._ring()
        except (msgspec.DecodeError, ValueError) as error:
            raise ValueError("its signature does not hold") from error
        except (AuditError, OSError) as error:
            raise ValueError(f"the key ring cannot be read ({error})") from error
        if why := ring.refusal(PURPOSE, approved.key, approved.signature, signed_bytes(event, approved)):
            raise ValueError(why)
        return approved


def _stale(event: ControlEvent, now_ns: int | None) -> str:
    """Return why a signature that holds is for another request, or too old where that counts; "" if it is neither."""
    approved = msgspec.json.decode(event.signature, type=Approved)
    if approved.request_id != event.request_id:
        return f"its signature is for request {approved.request_id}"
    if now_ns is not None and not -FRESH_NS <= now_ns - approved.issued_ns <= FRESH_NS:
        return "its signature is older than ten minutes"
    return ""


def _changes(
    event: ControlEvent, in_force: Configuration | None, weights: Mapping[str, float]
) -> tuple[tuple[list[str], list[str]], int]:
    """Return what a configuration loosens, what it changes as a file may, and its version; nothing if it is refused."""
    try:
        given = msgspec.json.decode(event.content, type=Configuration)
    except msgspec.DecodeError:
        return ([], []), 0  # the machine refuses it, with the field's name
    if in_force is None or given.version <= in_force.version:
        return ([], []), given.version
    return (loosening(in_force, given), filed(in_force, given, weights)), given.version


def _told(loose: list[str], changed: list[str]) -> list[str]:
    return [f"{word} {', '.join(names)}" for word, names in (("loosens", loose), ("changes", changed)) if names]


def filed(before: Configuration, after: Configuration, weights: Mapping[str, float] = EMPTY) -> list[str]:
    """Return what a settings file may change at a start, and nobody by the bus: who trades what, where, at what cost.

    More capital for a strategy counts, less does not; a further currency's rate loosens nothing, another pair for a
    known one values what is held anew; a source's label is what every page says of the prices. ``weights`` are those
    in use where an allocation has changed the settings': other settings end it, so any change counts against them.
    """
    old, new = before.settings, after.settings
    found = [name for name in OF_THE_FILE if getattr(old, name) != getattr(new, name)]
    used = {name: min(value, weights.get(name, value)) for name, value in old.weights.items()}
    if new.weights != old.weights:
        found += [f"weights.{name}" for name, value in new.weights.items() if value > used.get(name, 0.0)]
    found += [f"rates.{name}" for name, pair in old.rates.items() if new.rates.get(name, pair) != pair]
    found += ["source"] if before.source != after.source else []
    known = {each.symbol: each for each in before.instruments}
    return found + [
        f"instruments.{each.symbol}"
        for each in after.instruments
        if any(getattr(known.get(each.symbol, each), name) != getattr(each, name) for name in OF_THE_SOURCE)
    ]


def loosening(before: Configuration, after: Configuration) -> list[str]:
    """Return what is looser in ``after``: limits by name, the mode, the operators, and whatever limits hang on.

    Fractions of equity hang on the account's money, breakers on the detector's settings, the guard of the disk on its
    thresholds, and the checks of a symbol on what its instrument says. What ``filed`` names is not among it.
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

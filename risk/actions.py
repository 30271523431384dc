"""Changes of the configuration, each one a new complete version; what was said of the risk, with its alerts."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max

from events.actions import in_turn, put
from events.actors import STATION, Actor
from events.selectors import is_done
from events.streams import CONTROL_AUDIT, CONTROL_WORKER
from events.types import ControlEvent, RiskAlert
from risk.models import ConfigurationVersion, RiskReport, VarSnapshot
from risk.selectors import current_configuration

Sign = Callable[[ControlEvent, int], str]
PERMISSION = "access.change_configuration"
CONFIGURE = "configure"
KEPT_SNAPSHOTS = 100_000  # ten weeks of minutes
AGENT = "risk_manager"


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
    version = (ConfigurationVersion.objects.aggregate(newest=Max("version"))["newest"] or 0) + 1
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
    return f"{CONFIGURE}-{version}"


def note_answer(*, request_id: str, taken: bool, answer: str) -> None:
    """Note whether the worker took the version that a person asked for: on a refused one nobody may build.

    Another request's id changes nothing, and so does a refusal of what was taken before.
    """
    name, _, version = request_id.rpartition("-")
    if name != CONFIGURE or not version.isdecimal():
        return
    asked = ConfigurationVersion.objects.filter(version=int(version))
    if taken:
        asked.update(refused="")
    elif not is_done(request_id=request_id):
        asked.update(refused=answer or "refused")


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


def record_var(
    *, view: Mapping[str, Any], symbols: list[str], covariance: list[list[float]], version: int
) -> VarSnapshot | None:
    """Simulate the value at risk of the worker's view, store it and alert; None where nothing has moved since the last.

    Alerts are told once a day: VAR_EXCEEDED where the day has lost more than the last 99 % VaR of the day before,
    VAR_HIGH where the VaR is above ``limits.max_var``. They inform: the kernel's VAR_LIMIT decides.
    """
    import numpy as np  # noqa: PLC0415 - the web process, which imports this module, simulates nothing

    from risk.measures.live import live  # noqa: PLC0415

    engine_ns = int(view["engine_ns"])
    newest = VarSnapshot.objects.order_by("-id").first()
    if newest is not None and newest.engine_ns == engine_ns and newest.covariance_version == version:
        return None
    found = live(view, symbols, np.array(covariance, dtype=np.float64).reshape(len(symbols), len(symbols)))
    account, day = view["account"], datetime.fromtimestamp(engine_ns // 10**9, tz=UTC).date().isoformat()
    start = float(account["day_start_equity"])
    loss = -float(account["day_pnl"]) / start if start > 0.0 else 0.0
    before = VarSnapshot.objects.filter(day__lt=day).order_by("-id").first()
    with transaction.atomic():
        in_turn()
        made = VarSnapshot.objects.create(
            engine_ns=engine_ns, day=day, equity=float(account["equity"]), loss=loss,
            exceeded=before is not None and loss > before.var_99, covariance_version=version,
            content=msgspec.json.encode({"strategies": found.strategies, "uncovered": found.uncovered}).decode(),
            **msgspec.structs.asdict(found.total),
        )  # fmt: skip
        VarSnapshot.objects.filter(id__lte=made.id - KEPT_SNAPSHOTS).delete()
        _alert(made, before, view["limits"].get("max_var"))
    return made


def _alert(made: VarSnapshot, before: VarSnapshot | None, most: float | None) -> None:
    told: list[tuple[str, str, dict[str, float]]] = []
    if made.exceeded and before is not None:
        numbers = {"loss_fraction": made.loss, "var_99_fraction": before.var_99}
        told.append(
            ("VAR_EXCEEDED", f"the day has lost {made.loss:.2%}, above its VaR of {before.var_99:.2%}", numbers)
        )
    if most is not None and made.var_99 > most:
        numbers = {"var_99_fraction": made.var_99, "limit_fraction": float(most)}
        told.append(("VAR_HIGH", f"the simulated VaR is {made.var_99:.2%}, above the limit of {most:.2%}", numbers))
    for rule, message, numbers in told:
        alert = RiskAlert(
            engine_ns=made.engine_ns, rule=rule, severity="warning", scope="account", message=message, numbers=numbers
        )
        put(stream=CONTROL_AUDIT, payload=alert, actor=STATION, agent_id=AGENT, request_id=f"{rule}:{made.day}")


def record_report(*, occurrence: str, engine_ns: int, version: int, through: str, content: bytes) -> RiskReport:
    """Store a stress report, within the caller's transaction; the same occurrence again changes nothing."""
    return RiskReport.objects.get_or_create(
        occurrence=occurrence,
        defaults={
            "engine_ns": engine_ns, "covariance_version": version, "through": through, "content": content.decode(),
        },
    )[0]  # fmt: skip

"""Reads of the configuration's history, and of what was said of the risk, as the Risk page shows it."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.db.models import Count, Max, Q
from django.utils import timezone

from risk.models import ConfigurationVersion, RiskReport, VarSnapshot


@dataclass(frozen=True)
class VarPoint:
    """One day's last value at risk, fractions of equity; ``exceeded``: the day lost more than forecast before it."""

    day: str
    engine_ns: int
    var_95: float
    var_99: float
    es_99: float
    loss: float
    exceeded: bool


@dataclass(frozen=True)
class RiskNow:
    """The newest snapshot with its age in seconds; ``covariance_version`` 0: none has come."""

    age_s: float
    engine_ns: int
    figures: dict[str, float]
    strategies: dict[str, dict[str, float]]
    uncovered: list[str]
    covariance_version: int


@dataclass(frozen=True)
class StressNow:
    """The newest report: scenario table, simulated tails, correlation matrix, each as risk/measures/stress.py says."""

    age_s: float
    covariance_version: int
    through: str
    scenarios: list[dict[str, Any]] = field(default_factory=list)
    tails: list[dict[str, Any]] = field(default_factory=list)
    regime: str = ""
    symbols: list[str] = field(default_factory=list)
    correlation: list[list[float]] = field(default_factory=list)


def risk_now() -> RiskNow | None:
    """Return the newest snapshot of the value at risk, None before the first."""
    row = VarSnapshot.objects.order_by("-id").first()
    if row is None:
        return None
    content = msgspec.json.decode(row.content)
    return RiskNow(
        age_s=(timezone.now() - row.created).total_seconds(), engine_ns=row.engine_ns,
        figures={name: getattr(row, name) for name in ("var_95", "es_95", "var_99", "es_99")},
        strategies=content["strategies"], uncovered=content["uncovered"], covariance_version=row.covariance_version,
    )  # fmt: skip


def var_history(*, days: int = 250) -> list[VarPoint]:
    """Return each day's last snapshot, oldest first; a day is exceeded if any of its snapshots was."""
    by_day = VarSnapshot.objects.order_by("-day").values("day")
    newest = list(by_day.annotate(last=Max("id"), times=Count("id", filter=Q(exceeded=True)))[:days])
    rows = VarSnapshot.objects.defer("content").in_bulk([day["last"] for day in newest])
    return [
        VarPoint(row.day, row.engine_ns, row.var_95, row.var_99, row.es_99, row.loss, day["times"] > 0)
        for day in reversed(newest)
        for row in (rows[day["last"]],)
    ]


def stress_now() -> StressNow | None:
    """Return the newest stress report, None before the first."""
    row = RiskReport.objects.order_by("-id").first()
    if row is None:
        return None
    age = (timezone.now() - row.created).total_seconds()
    return StressNow(age, row.covariance_version, row.through, **msgspec.json.decode(row.content))


def has_report(occurrence: str) -> bool:
    """Return whether a report was made."""
    return RiskReport.objects.filter(occurrence=occurrence).exists()


def current_configuration() -> ConfigurationVersion | None:
    """Return the newest version that the worker has not refused, None before the first run."""
    return ConfigurationVersion.objects.filter(refused="").order_by("-version").first()


def configuration_history(*, limit: int = 50) -> list[ConfigurationVersion]:
    """Return the newest versions, newest first."""
    return list(ConfigurationVersion.objects.order_by("-version")[:limit])

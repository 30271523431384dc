"""Risk: limits in use, breakers, exposures and vetoes live; value at risk, stress and correlations as they were stored.

What lies in the database is a fragment of its own, which the page asks for again each minute (static/risk.js).
"""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from controlroom.live.rows import strategies
from controlroom.live.snapshot import milliseconds
from controlroom.live.source import read_now
from controlroom.pages.station import station_page
from risk.measures.settings import DEGREES, PATHS
from risk.selectors import RiskNow, StressNow, VarPoint, risk_now, stress_now, var_history

STALE_MS = 120_000  # two looks of the risk watch
LEVEL = 0.99
BASEL_DAYS = 250
ZONES = ((4, "green"), (9, "yellow"))  # most exceptions of a zone in 250 days (Basel Committee 1996); above them red
VERDICT_DAYS = 1000
FIGURES = ("var_95", "es_95", "var_99", "es_99")
STEPS = 4  # of the correlation matrix's shades, on either side of zero


def _var(now: RiskNow | None, view: dict[str, Any], now_ms: int) -> dict[str, Any] | None:
    """Return the newest snapshot as a table, the account first."""
    if now is None:
        return None
    known = strategies(view)["by"]
    named = [
        {"title": known.get(name, {}).get("title", name), "tone": known.get(name, {}).get("tone"), **figures}
        for name, figures in now.strategies.items()
    ]
    return {
        "rows": [{"title": "Account", "whole": True, **now.figures}, *named],
        "stamp": now_ms - int(now.age_s * 1000),
        "stale": now.age_s * 1000 > STALE_MS,
        "market_ms": milliseconds(now.engine_ns),
        "uncovered": now.uncovered,
        "covariance": now.covariance_version,
    }


def _shade(correlation: float) -> int:
    return round(max(-1.0, min(1.0, correlation)) * STEPS)


def _stress(now: StressNow | None, now_ms: int) -> dict[str, Any] | None:
    """Return the newest report with each correlation's shade."""
    if now is None:
        return None
    matrix = [
        (symbol, [(value, _shade(value), i == j) for j, value in enumerate(line)])
        for i, (symbol, line) in enumerate(zip(now.symbols, now.correlation, strict=True))
    ]
    tails = [{**tail, "beyond": list(tail["beyond"].items())} for tail in now.tails]
    large = [float(loss) for loss, _ in tails[0]["beyond"]] if tails else []
    return {
        "scenarios": now.scenarios, "tails": tails, "large": large, "regime": now.regime,
        "covariance": now.covariance_version, "through": now.through, "symbols": now.symbols, "matrix": matrix,
        "stamp": now_ms - int(now.age_s * 1000),
    }  # fmt: skip


def _figures(view: dict[str, Any], now_ms: int) -> dict[str, Any]:
    return {
        "var": _var(risk_now(), view, now_ms), "stress": _stress(stress_now(), now_ms), "paths": PATHS,
        "degrees": f"{DEGREES:g}", "stale_ms": STALE_MS, "now_ms": now_ms,
    }  # fmt: skip


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the risk."""
    now = read_now()
    context = _figures(now[0].view or {}, now[0].now_ms)
    return station_page(request, "pages/risk.html", page="Risk", topics=("risk",), context=context, now=now)


@require_GET
def figures(request: HttpRequest) -> HttpResponse:
    """Show what is stored, alone."""
    snapshot = read_now()[0]
    return render(request, "pages/risk_figures.html", _figures(snapshot.view or {}, snapshot.now_ms))


def verdict(points: list[VarPoint]) -> str:
    """Return in a sentence how often a day lost more than was forecast the day before it, and what that tells."""
    judged = points[1:]
    if not judged:
        return "No day was forecast yet: the first is the one after the first with a value at risk."
    count = sum(point.exceeded for point in judged)
    days = f"{len(judged)} day{'s' if len(judged) > 1 else ''}"
    said = f"{count} exception{'' if count == 1 else 's'} in {days}, {len(judged) * (1 - LEVEL):.1f} expected at 99 %."
    if len(judged) < BASEL_DAYS:
        return f"{said} No Basel zone: {BASEL_DAYS} days are needed; {VERDICT_DAYS:,} for a verdict of the tests."
    zone = next((name for most, name in ZONES if count <= most), "red")
    return f"{said} Basel zone over {BASEL_DAYS} days: {zone}. The tests ask for {VERDICT_DAYS:,} days: `risk var`."


@require_GET
def history(_request: HttpRequest) -> JsonResponse:
    """Return each day's loss beside what was forecast for it the day before, oldest first, as columns."""
    points = var_history(days=BASEL_DAYS + 1)
    before = [None, *points][: len(points)]
    return JsonResponse(
        {
            "at_ms": [milliseconds(point.engine_ns) for point in points],
            "var_99": [last and last.var_99 for last in before],
            "es_99": [last and last.es_99 for last in before],
            "loss": [point.loss for point in points],
            "exceeded": [point.exceeded and last is not None for point, last in zip(points, before, strict=True)],
            "said": verdict(points),
        }
    )

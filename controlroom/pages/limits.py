"""Limits: each with unit, range and version in force; a form whose tightening acts at once, whose loosening asks."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from controlroom.access import stepup
from controlroom.access.models import Approval
from controlroom.access.operators import held_configuration
from controlroom.live.source import read_now
from controlroom.pages.oversight_actions import change_limits
from controlroom.pages.station import station_page
from events.selectors import request_named
from risk.actions import request_of
from risk.limit_rules import LIMIT_RULES
from risk.selectors import configuration_history

TIGHTER = {"lower": "lower", "higher": "higher", "false": "no"}
SHOWN = 20


def rows(typed: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Return a row a limit: its rule, what the database holds and what was typed."""
    held = held_configuration()
    if held is None:
        return []
    found = []
    for name, rule in LIMIT_RULES.items():
        value = getattr(held.settings.limits, name, None)
        shown = ("yes" if value else "no") if isinstance(value, bool) else f"{value}"
        choices = ("yes", "no") if rule.tighter == "false" else ()
        span = "yes or no" if choices else f"{_number(rule.low)} to {_number(rule.high)}"
        found.append({
            "name": name, "rule": rule, "value": shown, "range": span, "tighter": TIGHTER[rule.tighter],
            "choices": choices, "typed": (typed or {}).get(name, shown),
        })  # fmt: skip
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if value >= 10_000 else f"{value:g}"


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the limits."""
    return _page(request)


@require_http_methods(["GET", "POST"])
def change(request: HttpRequest) -> HttpResponse:
    """Take the form; what loosens asks for password and code first, and then for somebody else."""
    if request.method == "GET":
        return redirect("limits")
    typed = {name: request.POST[name] for name in LIMIT_RULES if name in request.POST}
    reason = request.POST.get("reason", "")
    shown = {row["name"]: row["value"] for row in rows()}
    changes = {name: text for name, text in typed.items() if text.strip() != shown.get(name)}
    proof = stepup.of(request)
    try:
        made = change_limits(actor=request.user, changes=changes, reason=reason, proof=proof)  # type: ignore[arg-type] # the table of routes lets only people in
    except ValidationError as error:
        return _page(request, typed, reason, " ".join(error.messages))
    except stepup.StepUpNeededError:
        return stepup.needed(request, reverse("limits")) or redirect("limits")
    if isinstance(made, Approval):
        messages.info(request, f"It loosens, so it waits for approval as request {made.pk}: {made.target}.")
        return redirect("approvals")
    row = request_named(request_of(made.version))
    messages.info(request, f"Configuration {made.version} requested.", extra_tags=f"request-{row.id}" if row else "")
    return redirect("limits")


def _page(
    request: HttpRequest, typed: dict[str, str] | None = None, reason: str = "", problem: str = ""
) -> HttpResponse:
    now = read_now()
    history = configuration_history(limit=SHOWN)
    newest = history[0] if history else None
    asked = request_named(request_of(newest.version)) if newest else None
    context = {
        "limits": rows(typed), "reason": reason, "problem": problem, "versions": history, "newest": newest,
        "asked": asked, "in_force": (now[0].view or {}).get("configuration"),
    }  # fmt: skip
    response = station_page(request, "pages/limits.html", page="Limits", context=context, now=now)
    response.status_code = 400 if problem else 200
    return response

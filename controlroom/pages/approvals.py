"""Approvals: what waits for a second person, what became of the rest, and the two buttons."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from controlroom.access import approvals, stepup
from controlroom.access.models import Approval
from controlroom.access.operators import operators
from controlroom.pages.station import station_page

SHOWN = 50


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the newest requests."""
    approvals.expire_due()
    found = list(Approval.objects.select_related("requested_by").prefetch_related("consents__person")[:SHOWN])
    context = {
        "open": [one for one in found if one.state == Approval.State.REQUESTED],
        "ended": [one for one in found if one.state != Approval.State.REQUESTED],
        "operators": operators(),
        "now": timezone.now(),
    }
    return station_page(request, "pages/approvals.html", page="Approvals", context=context)


@require_http_methods(["GET", "POST"])
def approve(request: HttpRequest, number: int) -> HttpResponse:
    """Approve; password and code come first."""
    if request.method == "GET":
        return redirect("approvals")
    try:
        made = approvals.approve(approval_id=number, actor=request.user, proof=stepup.of(request))  # type: ignore[arg-type] # the table of routes lets only people in
    except stepup.StepUpNeededError:
        return stepup.needed(request, reverse("approvals")) or redirect("approvals")
    except (ValidationError, PermissionDenied) as error:
        return _say(request, error)
    messages.info(request, f"Request {made.pk} is {made.state}.")
    return redirect("approvals")


@require_http_methods(["GET", "POST"])
def refuse(request: HttpRequest, number: int) -> HttpResponse:
    """Refuse, or take back one's own."""
    if request.method == "GET":
        return redirect("approvals")
    try:
        made = approvals.refuse(approval_id=number, actor=request.user, reason=request.POST.get("reason", ""))  # type: ignore[arg-type] # as above
    except (ValidationError, PermissionDenied) as error:
        return _say(request, error)
    messages.info(request, f"Request {made.pk} is {made.state}.")
    return redirect("approvals")


def _say(request: HttpRequest, error: Exception) -> HttpResponse:
    sentences = error.messages if isinstance(error, ValidationError) else [str(error)]
    messages.error(request, f"Nothing was approved or refused: {' '.join(sentences)}")
    return redirect("approvals")

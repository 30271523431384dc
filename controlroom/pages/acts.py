"""Flatten, maintenance and the number of operators: forms that name target, scope and consequence."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from controlroom.access import kill, stepup, throttle
from controlroom.access.actions import devices, note_wrong_password
from controlroom.access.models import Approval, User
from controlroom.access.operators import operators
from controlroom.access.release import ACTS, ask_act
from controlroom.pages.oversight_actions import change_operators

SAID = {
    "flatten": ("Flatten", "Close every position in scope by reducing orders, also while KILLED or HALTED."),
    "maintenance": ("Begin maintenance", "Nothing new is sent; cancels pass; positions are kept."),
    "resume_maintenance": ("End maintenance", "The state that maintenance interrupted comes back, and no other."),
}


@require_http_methods(["GET", "POST"])
def act(request: HttpRequest, operation: str) -> HttpResponse:
    """Ask for word, password, code and reason, and pass them to the worker, which judges them itself."""
    if operation not in SAID:
        raise Http404
    user = _person(request)
    if not user.has_perm(f"access.{ACTS[operation][0]}"):
        raise PermissionDenied(f"{user.username} may not {ACTS[operation][1]}; oversight may")
    if not devices().enrolled(user.username):
        return stepup.to_enrolment(reverse("act", args=[operation]))
    title, consequence = SAID[operation]
    context: dict[str, object] = {"operation": operation, "title": title, "consequence": consequence}
    context |= {name: request.POST.get(name, "") or request.GET.get(name, "") for name in ("scope", "target", "reason")}
    if request.method == "GET":
        return render(request, "access/act.html", context)
    problem = _problem(request, operation, user)
    if not problem:
        done = ask_act(
            operation, actor=user, password=request.POST.get("password", ""), code=request.POST.get("code", ""),
            reason=str(context["reason"]), scope=str(context["scope"]) or "all", target=str(context["target"]),
        )  # fmt: skip
        if not done.done and not user.check_password(request.POST.get("password", "")):
            note_wrong_password(username=user.username, address="release")
        context |= {"done": done.done, "answer": done.reason}
        return render(request, "access/act.html", context, status=200 if done.done else 400)
    return render(request, "access/act.html", context | {"problem": problem}, status=400)


def _problem(request: HttpRequest, operation: str, user: User) -> str:
    """Return why the form goes nowhere, "" if it goes to the worker."""
    verdict = throttle.judge(username=user.username, address="release")
    if not verdict.allowed:
        return f"Too many wrong passwords; try again in {-(-verdict.wait_s // 60)} min."
    if operation == "flatten" and request.POST.get("word", "") != "flatten":
        return f"word = {request.POST.get('word', '')[:20]!r}: type the word flatten."
    try:
        kill.checked(request.POST.get("scope", ""), request.POST.get("target", ""))
    except kill.KillInputError as error:
        return str(error)
    return ""


@require_http_methods(["GET", "POST"])
def operators_page(request: HttpRequest) -> HttpResponse:
    """Choose one operator or two."""
    user = _person(request)
    if (elsewhere := stepup.needed(request, reverse("operators"))) is not None:
        return elsewhere
    now = operators()
    context: dict[str, object] = {"operators": now, "wanted": 3 - now}
    if request.method == "GET":
        return render(request, "access/operators.html", context)
    try:
        wanted = 2 if request.POST.get("wanted") == "2" else 1
        made = change_operators(
            actor=user, wanted=wanted, reason=request.POST.get("reason", ""), proof=stepup.of(request)
        )
    except ValidationError as error:
        return render(request, "access/operators.html", context | {"problem": " ".join(error.messages)}, status=400)
    if isinstance(made, Approval):
        messages.info(request, f"It waits for approval as request {made.pk}.")
    else:
        messages.info(request, f"Configuration {made.version} requested: two operators.")
    return redirect("approvals")


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied("Nobody is signed in.")
    return request.user

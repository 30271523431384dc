"""The header's small forms: the replay's pace and the theme. They parse, call and send the person back."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from controlroom.access.theme import THEME_COOKIE, THEMES
from controlroom.pages.actions import ReplayInputError, control_replay

YEAR_S = 365 * 86400


def _back(request: HttpRequest) -> str:
    """Return the page that the form was on, if it is one of ours."""
    target = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if ours else "/"


@require_POST
def replay(request: HttpRequest) -> HttpResponse:
    """Pass a person's wish about the replay's pace on to the feed."""
    speed = request.POST.get("speed", "")
    action = request.POST.get("action") or ("speed" if speed else "")
    try:
        row = control_replay(actor=request.user, action=action, speed=speed)
    except ReplayInputError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    messages.info(
        request,
        f"Replay: {action}{f' {speed}' if action == 'speed' else ''} requested.",
        extra_tags=f"request-{row.id}",
    )
    return redirect(_back(request))


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme of this browser."""
    chosen = request.POST.get("theme", "")
    if chosen not in THEMES:
        return HttpResponse(
            f"theme {chosen!r} is unknown; allowed are {', '.join(THEMES)}",
            status=400,
            content_type="text/plain; charset=utf-8",
        )
    response = redirect(_back(request))
    response.set_cookie(THEME_COOKIE, chosen, max_age=YEAR_S, samesite="Lax", secure=request.is_secure(), httponly=True)
    return response

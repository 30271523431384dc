"""Login, logout, first password, kill, release, health: authenticate, parse, call, render."""

from django.conf import settings
from django.contrib.auth import authenticate, update_session_auth_hash
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from controlroom.access import handover, kill, kill_cookie, stepup, throttle
from controlroom.access.actions import devices, note_wrong_password, set_own_password, sign_in, sign_out
from controlroom.access.forms import LoginForm, PasswordForm
from controlroom.access.models import User
from controlroom.access.release import release_kill
from controlroom.access.theme import theme_of
from events import VERSION

RESULT_SALT = "station.kill.result"
WRONG = "Name or password is wrong."


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Say that this process answers; nothing else is asked."""
    return JsonResponse({"ok": True, "process": "web", "version": VERSION})


@require_safe
def favicon(_request: HttpRequest) -> HttpResponse:
    """Send the icon to whoever asks for it under its old name."""
    return HttpResponse(
        (settings.BASE_DIR / "static" / "icons" / "calm.svg").read_bytes(), content_type="image/svg+xml"
    )


@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password, and begin a session."""
    if request.method != "POST":
        return render(request, "access/login.html", {"form": LoginForm(initial={"next": request.GET.get("next", "")})})
    form = LoginForm(request.POST)
    if not form.is_valid():
        return render(request, "access/login.html", {"form": form}, status=400)
    username, address = form.cleaned_data["username"], request.META.get("REMOTE_ADDR") or "local"
    verdict = throttle.judge(username=username, address=address)
    if not verdict.allowed:
        form.add_error(None, f"Too many wrong passwords; try again in {-(-verdict.wait_s // 60)} min.")
        response = render(request, "access/login.html", {"form": form}, status=429)
        response["Retry-After"] = str(verdict.wait_s)
        return response
    user = authenticate(request, username=username, password=form.cleaned_data["password"])
    if not isinstance(user, User):
        note_wrong_password(username=username, address=address)
        form.add_error(None, WRONG)
        return render(request, "access/login.html", {"form": form}, status=403)
    if user.one_time_until is not None and user.one_time_until < timezone.now():
        form.add_error(
            None, f"This one-time password has expired; ./station reset-login {user.username} makes another."
        )
        return render(request, "access/login.html", {"form": form}, status=403)
    sign_in(request=request, user=user, address=address)
    return redirect(
        reverse("first-password") if user.must_replace_password else _safe(request, form.cleaned_data["next"])
    )


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session, and the kill cookie with it."""
    sign_out(request=request)
    response = redirect("login")
    kill_cookie.withdraw(response)
    return response


@require_http_methods(["GET", "POST"])
def first_password(request: HttpRequest) -> HttpResponse:
    """Give a person a password of their own: forced after a one-time one, free at any other time."""
    form = PasswordForm(request.POST if request.method == "POST" else None)
    user = _person(request)
    if request.method == "POST" and form.is_valid():
        try:
            set_own_password(user=user, current=form.cleaned_data["current"], new=form.cleaned_data["new"])
        except ValidationError as error:
            form.add_error(None, error)
        else:
            update_session_auth_hash(request, user)
            handover.forget(settings.DATA, user.username)
            wanted = stepup.is_dangerous(user) and not devices().enrolled(user.username)
            return redirect("one-time-codes" if wanted else settings.LOGIN_REDIRECT_URL)
    context = {"form": form, "forced": user.must_replace_password}
    return render(request, "access/first_password.html", context, status=400 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
def press_kill(request: HttpRequest) -> HttpResponse:
    """Kill, on the word of the signed cookie alone; GET shows the button and what the last press did."""
    presser = kill_cookie.read(request)
    if presser is None:
        reason = "This browser holds no valid kill cookie: log in again, or type `manage.py kill` on the station."
        return _kill_page(request, {"problem": reason}, status=401)
    if request.method == "GET":
        shown = {"outcome": _shown(request.GET.get("result", "")), "back": _safe(request, request.GET.get("next", ""))}
        return _kill_page(request, {"presser": presser, **shown})
    try:
        scope, target = kill.checked(request.POST.get("scope", ""), request.POST.get("target", ""))
    except kill.KillInputError as error:
        return _kill_page(request, {"presser": presser, "problem": str(error)}, status=400)
    outcome = kill.press(settings.DATA, scope=scope, target=target, actor=presser.username)
    if request.headers.get("HX-Request") == "true":
        return _kill_page(request, {"presser": presser, "outcome": outcome}, status=200)
    token = signing.dumps(vars(outcome), salt=RESULT_SALT)
    query = urlencode({"result": token, "next": request.POST.get("next", "")})
    return HttpResponseRedirect(f"{reverse('kill')}?{query}", status=303)


@require_http_methods(["GET", "POST"])
def release(request: HttpRequest) -> HttpResponse:
    """Lift the kill, all of it or one scope: password, one-time code and reason of a person who may."""
    fragment = request.headers.get("HX-Request") == "true"
    template = "access/release_fragment.html" if fragment else "access/release.html"
    user, back = _person(request), _safe(request, request.POST.get("next", ""))
    if not devices().enrolled(user.username):
        return stepup.to_enrolment(reverse("release"))
    asked = {name: request.POST.get(name, "") or request.GET.get(name, "") for name in ("scope", "target")}
    context: dict[str, object] = {"back": back, **asked}
    if request.method == "GET":
        return render(request, template, context)
    verdict = throttle.judge(username=user.username, address="release")
    if not verdict.allowed:
        context |= {"problem": f"Too many wrong passwords; try again in {-(-verdict.wait_s // 60)} min."}
        return render(request, template, context, status=200 if fragment else 429)
    typed = {name: request.POST.get(name, "") for name in ("password", "code", "reason")}
    try:
        scope, target = kill.checked(asked["scope"], asked["target"])
    except kill.KillInputError as error:
        context |= {"problem": str(error)}
        return render(request, template, context, status=200 if fragment else 400)
    released = release_kill(actor=user, scope=scope, target=target, **typed)
    if not released.done and not user.check_password(typed["password"]):
        note_wrong_password(username=user.username, address="release")
    return render(request, template, context | {"released": released}, status=200 if fragment or released.done else 400)


def csrf_failure(_request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token does not match, without the database."""
    sentence = f"This form is older than the login ({reason}): load the page again and repeat it."
    return HttpResponse(sentence, status=403, content_type="text/plain; charset=utf-8")


def _person(request: HttpRequest) -> User:
    """Return who is signed in; the table of routes lets nobody else come here."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Nobody is signed in.")
    return request.user


def _kill_page(request: HttpRequest, context: dict[str, object], status: int = 200) -> HttpResponse:
    """Render without context processors: they would ask the database who this is."""
    template = "access/kill_fragment.html" if request.headers.get("HX-Request") == "true" else "access/kill.html"
    return HttpResponse(
        render_to_string(template, context | {"csrf_token": get_token(request), "theme": theme_of(request)}),
        status=status,
    )


def _shown(token: str) -> kill.Outcome | None:
    if not token:
        return None
    try:
        return kill.Outcome(**signing.loads(token, salt=RESULT_SALT, max_age=3600))
    except (signing.BadSignature, TypeError):
        return None


def _safe(request: HttpRequest, target: str) -> str:
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return target
    return settings.LOGIN_REDIRECT_URL

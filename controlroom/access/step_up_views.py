"""Pages of the one-time code: enrol a device, and give password and code before a dangerous act."""

import segno
from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from controlroom.access import stepup
from controlroom.access.actions import devices
from controlroom.access.models import User
from worker.onetime import uri

CODE = {"autocomplete": "one-time-code"}


class StepUpForm(forms.Form):
    """Password and code."""

    password = forms.CharField(
        max_length=1000, strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )
    code = forms.CharField(max_length=64, label="One-time code", widget=forms.TextInput(CODE))
    next = forms.CharField(required=False, widget=forms.HiddenInput)


class DeviceForm(forms.Form):
    """What proves the person, and the first code of the new device."""

    password = forms.CharField(
        max_length=1000, strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )
    old = forms.CharField(
        max_length=64, required=False, label="Code of the present device, or a recovery code", widget=forms.TextInput()
    )
    code = forms.CharField(max_length=64, label="First code of the new device", widget=forms.TextInput(CODE))
    next = forms.CharField(required=False, widget=forms.HiddenInput)


@require_http_methods(["GET", "POST"])
def step_up(request: HttpRequest) -> HttpResponse:
    """Ask for password and code; whoever has no device makes one first."""
    user = _person(request)
    asked = request.POST.get("next", "") or request.GET.get("next", "")
    if not devices().enrolled(user.username):
        return stepup.to_enrolment(_safe(request, asked))
    form = StepUpForm(request.POST if request.method == "POST" else None, initial={"next": asked})
    if request.method == "POST" and form.is_valid():
        try:
            given = form.cleaned_data
            stepup.step_up(request=request, user=user, password=given["password"], code=given["code"])
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect(_safe(request, asked))
    return render(request, "access/step_up.html", {"form": form}, status=400 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
def one_time_codes(request: HttpRequest) -> HttpResponse:
    """Show a QR code made here, take the device by its first code, and show the recovery codes once."""
    user = _person(request)
    asked = request.POST.get("next", "") or request.GET.get("next", "")
    enrolled = devices().enrolled(user.username)
    form = DeviceForm(request.POST if request.method == "POST" else None, initial={"next": asked})
    if not enrolled:
        del form.fields["old"]
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            shown = stepup.enrol(user=user, password=given["password"], code=given["code"], old=given.get("old", ""))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return render(request, "access/recovery_codes.html", {"codes": shown, "back": _safe(request, asked)})
    secret = devices().begin(user.username)
    picture = segno.make(uri(user.username, secret), error="m").svg_inline(scale=5, dark="#000", light="#fff")
    context = {
        "form": form, "enrolled": enrolled, "picture": picture, "secret": secret, "back": _safe(request, asked),
        "left": devices().recovery_left(user.username), "wanted": stepup.is_dangerous(user),
    }  # fmt: skip
    return render(request, "access/one_time_codes.html", context, status=400 if form.is_bound else 200)


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied("Nobody is signed in.")
    return request.user


def _safe(request: HttpRequest, target: str) -> str:
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return target
    return settings.LOGIN_REDIRECT_URL

"""The admin site: superusers only, entered, left and given passwords by the station's own pages."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

Extra = dict[str, object] | None


class StationAdmin(AdminSite):
    """Django's admin with the station's door."""

    site_header = "AI Trading Station: people"
    site_title = "AI Trading Station"
    index_title = "People, and tables to look at"

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether this person manages people."""
        return bool(request.user.is_active and request.user.is_superuser)

    def login(self, request: HttpRequest, extra_context: Extra = None) -> HttpResponse:  # noqa: ARG002 - Django's
        """Send to the one login page."""
        return redirect(f"{reverse('login')}?{urlencode({'next': request.get_full_path()})}")

    def logout(  # type: ignore[override] # Django's views type the page they render, not the answer they may give
        self,
        request: HttpRequest,
        extra_context: Extra = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """Leave as from every other page, the kill cookie with it."""
        from controlroom.access.views import log_out  # noqa: PLC0415 - the views need the models

        return log_out(request)

    def password_change(  # type: ignore[override] # as above
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        extra_context: Extra = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Send to the one page that changes passwords: it tells the record and the worker."""
        return redirect("first-password")

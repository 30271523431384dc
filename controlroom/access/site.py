"""The admin site: superusers only, entered by the station's own login."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode


class StationAdmin(AdminSite):
    """Django's admin with the station's door."""

    site_header = "AI Trading Station: people"
    site_title = "AI Trading Station"
    index_title = "People, and tables to look at"

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether this person manages people."""
        return bool(request.user.is_active and request.user.is_superuser)

    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:  # noqa: ARG002
        """Send to the one login page."""
        return redirect(f"{reverse('login')}?{urlencode({'next': request.get_full_path()})}")

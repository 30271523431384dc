"""The artefact registry in the stock admin, to look at."""

from django.contrib import admin
from django.http import HttpRequest

from agents.models import Artefact


@admin.register(Artefact)
class ArtefactAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """Read-only: artefacts come from fits alone."""

    list_display = ("name", "version", "outcome", "occurrence", "created")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody."""
        return False

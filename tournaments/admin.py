"""Rules and rounds in the stock admin, to look at."""

from typing import ClassVar

from django.contrib import admin
from django.http import HttpRequest

from tournaments.models import RulesVersion, TournamentRound


class LookOnly(admin.ModelAdmin):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """Read-only: what these tables hold changes by the actions of this package alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody."""
        return False


@admin.register(RulesVersion)
class RulesVersionAdmin(LookOnly):
    """Versions of the rules."""

    list_display = ("version", "status", "author", "activated_by", "created")


@admin.register(TournamentRound)
class TournamentRoundAdmin(LookOnly):
    """Rounds, without what is sealed and without the record, whose page is the control room's."""

    list_display = ("round_id", "state", "rules_version", "actor", "created")
    fields: ClassVar = ("round_id", "rules_version", "as_of_ns", "state", "reason", "request", "actor")

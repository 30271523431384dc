"""Rules, rounds and allocations in the stock admin: rules change by the actions of this package, all else is shown."""

from typing import Any, ClassVar, cast

import msgspec
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from events.actors import Actor
from tournaments.actions import CHANGE_RULES, REASON_LIMIT, activate_rules, draft_rules, drafted
from tournaments.models import AllocationVersion, RulesVersion, TournamentRound
from tournaments.rules import RulesError


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


class DraftForm(forms.ModelForm):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """What a draft changes, and why."""

    changes = forms.CharField(
        widget=forms.Textarea, help_text='JSON of the fields that differ from the newest version: {"stress_paths": 400}'
    )
    reason = forms.CharField(min_length=3, max_length=REASON_LIMIT, help_text="For the journal.")

    class Meta:
        model = RulesVersion
        fields: ClassVar = ["reason"]

    def clean_changes(self) -> dict[str, object]:
        """Refuse what the action would refuse, as the form's own sentence."""
        try:
            changes = msgspec.json.decode(self.cleaned_data["changes"], type=dict[str, Any])
            drafted(changes)
        except msgspec.DecodeError as error:
            raise forms.ValidationError(f"changes are no JSON object: {error}") from error
        except RulesError as error:
            raise forms.ValidationError(str(error)) from error
        return changes


@admin.register(RulesVersion)
class RulesVersionAdmin(LookOnly):
    """Versions of the rules: who may change them drafts one and puts one in force, as on the page Rules."""

    form = DraftForm
    list_display = ("version", "status", "author", "activated_by", "created")
    actions = ("put_in_force",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who may change the rules."""
        return bool(cast("Actor", request.user).has_perm(CHANGE_RULES))

    def has_put_in_force_permission(self, request: HttpRequest) -> bool:
        """Who may change the rules."""
        return self.has_add_permission(request)

    def save_model(self, request: HttpRequest, obj: RulesVersion, form: forms.ModelForm, change: bool) -> None:  # type: ignore[type-arg] # noqa: ARG002, FBT001
        """Draft through the action that tells the record."""
        given = form.cleaned_data
        made = draft_rules(changes=given["changes"], reason=given["reason"], actor=cast("Actor", request.user))
        obj.pk, obj.version = made.pk, made.version

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> Any:  # noqa: ARG002
        """Return to the list: a version is never changed."""
        return self.response_post_save_add(request, obj)

    @admin.action(description="Put in force", permissions=["put_in_force"])
    def put_in_force(self, request: HttpRequest, queryset: QuerySet[RulesVersion]) -> None:
        """Activate the one version that is chosen."""
        if queryset.count() != 1:
            self.message_user(request, "Choose one version: one is put in force at a time.", messages.ERROR)
            return
        version, who = queryset.get().version, cast("Actor", request.user)
        try:
            made = activate_rules(version=version, reason="put in force in the admin", actor=who)
        except RulesError as error:
            self.message_user(request, f"{error}.", messages.ERROR)
            return
        self.message_user(request, f"Rules {made.version} are in force; rounds that have begun go on under theirs.")


@admin.register(TournamentRound)
class TournamentRoundAdmin(LookOnly):
    """Rounds, without what is sealed and without the record, whose page is the control room's."""

    list_display = ("round_id", "state", "station_bars", "rules_version", "actor", "created")
    fields: ClassVar = ("round_id", "rules_version", "as_of_ns", "station_bars", "state", "reason", "request", "actor")


@admin.register(AllocationVersion)
class AllocationVersionAdmin(LookOnly):
    """Allocations; oversight overrides one on the page Allocation."""

    list_display = ("version", "state", "round_id", "actor", "created")

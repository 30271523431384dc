"""People and tokens in the stock admin. Every change goes through an action; nothing else can be changed here."""

from typing import Any, ClassVar, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.selectors import strategies_of, strategy_names
from controlroom.access import handover, tokens
from controlroom.access.actions import change_person, end_sessions, reset_login
from controlroom.access.models import ApiToken, User
from controlroom.access.permissions import ROLES


class PersonForm(forms.ModelForm):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """Name, roles, standing."""

    roles = forms.MultipleChoiceField(
        choices=[(role, role) for role in ROLES], required=False, widget=forms.CheckboxSelectMultiple
    )

    strategies = forms.MultipleChoiceField(
        choices=lambda: [(name, name) for name in strategy_names()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="A strategy developer's own: their part of the audit, and later their parameters.",
    )

    class Meta:
        model = User
        fields: ClassVar = ["username", "first_name", "last_name", "email", "is_active", "is_superuser"]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self.instance.pk:
            self.fields["roles"].initial = list(self.instance.groups.values_list("name", flat=True))
            self.fields["strategies"].initial = strategies_of(self.instance)
            self.fields["username"].disabled = True

    def clean(self) -> dict[str, Any]:
        """Refuse what the action would refuse, as the form's own sentence."""
        cleaned: dict[str, Any] = super().clean() or {}
        stays = cleaned.get("is_active") and cleaned.get("is_superuser")
        others = User.objects.filter(is_active=True, is_superuser=True).exclude(pk=self.instance.pk)
        if not stays and not others.exists():
            raise forms.ValidationError(
                "Somebody must be left who manages people: make another active superuser first."
            )
        return cleaned


@admin.register(User)
class PersonAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """People."""

    form = PersonForm
    list_display = ("username", "is_active", "is_superuser", "last_login")
    actions = ("issue_one_time_password",)

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:  # type: ignore[type-arg] # noqa: ARG002, FBT001
        """Change the person through the action that tells the record."""
        assert isinstance(request.user, User)  # noqa: S101 - the site lets only our people in
        change_person(
            user=obj,
            roles=form.cleaned_data["roles"],
            strategies=form.cleaned_data["strategies"],
            is_active=form.cleaned_data["is_active"],
            is_superuser=form.cleaned_data["is_superuser"],
            actor=request.user,
        )
        if not obj.is_active:
            end_sessions(user=obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Do nothing: the action has set the roles."""

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody: the record names people; make them inactive."""
        return False

    @admin.action(description="Issue a one-time password (into secrets/first-login)")
    def issue_one_time_password(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Replace the password of exactly one person."""
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(
                request, "Choose exactly one person: each password has a file of its own.", messages.ERROR
            )
            return
        assert isinstance(request.user, User)  # noqa: S101 - the site lets only our people in
        made = reset_login(username=chosen[0].username, actor=request.user)
        end_sessions(user=chosen[0])
        self.message_user(
            request, f"One-time password of {made.username} {handover.hand_over(settings.DATA, made, terminal=False)}."
        )


class TokenForm(forms.ModelForm):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """Whose, what for, how much and how long."""

    allowed = forms.MultipleChoiceField(
        label="Scopes",
        choices=[(name, f"{name}: {scope.words}") for name, scope in tokens.SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.IntegerField(
        min_value=1, max_value=tokens.MOST_DAYS, initial=tokens.USUAL_DAYS, help_text="until it expires"
    )

    class Meta:
        model = ApiToken
        fields: ClassVar = ["owner", "name"]

    def clean(self) -> dict[str, Any]:
        """Refuse what the action would refuse, as the form's own sentence."""
        cleaned: dict[str, Any] = super().clean() or {}
        owner, name = cleaned.get("owner"), cleaned.get("name")
        if owner is not None and name:
            cleaned["name"] = tokens.checked_name(name)
            tokens.check_owner(owner, cleaned["name"])
        return cleaned


@admin.register(ApiToken)
class TokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """Tokens of the API: made once, looked at, revoked; none is ever changed, and the record names each."""

    form = TokenForm
    list_display = ("id", "name", "owner", "scopes", "created", "expires", "revoked_at", "last_used")
    actions = ("revoke",)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody: more power is another token."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody: the record names tokens; revoke them."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Who manages people."""
        return cast("User", request.user).has_perm("access.change_apitoken")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form of a new one, or all but the hash of one that is there."""
        if obj is None:
            return super().get_fields(request, obj)
        return ["owner", "name", "scopes", "created", "expires", "revoked_at", "last_used"]

    def save_model(self, request: HttpRequest, obj: ApiToken, form: forms.ModelForm, change: bool) -> None:  # type: ignore[type-arg] # noqa: ARG002, FBT001
        """Issue through the action that tells the record; the secret goes into a private file, past this browser."""
        given = form.cleaned_data
        made = tokens.issue_token(
            owner=given["owner"], name=given["name"], scopes=given["allowed"], days=given["days"],
            actor=cast("User", request.user),
        )  # fmt: skip
        obj.pk = made.token.pk
        self.message_user(request, f"The token is {tokens.hand_over(settings.DATA, made, terminal=False)}.")

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> Any:  # noqa: ARG002
        """Return to the list: a token is never changed."""
        return self.response_post_save_add(request, obj)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """End the chosen tokens at once."""
        for token in queryset:
            try:
                tokens.revoke_token(token_id=token.pk, actor=cast("User", request.user))
            except ValidationError as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)
            else:
                self.message_user(request, f"{token} of {token.owner} is revoked.")


admin.site.unregister(Group)  # Django registers its own, which can change roles behind the table of permissions.py


@admin.register(Group)
class RoleAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """Roles, to look at: what they may do stands in controlroom/access/permissions.py."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody."""
        return False

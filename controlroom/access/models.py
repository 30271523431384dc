"""People, what they may do, and who tried to be one of them."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models

from controlroom.access.permissions import PERMISSIONS, SUPERUSER


class User(AbstractUser):
    """A person. ``is_superuser`` manages people; unlike Django's own it opens no other door."""

    one_time_until = models.DateTimeField(
        null=True, blank=True, help_text="the password is a one-time one, good until then"
    )
    password_set_at = models.DateTimeField(null=True, blank=True)
    roles_changed_at = models.DateTimeField(null=True, blank=True)
    first_run = models.BooleanField(default=False, help_text="made by the station's first start: may approve at once")

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Return whether a role, a personal grant or (for people's accounts alone) being superuser allows this."""
        if not self.is_active:
            return False
        if self.is_superuser and perm in SUPERUSER:
            return True
        return any(backend.has_perm(self, perm, obj) for backend in _backends())

    async def ahas_perm(self, perm: str, obj: object = None) -> bool:
        """As :meth:`has_perm`, from a coroutine."""
        from asgiref.sync import sync_to_async  # noqa: PLC0415 - only sockets ask this way

        return await sync_to_async(self.has_perm)(perm, obj)

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether any permission of an app is held."""
        if self.is_active and self.is_superuser and any(perm.startswith(f"{app_label}.") for perm in SUPERUSER):
            return True
        return any(perm.startswith(f"{app_label}.") for perm in self.get_all_permissions())

    @property
    def must_replace_password(self) -> bool:
        """Whether the password came from the station and must give way to the person's own."""
        return self.one_time_until is not None


class Station(models.Model):
    """No table: the thing that the permissions of permissions.py are about."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions: ClassVar = list(PERMISSIONS.items())

    def __str__(self) -> str:
        return "the station"


class FailedLogin(models.Model):
    """A wrong password; a few of them in a row make the next try wait."""

    username = models.CharField(max_length=150, db_index=True)
    address = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"


class Approval(models.Model):
    """Something that one person asks for and that takes another one, or ten minutes where there is one operator."""

    class State(models.TextChoices):
        """Where it is: APPROVED waits for the worker's word; DONE, REFUSED and EXPIRED are final."""

        REQUESTED = "requested"
        APPROVED = "approved"
        DONE = "done"
        REFUSED = "refused"
        EXPIRED = "expired"

    act = models.CharField(max_length=32)
    target = models.CharField(max_length=300)
    content = models.TextField(default="null", help_text="JSON: exactly what is approved")
    reason = models.CharField(max_length=500)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="asked")
    created = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True, help_text="from when the only operator may confirm it")
    expires = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.REQUESTED)
    decided_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=128, blank=True, db_index=True, help_text="of what the worker answers")
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.act} {self.target}: {self.state}"


class Consent(models.Model):
    """One person's yes to an approval, the asking one's among them; never two of one person."""

    approval = models.ForeignKey(Approval, on_delete=models.CASCADE, related_name="consents")
    person = models.ForeignKey(User, on_delete=models.PROTECT)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["approval", "person"], name="one_yes_a_person")]

    def __str__(self) -> str:
        return f"{self.person} to {self.approval_id}"


class ApiToken(models.Model):
    """What a script shows instead of a login: never more than its owner may, and of that its scopes alone.

    The secret itself is kept nowhere; controlroom/access/tokens.py makes it and knows it again by its hash.
    """

    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=40, help_text="what it is for; the record names it")
    sha256 = models.CharField(max_length=64, unique=True)
    scopes = models.CharField(max_length=200, help_text="words of controlroom/access/tokens.py, a space between them")
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True, help_text="written once a minute at most")

    class Meta:
        verbose_name = "API token"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["owner", "name"], condition=models.Q(revoked_at__isnull=True), name="token_name_once"
            )
        ]

    def __str__(self) -> str:
        return f"token {self.pk} {self.name}"


def _backends() -> list[Any]:
    from django.contrib.auth import get_backends  # noqa: PLC0415 - the backends import this module

    return [backend for backend in get_backends() if hasattr(backend, "has_perm")]

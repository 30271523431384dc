"""Wrong passwords make the next try wait; kept in the database, so that an emptied Redis forgets nothing."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from controlroom.access.models import FailedLogin

WINDOW = timedelta(minutes=15)
TRIES = 5  # of one name from one address
TRIES_OF_ADDRESS = 30
TRIES_OF_NAME = 60  # from anywhere: an attacker elsewhere must not lock a person out with a handful of tries
KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Verdict:
    """Whether a login may be tried, and if not, in how many seconds."""

    wait_s: int

    @property
    def allowed(self) -> bool:
        """Whether a login may be tried now."""
        return self.wait_s == 0


def judge(*, username: str, address: str) -> Verdict:
    """Return whether this name may be tried from this address now."""
    since = timezone.now() - WINDOW
    recent = FailedLogin.objects.filter(at__gt=since)
    for found, limit in (
        (recent.filter(username=username, address=address), TRIES),
        (recent.filter(address=address), TRIES_OF_ADDRESS),
        (recent.filter(username=username), TRIES_OF_NAME),
    ):
        times = list(found.order_by("-at").values_list("at", flat=True)[:limit])
        if len(times) == limit:
            return Verdict(max(1, int((times[-1] + WINDOW - timezone.now()).total_seconds()) + 1))
    return Verdict(0)


def note_failure(*, username: str, address: str) -> None:
    """Remember a wrong password, and forget those of yesterday."""
    now = timezone.now()
    FailedLogin.objects.filter(at__lt=now - KEPT).delete()
    FailedLogin.objects.create(username=username[:150], address=address, at=now)


def forget(*, username: str, address: str) -> None:
    """Clear the slate of that name from that address: the password was right."""
    FailedLogin.objects.filter(username=username, address=address).delete()

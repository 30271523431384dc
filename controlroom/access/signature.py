"""The approvals key's word for a configuration: what people approved, or what a start took from its settings file."""

import time
from collections.abc import Sequence

from django.conf import settings

from audit.keys import private_key
from events.types import ControlEvent
from risk.actions import Sign
from worker.approvals import PURPOSE, sign


def signer(approvers: Sequence[str]) -> Sign:
    """Return what signs with the approvals key as it is now.

    Raises
    ------
    AuditError
        if there is no key to sign with.
    """
    key = private_key(settings.DATA, PURPOSE)

    def signed(event: ControlEvent, version: int) -> str:
        return sign(event, key, approvers=approvers, version=version, issued_ns=time.time_ns())

    return signed

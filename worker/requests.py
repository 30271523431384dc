"""What the control socket's requests do to the worker."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from worker.calls import Calls
from worker.core import Core
from worker.guard import Guard
from worker.kill import Kill, Scope, word
from worker.release import Passwords, ReleaseRefusedError

STATUS_S = 2.0
KILL_S = 0.9
RELEASE_S = 10.0


class SocketHandlers:
    """Answers of the control socket; every method runs in a thread of its own."""

    def __init__(self, core: Core, guard: Guard, calls: Calls, passwords: Passwords, view: Callable[[], bytes]) -> None:
        self._core = core
        self._guard = guard
        self._calls = calls
        self._passwords = passwords
        self._view = view

    def status(self) -> bytes:
        """Return the view as it is between two steps."""
        try:
            shown = self._calls.ask(self._view).result(STATUS_S)
        except TimeoutError:
            killed = sorted(self._core.switch.words)
            return msgspec.json.encode(
                {"ok": False, "reason": f"the trading thread did not answer within {STATUS_S:g} s", "killed": killed}
            )
        assert isinstance(shown, bytes)  # noqa: S101 - narrows the type of a future
        return shown

    def kill(self, scope: Scope, target: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Block at once; the answer comes when the orders are canceled, at the latest after 0.9 s."""
        before = self._guard.canceled
        kill = Kill(
            scope=scope,
            target=target,
            actor=actor,
            reason=reason,
            request_id=request_id or uuid.uuid4().hex,
            ts_ns=time.time_ns(),
        )
        made = self._core.switch.request(kill, "socket")
        done: Future[Any] = self._calls.ask(lambda: self._core.canceled_by(kill.request_id))
        try:
            canceled = done.result(KILL_S)
        except TimeoutError:
            canceled = self._guard.canceled - before
        return {"ok": True, "killed": [word(scope, target)], "canceled": canceled, "persisted": made.persisted}

    def release(self, user: str, password: str, reason: str) -> dict[str, Any]:
        """Verify in this thread, release in the trading thread."""
        try:
            self._passwords.verify(user, password, reason)
        except ReleaseRefusedError as error:
            refused = str(error)
            self._calls.ask(
                lambda: self._core.alert("RELEASE_REFUSED", f"release asked by {user!r}: {refused}", "warning")
            )
            return {"ok": False, "reason": refused}
        try:
            released = self._calls.ask(lambda: self._core.release(user, reason)).result(RELEASE_S)
        except TimeoutError:
            return {"ok": False, "reason": f"the trading thread did not answer within {RELEASE_S:g} s"}
        return {"ok": True, "reason": ""} if released else {"ok": False, "reason": "another kill stands"}

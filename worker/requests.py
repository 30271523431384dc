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
from worker.onetime import CodeRefusedError, Codes, uri
from worker.release import Credentials, Passwords, ReleaseRefusedError

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

    def drill(self, kill: Kill, *, hold: bool) -> dict[str, Any]:
        """Kill for real by the same code, take the times, lift that block again; with ``hold`` the caller lifts it."""
        try:
            refused = self._calls.ask(lambda: self._core.begin_drill(kill)).result(STATUS_S)
        except TimeoutError:
            refused = f"the trading thread did not answer within {STATUS_S:g} s"
        if refused:
            return {"ok": False, "reason": refused, "drill": True}
        began = time.perf_counter()
        made = self._core.switch.request(kill, "socket")
        blocked_ms = (time.perf_counter() - began) * 1e3
        try:
            canceled = self._calls.ask(lambda: self._core.canceled_by(kill.request_id)).result(RELEASE_S)
        except TimeoutError:
            return {"ok": False, "reason": "the trading thread hangs: the block stands, release it", "drill": True}
        times = {"blocked_ms": round(blocked_ms, 3), "canceled_ms": round((time.perf_counter() - began) * 1e3, 3)}
        killed = word(kill.scope, kill.target)
        told = f"drill by {kill.actor}: {killed} blocked after {times['blocked_ms']} ms, {canceled} orders "
        told += f"canceled after {times['canceled_ms']} ms"
        self._calls.ask(lambda: self._core.alert("KILL_DRILL", told, "info"))
        answer = {"ok": True, "drill": True, "killed": [killed], "canceled": canceled, **times}
        answer |= {"persisted": made.persisted, "request_id": kill.request_id}
        return answer if hold else answer | self.drill_over(kill.request_id)

    def drill_over(self, request_id: str) -> dict[str, Any]:
        """Lift a drill's own block, in the trading thread."""
        try:
            standing = self._calls.ask(lambda: self._core.end_drill(request_id)).result(RELEASE_S)
        except TimeoutError:
            standing = f"the trading thread did not answer within {RELEASE_S:g} s"
        return {"ok": not standing, "lifted": not standing, "reason": standing}

    def release(self, scope: Scope, target: str, person: Credentials, reason: str) -> dict[str, Any]:
        """Verify in this thread, release in the trading thread."""
        if refused := self._refused("release", person, reason):
            return {"ok": False, "reason": refused}
        try:
            asked = self._calls.ask(lambda: self._core.release(person.user, reason, scope, target))
            standing = asked.result(RELEASE_S)
        except TimeoutError:
            standing = f"the trading thread did not answer within {RELEASE_S:g} s"
        return {"ok": not standing, "reason": standing}

    def act(self, action: str, scope: Scope, target: str, person: Credentials, reason: str) -> dict[str, Any]:
        """Verify in this thread, act in the trading thread; the engine may refuse."""
        if refused := self._refused(action, person, reason):
            return {"ok": False, "reason": refused}
        asked = self._calls.ask(lambda: self._core.act(action, person.user, reason, scope, target))
        try:
            refused = asked.result(RELEASE_S)
        except TimeoutError:
            refused = f"the trading thread did not answer within {RELEASE_S:g} s"
        return {"ok": not refused, "reason": refused}

    def enrol(self, person: Credentials) -> dict[str, Any]:
        """Offer the secret of a first device; who has one changes it in the control room, with a code of it."""
        user = person.user
        try:
            secret = self._without_device(person).begin(user)
        except (ReleaseRefusedError, CodeRefusedError) as error:
            return {"ok": False, "reason": str(error)}
        return {"ok": True, "reason": "", "secret": secret, "uri": uri(user, secret)}

    def confirm(self, person: Credentials) -> dict[str, Any]:
        """Take the offered device by its first code."""
        try:
            shown = self._without_device(person).confirm(person.user, person.code)
        except (ReleaseRefusedError, CodeRefusedError) as error:
            return {"ok": False, "reason": str(error)}
        told = f"{person.user} enrolled a one-time code device in the shell"
        self._calls.ask(lambda: self._core.alert("CODES_ENROLLED", told, "info"))
        return {"ok": True, "reason": "", "recovery_codes": shown}

    def _without_device(self, person: Credentials) -> Codes:
        """Return the devices, once the password is right and this person has none of them."""
        self._passwords.verify(person.user, person.password, "enrol")
        codes = self._passwords.codes
        if codes is None or codes.enrolled(person.user):
            raise CodeRefusedError(
                f"{person.user} has a device; change it in the control room, or `./station reset-login {person.user}`"
            )
        return codes

    def _refused(self, action: str, person: Credentials, reason: str) -> str:
        """Return why this person may not act, "" if they may; a refusal is an alert."""
        try:
            self._passwords.verify(person.user, person.password, reason, person.code)
        except ReleaseRefusedError as error:
            refused = str(error)
            rule = "RELEASE_REFUSED" if action == "release" else "ACT_REFUSED"
            told = f"{action} asked by {person.user!r}: {refused}"
            self._calls.ask(lambda: self._core.alert(rule, told, "warning"))
            return refused
        return ""

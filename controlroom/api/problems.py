"""Errors as RFC 9457 has them: application/problem+json with type, title, status and detail, one sentence."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as Unreadable

from controlroom.access.kill import KillInputError
from controlroom.access.stepup import StepUpNeededError
from controlroom.pages.tournaments.asked import AskedError
from market.calendars import CalendarError
from market.occurrences import OccurrenceError
from market.store.port import QueryError, StoreUnavailableError
from tournaments.rules import RulesError
from tournaments.station import RequestError

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api"
LONGEST = 2000  # characters of a sentence, which may repeat what was sent
UNKNOWN_TOKEN = "The request has no token that is good now; see docs/api.md for how to get one."  # noqa: S105 - words
PAGE_ONLY = "No token may do this: it takes a person with password and one-time code. Use the page."
SAID: tuple[type[Exception], ...] = (
    AskedError, RequestError, RulesError, OccurrenceError, CalendarError, QueryError, KillInputError,
)  # fmt: skip
"""Errors of actions and parsers whose words are the sentence for whoever asked."""


def problem(status: int, detail: str, **headers: str) -> HttpResponse:
    """Return an answer with one sentence; headers with underscores for dashes."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": sentence(detail)}
    return HttpResponse(msgspec.json.encode(content), status=status, content_type=MEDIA_TYPE, headers=given)


def sentence(text: str) -> str:
    """Return words with a full stop; the first letter stays, since a field's or a person's name may begin them."""
    text = text.strip() if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return text if text.endswith((".", "?", "!")) else f"{text}."


def no_token() -> HttpResponse:
    """Return the one answer to all tokens that are no good, whatever is wrong with them."""
    return problem(401, UNKNOWN_TOKEN, WWW_Authenticate="Bearer")


def speak(api: NinjaAPI) -> None:
    """Let an API answer every error of ours so."""
    answers: dict[type[Exception], Callable[[Any], HttpResponse]] = {
        AuthenticationError: lambda _error: no_token(),
        HttpError: lambda error: problem(error.status_code, str(error.__cause__ or error)),
        Unreadable: lambda error: problem(422, error.errors[0]["sentence"]),
        StepUpNeededError: lambda _error: problem(403, PAGE_ONLY),
        PermissionDenied: lambda error: problem(403, str(error)),
        ValidationError: lambda error: problem(422, " ".join(error.messages)),
        Http404: lambda error: problem(404, str(error) or "There is nothing of that name"),
        RequestDataTooBig: lambda _error: problem(413, "The request's body is too large"),
        StoreUnavailableError: lambda error: problem(503, str(error), Retry_After="5"),
        **dict.fromkeys(SAID, lambda error: problem(422, str(error))),
    }
    for kind, answer in answers.items():
        api.add_exception_handler(kind, _handler(answer))


def _handler(answer: Callable[[Any], HttpResponse]) -> Callable[[HttpRequest, Any], HttpResponse]:
    return lambda _request, error: answer(error)


class ProblemAnswers:
    """Middleware: what Django itself refuses under /api/ (an address, a method, a fault) is said as a problem, too."""

    WORDS: ClassVar[dict[int, str]] = {
        400: "The request cannot be read",
        404: "There is nothing at this address; /api/v1/openapi.json lists what there is",
        500: "It failed; the reason is in the web process's log. Trading does not depend on it",
        503: "The database does not answer. The kill page and manage.py kill work all the same",
    }
    KEPT = ("Allow", "Retry-After")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        response = self._get_response(request)
        if not request.path.startswith(PREFIX) or response.status_code < 400:
            return response
        if response.headers.get("Content-Type", "") == MEDIA_TYPE:
            return response
        words = self.WORDS.get(response.status_code, "It is refused")
        if response.status_code == 405:
            words = f"{request.method} is not allowed here; allowed is {response.headers.get('Allow', 'nothing')}"
        kept = {name: response.headers[name] for name in self.KEPT if name in response.headers}
        return problem(response.status_code, words, **kept)

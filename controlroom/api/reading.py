"""How requests are read and answers written: strict JSON in, one sentence on what is wrong with it, finite JSON out."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import msgspec
from django.http import HttpRequest
from ninja import NinjaAPI, Router
from ninja.errors import ValidationError, ValidationErrorContext
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from pydantic import BaseModel, ConfigDict, WithJsonSchema

DEEPEST = 8  # no body that we take has more than three levels
SMALLEST, LARGEST = -(2**63), 2**63 - 1
SHOWN = 60  # characters of a wrong value that a sentence repeats


class Given(BaseModel):
    """A body: JSON's own types, nothing converted, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """RFC 9457: why a request is refused, in one sentence."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


PROBLEM_RESPONSE = {
    "description": "Refused: one sentence that names the field, its value and what is allowed",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
Plain = Annotated[Any, WithJsonSchema({"type": ["boolean", "integer", "number", "string"]})]
"""A value whose type and range the action judges: its sentence names the unit, which no schema does."""


class StrictParser(Parser):
    """JSON as RFC 8259 has it: no NaN, no number beyond 64 bit, no depth that nothing here has."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the body.

        Raises
        ------
        ValueError
            with one sentence; a msgspec.DecodeError is one.
        """
        try:
            found = msgspec.json.decode(request.body)
        except RecursionError as error:
            raise ValueError(_TOO_DEEP) from error
        if not isinstance(found, dict):
            raise ValueError("The body must be a JSON object")  # noqa: TRY004 - of somebody else's bytes
        _check(found)
        return found


class FiniteRenderer(BaseRenderer):
    """JSON of what handlers return; a number that is not finite is null."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:  # noqa: ARG002 - ninja's
        """Return the bytes."""
        return msgspec.json.encode(data)


class StationAPI(NinjaAPI):
    """Ninja's, with one sentence for a request that cannot be read, short names, and problems in its document."""

    _document: OpenAPISchema | None = None

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Return the document, made once: whoever asks for it needs no token."""
        if self._document is None:
            made = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
            made["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            for operation in (each for ways in made["paths"].values() for each in ways.values()):
                operation["responses"]["default"] = PROBLEM_RESPONSE
            self._document = made
        return self._document

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return a name that the document and the routes share: rules_draft."""
        return f"{operation.view_func.__module__.rpartition('.')[2]}_{operation.view_func.__name__}"

    def get_operation_url_name(self, operation: Operation, router: Router) -> str:  # noqa: ARG002 - ninja's
        """Return the same name for the route."""
        return self.get_openapi_operation_id(operation)

    def validation_error_from_error_contexts(
        self, error_contexts: list[ValidationErrorContext[Any]]
    ) -> ValidationError:
        """Return the error with the first problem's sentence."""
        context = error_contexts[0]
        found = context.pydantic_validation_error.errors(include_url=False)[0]
        known = [name for field in context.model.model_fields.values() for name in _fields(field.annotation)]
        return ValidationError([{"sentence": _sentence(dict(found), known or [])}])


def only_known(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a query that has a parameter which the handler does not know: a slip of the pen must not widen it."""

    @wraps(view)
    def asked(request: HttpRequest, *arguments: Any, **named: Any) -> Any:
        known = {name for key, value in named.items() if key not in _path(request) for name in _names(key, value)}
        if unknown := sorted(request.GET.keys() - known):
            words = (
                f"query has {_short(unknown[0])}, which is unknown; allowed are {', '.join(sorted(known)) or 'none'}"
            )
            raise ValidationError([{"sentence": words}])
        return view(request, *arguments, **named)

    return asked


_TOO_DEEP = f"The body is nested deeper than {DEEPEST} levels"


def _check(found: dict[str, Any]) -> None:
    """Refuse what no database or page can hold; without recursion, since this looks at what strangers send."""
    waiting: list[tuple[Any, int]] = [(found, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(_TOO_DEEP)
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif isinstance(value, int) and not SMALLEST <= value <= LARGEST:
            raise ValueError("The body has a whole number beyond 64 bits")
        elif isinstance(value, str) and "\0" in value:
            raise ValueError("The body has a text with a zero byte")


def _path(request: HttpRequest) -> dict[str, Any]:
    return {} if request.resolver_match is None else request.resolver_match.kwargs


def _names(key: str, value: object) -> list[str]:
    """Return the query's parameters that a handler's argument stands for."""
    if isinstance(value, Given):
        return []
    if not isinstance(value, BaseModel):
        return [key]
    return [field.alias or name for name, field in type(value).model_fields.items()]


def _fields(annotation: Any) -> list[str]:
    return list(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _sentence(found: dict[str, Any], known: list[str]) -> str:
    place = [str(part) for part in found["loc"] if part != "given"]
    name = ".".join(place) or "body"
    if found["type"] == "missing":
        return f"{name} is missing" if place else f"The body is missing; its fields are {', '.join(known)}"
    if found["type"] == "extra_forbidden":
        return f"{_short(name).strip(chr(39))} is no field; there are {', '.join(known)}"
    message = found["msg"]
    return f"{name} = {_short(found['input'])} is not allowed: {message[:1].lower()}{message[1:]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"

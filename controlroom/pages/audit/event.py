"""One record of a journal: what it says, its envelope, the records beside it, and the proof that it is in the tree."""

from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from audit.errors import AuditError
from audit.proofs import prove
from controlroom.live.files import paths
from controlroom.pages.audit.area import area_of, holds, in_words
from controlroom.pages.station import station_page
from events.reader import JournalReader, Stored, durable_next, frames
from events.seek import frame_offset
from events.segments import JournalError, decode_record, first_seq, segment_files
from market.store.port import EventScope

MOST_SHOWN = 65_536  # characters of a record that the page prints
Beside = dict[str, Any]


def journal_of(writer: str) -> JournalReader:
    """Return the reader of a journal of this station.

    Raises
    ------
    Http404
        if nobody of that name writes one.
    """
    folder = paths().journal / writer
    if not folder.is_dir():
        raise Http404
    return JournalReader(folder)


def _three(reader: JournalReader, seq: int) -> dict[int, Stored]:
    """Return the record and those beside it, by sequence, as far as they are there."""
    first = max(0, seq - 1)
    found = _quickly(reader.folder, first, seq + 1) or islice(reader.stored(first), seq + 2 - first)
    return {stored.record.seq: stored for stored in found}


def _quickly(folder: Path, first: int, last: int) -> list[Stored]:
    """Return these records where one segment holds all, durable; nothing where one look is not enough."""
    segments = [segment for segment in segment_files(folder) if first_seq(segment) <= first]
    if not segments or last >= (durable_next(folder) or 0):
        return []
    offset = frame_offset(segments[-1], first)
    if offset is None:
        return []
    raws = [raw for _, raw in islice(frames(segments[-1], offset, last=True), last - first + 1)]
    found = [Stored(decode_record(raw), raw) for raw in raws]
    return found if [each.record.seq for each in found] == list(range(first, last + 1)) else []


def _seen(found: Stored, area: EventScope | None) -> Stored:
    if not holds(area, agent_id=found.record.agent_id, event_type=found.record.type):
        raise PermissionDenied(
            f"record {found.record.seq} of {found.record.writer} is not of your area: you see {in_words(area)}"
        )
    return found


def _beside(found: Stored | None, area: EventScope | None) -> Beside | None:
    if found is None:
        return None
    visible = holds(area, agent_id=found.record.agent_id, event_type=found.record.type)
    return {"record": found.record, "hash": found.hash, "visible": visible}


def _told(found: Stored) -> dict[str, Any]:
    record, raw = found.record, found.raw.decode()
    pretty = msgspec.json.format(bytes(record.payload), indent=2).decode()
    return {
        "record": record,
        "hash": found.hash,
        "written_ms": record.utc_ns // 1_000_000,
        "bytes": len(found.raw),
        "raw": raw[:MOST_SHOWN],
        "pretty": pretty[:MOST_SHOWN],
        "whole": len(raw) <= MOST_SHOWN,
    }


@require_GET
def page(request: HttpRequest, writer: str, seq: int) -> HttpResponse:
    """Show a record."""
    context: dict[str, Any] = {"writer": writer, "seq": seq, "tab": ""}
    area = area_of(request.user)
    try:
        three = _three(journal_of(writer), seq)
    except (JournalError, OSError) as error:
        context["problem"] = str(error)
        three = {}
    else:
        if seq not in three:
            raise Http404
        before, after = _beside(three.get(seq - 1), area), _beside(three.get(seq + 1), area)
        found = _seen(three[seq], area)
        context |= {**_told(found), "before": before, "after": after}
        context["links_back"] = before is None or before["hash"] == found.record.prev
        context["links_on"] = after is None or after["record"].prev == found.hash
    return station_page(request, "pages/audit/event.html", page="Audit", context=context)


@require_GET
def proof(request: HttpRequest, writer: str, seq: int) -> HttpResponse:
    """Return the inclusion proof of a record, for whoever checks it: a browser, a script."""
    try:
        found = _three(journal_of(writer), seq).get(seq)
        if found is None:
            raise Http404
        _seen(found, area_of(request.user))
        return HttpResponse(msgspec.json.encode(prove(paths(), writer, seq)), content_type="application/json")
    except (AuditError, JournalError, OSError) as error:
        return JsonResponse({"error": str(error)}, status=409)


@require_GET
def by_number(request: HttpRequest) -> HttpResponse:
    """Lead from a number that a person typed to its record."""
    writer, seq = request.GET.get("writer", ""), request.GET.get("seq", "").strip().replace(" ", "")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 16 and writer.replace("-", "").isalnum()):
        sentence = f"record {seq[:20]!r} of {writer[:20]!r} is no number of a record; allowed are 0 and above"
        return HttpResponse(sentence, status=400, content_type="text/plain; charset=utf-8")
    return redirect("audit-event", writer=writer, seq=int(seq))

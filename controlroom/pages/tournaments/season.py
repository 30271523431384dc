"""The season: every round with its standings and capital, newest first; its measures; the form that asks for more."""

from typing import TYPE_CHECKING, Any, cast

import msgspec
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods

from controlroom.access.headers import allow_inline_styles
from controlroom.live.rows import strategies
from controlroom.live.source import read_now
from controlroom.pages.formats import plain
from controlroom.pages.station import station_page
from controlroom.pages.tournaments.asked import FIELDS, AskedError, parsed, reason_of
from controlroom.pages.tournaments.capital import capital_of
from controlroom.pages.tournaments.shown import agents_of, error, milliseconds, percent, span, state_of
from controlroom.relay.doorbell import ring
from events.actors import Actor
from market.calendars import CalendarError

if TYPE_CHECKING:
    from tournaments.models import TournamentRound
    from tournaments.record import RoundRecord, Score

SHOWN = 26  # rounds on a page: half a year
DEPLOYED, SHADOW = "deployed", "shadow"  # as Allocation has them in its address
KINDS = ((DEPLOYED, "Deployed"), (SHADOW, "SHADOW"))


@allow_inline_styles
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the season."""
    return _page(request)


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """Return the six measures of the newest two years, of one kind of rounds; nothing (204) to who has seen them."""
    from controlroom.pages.tournaments import measures, measures_told  # noqa: PLC0415 - the package's docstring says why

    view, which = read_now()[0].view or {}, _which(request)
    shadow = which == SHADOW
    digest = measures.digest(which, list(agents_of(view, strategies(view)["order"]).values()))
    if request.GET.get("seen") == digest:
        return HttpResponse(status=204)
    found = measures.measured(station_bars=not shadow)
    return JsonResponse({"of": which, "digest": digest, **measures_told.told(found, view, shadow=shadow)})


def _which(request: HttpRequest) -> str:
    return SHADOW if request.GET.get("of") == SHADOW else DEPLOYED


@allow_inline_styles
@require_http_methods(["GET", "POST"])
def run(request: HttpRequest) -> HttpResponse:
    """Ask for a round and show it; what is wrong is a sentence beside the form."""
    if request.method == "GET":
        return redirect("tournaments")
    typed = {name: request.POST.get(name, "") for name in FIELDS}
    try:
        row, new = _ask(cast("Actor", request.user), typed)
    except (AskedError, CalendarError) as problem:
        return _page(request, typed, str(problem))
    messages.info(request, f"Round {row.round_id} " + ("is asked for." if new else "was asked for before: this is it."))
    return redirect("tournament", row.round_id)


def _ask(actor: Actor, typed: dict[str, str]) -> "tuple[TournamentRound, bool]":
    """Ask for the round that was typed, and ring for it once that is committed; return whether it is new."""
    from market.occurrences import OccurrenceError  # noqa: PLC0415
    from tournaments import actions, selectors  # noqa: PLC0415 - the package's docstring says why
    from tournaments.station import RequestError, occurrence_of  # noqa: PLC0415

    asked, reason = parsed(typed), reason_of(typed["reason"])
    try:
        before = selectors.round_by_id(occurrence_of(asked, selectors.active_rules()).key)
        if before is not None and before.request != msgspec.json.encode(asked).decode():
            raise AskedError(f"{before.round_id} is there already, held on other inputs; give this one another name")
        with transaction.atomic():
            row, job = actions.ask_round(request=asked, reason=reason, actor=actor)
            transaction.on_commit(lambda: ring(job))
    except (RequestError, OccurrenceError) as problem:
        raise AskedError(str(problem)) from problem
    return row, before is None


def _page(request: HttpRequest, typed: dict[str, str] | None = None, problem: str = "") -> HttpResponse:
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    now, text = read_now(), request.GET.get("page", "1")
    number = max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 5 else 1
    held = selectors.season()
    begin = (number - 1) * SHOWN
    shown = held[begin : begin + SHOWN]
    versions = selectors.allocations_of(row.round_id for row in shown)
    rows = [
        _row(row, selectors.record_of(row), now[0].view or {})
        | {"capital": capital_of(row, versions.get(row.round_id))}
        for row in shown
    ]
    context = {
        "tab": "season", "rounds": rows, "count": len(held), "number": number, "older": len(held) > begin + SHOWN,
        "of": _which(request), "kinds": KINDS, "shadow_count": sum(not row.station_bars for row in held),
        "rules": selectors.active_rules(), "typed": typed or {"seed": "1", "capital": "1000000"}, "problem": problem,
    }  # fmt: skip
    response = station_page(request, "pages/tournaments/season.html", page="Tournaments", context=context, now=now)
    response.status_code = 400 if problem else 200
    return response


def _row(row: "TournamentRound", record: "RoundRecord | None", view: dict[str, Any]) -> dict[str, Any]:
    state, words = state_of(row.state)
    shown = {
        "row": row, "state": state, "words": words, "as_of_ms": milliseconds(row.as_of_ns), "sessions": "",
        "standings": [], "rowspan": 1, "reason": row.reason or (record.round.reason if record else ""),
    }  # fmt: skip
    if record is None:
        return shown
    shown["sessions"] = ", ".join(sorted({each.date for each in record.round.sessions.values()}))
    ranked = sorted(record.scores, key=lambda score: (score.rank, score.agent))
    agents = agents_of(view, (score.agent for score in record.scores))
    shown["standings"] = [_standing(score, record) | {"agent": agents[score.agent]} for score in ranked]
    shown["rowspan"] = max(1, len(ranked))
    shown["sure"] = percent(record.first_is_best, 0)
    return shown


def _standing(score: "Score", record: "RoundRecord") -> dict[str, Any]:
    made = record.allocated
    return {
        "challenger": record.opened is not None and score.agent in record.opened.challengers,
        "rank": score.rank, "total": plain(score.total, 3), "error": error(score.error, 3), "low": plain(score.low, 3),
        "high": plain(score.high, 3), "span": span(score.low, score.high, score.total), "best": percent(score.best, 0),
        "base": percent(made.base.get(score.agent) if made else None, 2),
        "pool": percent(made.competitive.get(score.agent) if made else None, 2),
    }  # fmt: skip

"""One round: its steps, what was handed in and said once that may be read, scores, allocation, settlement."""

from typing import TYPE_CHECKING, Any

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from controlroom.live.source import read_now
from controlroom.pages.station import station_page
from controlroom.pages.tournaments import debates, results
from controlroom.pages.tournaments.capital import capital_of
from controlroom.pages.tournaments.shown import ENDED, agents_of, milliseconds, state_of
from events.models import Job, Outbox

if TYPE_CHECKING:
    from tournaments.models import TournamentRound
    from tournaments.record import RoundRecord
    from tournaments.rounds import Round


@require_GET
def page(request: HttpRequest, round_id: str) -> HttpResponse:
    """Show the round; htmx gets what changes of it alone, as long as somebody works on it."""
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    row = selectors.round_by_id(round_id)
    if row is None:
        raise Http404(f"There is no round {round_id}.")
    now = read_now()
    record = selectors.record_of(row)
    context = {"row": row, **_job(row), **_head(row)}
    context["capital"] = capital_of(row, selectors.allocations_of([row.round_id]).get(row.round_id))
    if record is not None:
        context |= _shown(readable(record), now[0].view or {}, request.GET.get("agent", ""))
    if getattr(request, "htmx", None):
        return render(request, "pages/tournaments/round.html", context)
    return station_page(request, "pages/tournaments/one_round.html", page="Tournaments", context=context, now=now)


def readable(record: "RoundRecord") -> "RoundRecord":
    """Return what may be read of a record: before the reveal no entry and nothing that was said about one."""
    if record.round.result("challenge") is not None:
        return record
    return msgspec.structs.replace(record, entries={}, revised={}, debates={})


def _head(row: "TournamentRound") -> dict[str, Any]:
    from tournaments.station import RoundRequest  # noqa: PLC0415 - the package's docstring says why

    state, words = state_of(row.state)
    asked = msgspec.json.decode(row.request, type=RoundRequest)
    return {"state": state, "words": words, "as_of_ms": milliseconds(row.as_of_ns), "asked": asked}


def _job(row: "TournamentRound") -> dict[str, Any]:
    from tournaments.selectors import newest_job  # noqa: PLC0415 - the package's docstring says why

    job = newest_job(row)
    return {"job": job, "under_way": job is not None and job.state in {Job.State.WAITING, Job.State.RUNNING}}


def _shown(record: "RoundRecord", view: dict[str, Any], chosen: str) -> dict[str, Any]:
    held, opened = record.round, record.round.result("open")
    agents = agents_of(view, opened.agents if opened else ())
    agent = agents.get(chosen) or next(iter(agents.values()), None)
    revealed = held.result("challenge") is not None
    shown: dict[str, Any] = {
        "record": record, "round": held, "opened": record.opened, "steps": _steps(held), "revealed": revealed,
        "settles_ms": milliseconds(held.settles_ns), "agents": agents, "agent": agent,
        "sessions": [{"calendar": name, "date": each.date} for name, each in held.sessions.items()],
        "entries": _entries(record, agents, _commitments(held.round_id, agents)),
    }  # fmt: skip
    if agent is not None and revealed:
        shown |= {"predictions": debates.predictions(record, agent.name), "claims": debates.claims(record, agent.name)}
    return shown | {
        "scores": results.scores(record, agents), "families": results.families(record, agents),
        "allocation": results.allocation(record, agents), "settlement": results.settlement(record, agents),
    }  # fmt: skip


def _steps(held: "Round") -> list[dict[str, Any]]:
    from tournaments.rounds import STEPS  # noqa: PLC0415 - the package's docstring says why

    found = []
    for step in STEPS:
        result = held.result(step.name)
        if result is not None:
            state = "late" if result.late else "done"
        elif held.state in ENDED:
            state = "never"
        else:
            state = "now" if held.state == step.name else "coming"
        found.append({
            "name": step.name, "state": state, "done_ms": milliseconds(result.at_ns) if result else None,
            "by_ms": milliseconds(held.deadlines_ns.get(step.name)), "count": len(result.agents) if result else 0,
            "counts": step.counts, "sha256": result.sha256 if result else "",
        })  # fmt: skip
    return found


def _commitments(round_id: str, names: Any) -> dict[str, str]:
    """Return each agent's commitment as the record was told of it; what was sealed is not read."""
    from tournaments.rounds import event_id  # noqa: PLC0415 - the package's docstring says why

    by_id = {event_id(round_id, "predict", "CommitmentEvent", name): name for name in names}
    told = Outbox.objects.filter(request_id__in=by_id).values_list("request_id", "payload")
    return {by_id[request_id]: msgspec.json.decode(payload)["commitment"] for request_id, payload in told}


def _entries(record: "RoundRecord", agents: Any, commitments: dict[str, str]) -> list[dict[str, Any]]:
    predicted = record.round.result("predict")
    found = []
    for name, agent in agents.items():
        row: dict[str, Any] = {"agent": agent, "commitment": commitments.get(name, ""), "state": "waits"}
        if predicted is not None:
            row["state"] = "handed in" if name in predicted.agents else "abstained"
        if name in record.entries:
            row |= debates.entry(record, name)
        found.append(row)
    return found

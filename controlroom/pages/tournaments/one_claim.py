"""The stress path of one claim, large: to hover over, zoom into and take away, with its numbers as a table."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from controlroom.access.headers import allow_inline_styles
from controlroom.live.source import read_now
from controlroom.pages.station import station_page
from controlroom.pages.tournaments import debates, stress_paths
from controlroom.pages.tournaments.one_round import readable
from controlroom.pages.tournaments.shown import agents_of


@require_GET
@allow_inline_styles
def page(request: HttpRequest, round_id: str, agent: str, number: int) -> HttpResponse:
    """Show the path of an entrant's claim, counted from 1."""
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    row = selectors.round_by_id(round_id)
    record = selectors.record_of(row) if row is not None else None
    debate = readable(record).debates.get(agent) if record is not None else None
    if record is None or record.opened is None or debate is None or not 1 <= number <= len(debate.rulings):
        raise Http404(f"There is no ruling on claim {number} against {agent} in round {round_id}.")
    ruled, interval_s, now = debate.rulings[number - 1], record.opened.interval_s, read_now()
    if ruled.path is None:
        raise Http404(f"The stress paths of round {round_id} were not kept.")
    context: dict[str, Any] = {
        "row": row, "opened": record.opened, "agent": agents_of(now[0].view or {}, sorted(record.debates))[agent],
        "claim": debates.claims(record, agent)[number - 1], "claims": range(1, len(debate.rulings) + 1),
        "table": stress_paths.table(ruled.path, interval_s),
        "chart": stress_paths.explored(ruled.path, ruled, interval_s),
    }  # fmt: skip
    return station_page(request, "pages/tournaments/claim.html", page="Tournaments", context=context, now=now)

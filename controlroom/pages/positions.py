"""Positions: what is held, by symbol and by strategy, at which mark, and the account's totals."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from controlroom.live.rows import strategies
from controlroom.live.source import read_now
from controlroom.pages.station import station_page


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the positions."""
    now = read_now()
    table = strategies(now[0].view or {})
    columns = [(f"by_{index + 1}", table["by"][name]) for index, name in enumerate(table["order"])]
    return station_page(
        request, "pages/positions.html", page="Positions", topics=("positions",), context={"columns": columns}, now=now
    )

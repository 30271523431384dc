"""The API with its routers, in the order in which addresses are tried."""

from controlroom.api import allocations, audit, kill, limits, never, orders, status
from controlroom.api.problems import speak
from controlroom.api.reading import FiniteRenderer, StationAPI, StrictParser, only_known
from controlroom.api.tournaments import evolution, rounds, rules, simulations
from events import VERSION

api = StationAPI(
    title="AI Trading Station", version="1", description=f"Station {VERSION}. A token reads, asks, tightens and stops; "
    "it never approves, loosens, releases or goes LIVE. Errors are application/problem+json.",
    urls_namespace="api", docs_url=None, renderer=FiniteRenderer(), parser=StrictParser(),
)  # fmt: skip
speak(api)
api.add_decorator(only_known)
for prefix, router, tag in (
    ("/status", status.router, "status"),
    ("/tournaments/rules", rules.router, "tournaments"),
    ("/tournaments/simulations", simulations.router, "tournaments"),
    ("/tournaments/evolution", evolution.router, "tournaments"),
    ("/tournaments", rounds.router, "tournaments"),  # last: a round's id may look like anything
    ("/allocations", allocations.router, "allocation"),
    ("/positions", status.positions_router, "trading"),
    ("/orders", orders.router, "trading"),
    ("/limits", limits.router, "risk"),
    ("/audit", audit.router, "audit"),
    ("/kill", kill.router, "kill"),
    ("", never.router, "for people only"),
):
    api.add_router(prefix, router, tags=[tag])

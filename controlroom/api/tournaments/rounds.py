"""The season, one round as far as it may be read, and asking for a round."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from django.db import transaction
from django.http import Http404, HttpRequest
from ninja import Router, Schema
from pydantic import Field

from controlroom.api.door import Token, actor_of
from controlroom.api.reading import Given
from controlroom.pages.tournaments.asked import parsed, reason_of
from controlroom.pages.tournaments.capital import capital_of
from controlroom.relay.doorbell import ring

if TYPE_CHECKING:
    from tournaments.models import AllocationVersion, TournamentRound
    from tournaments.record import RoundRecord

router = Router()
MOST_PAGES = 10_000
Limit = Annotated[int, Field(ge=1, le=100, description="rounds on a page")]
PageNumber = Annotated[int, Field(ge=1, le=MOST_PAGES)]


class Standing(Schema):
    """One entrant's place; ``low`` to ``high`` is the central 95 %, ``best`` the probability that nobody is better.

    ``base`` and ``competitive``: fractions of the capital, null before the allocation.
    """

    agent: str
    rank: int
    total: float
    error: float | None
    low: float
    high: float
    best: float
    challenger: bool
    base: float | None
    competitive: float | None


class Capital(Schema):
    """What became of a round's weights; a round in SHADOW moves no capital."""

    shadow: bool
    state: str
    sentence: str


class RoundRow(Schema):
    """A round in the season; ``as_of_ns``: UTC nanoseconds of the market's time."""

    round_id: str
    state: str
    reason: str
    rules_version: int
    as_of_ns: int
    first_is_best: float | None
    standings: list[Standing]
    capital: Capital


class Rounds(Schema):
    """A page of the season, newest first."""

    page: int
    older: bool
    rounds: list[RoundRow]


class OneRound(RoundRow):
    """A round with all that may be read of it.

    ``asked``: what it is held on (tournaments/station.py). ``record``: tournaments/record.py, RoundRecord; null before
    its first step, and without entries and what was said of them before these are revealed.
    """

    asked: dict[str, Any]
    record: dict[str, Any] | None


class RoundAsked(Given):
    """A round by hand over files on the station's machine; as the form of the page Tournaments."""

    bars: list[str] = Field(description="whole paths of .parquet or .csv files, on the station's machine")
    as_of: str = Field(description="ISO 8601 with its zone: 2019-02-10T07:00:00Z")
    symbols: list[str] = Field(default=[], description="these alone; all that the files share where empty")
    seed: int = 1
    capital: float = Field(default=1_000_000.0, description="in the instruments' currency")
    name: str = Field(default="", description="of a round outside the schedule's; 24 letters at most")
    reason: str = Field(description="why, for the journal; 3 to 500 characters")


class Asked(Schema):
    """A round that is asked for: look at it again under its id."""

    round_id: str
    state: str
    rules_version: int


@router.get("", auth=Token("tournaments"), response=Rounds, summary="The season, newest first")
def season(request: HttpRequest, limit: Limit = 26, page: PageNumber = 1) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return a page of the season."""
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    begin = (page - 1) * limit
    held = selectors.season(begin + limit + 1)[begin:]
    versions = selectors.allocations_of(row.round_id for row in held[:limit])
    rows = [_row(row, selectors.record_of(row), versions.get(row.round_id)) for row in held[:limit]]
    return {"page": page, "older": len(held) > limit, "rounds": rows}


@router.post("", auth=Token("tournament-run"), response={202: Asked}, summary="Ask for a round by hand, in SHADOW")
def run(request: HttpRequest, given: RoundAsked) -> dict[str, Any]:
    """Ask for a round, or for one that was asked for before; a job holds it."""
    from tournaments import actions  # noqa: PLC0415 - the package's docstring says why

    asked = parsed({
        "bars": "\n".join(given.bars), "as_of": given.as_of, "symbols": "\n".join(given.symbols),
        "seed": str(given.seed), "capital": repr(given.capital), "name": given.name,
    })  # fmt: skip
    reason = reason_of(given.reason)
    with transaction.atomic():
        row, job = actions.ask_round(request=asked, reason=reason, actor=actor_of(request))
        transaction.on_commit(lambda: ring(job))
    return {"round_id": row.round_id, "state": row.state, "rules_version": row.rules_version}


@router.get("/{path:round_id}", auth=Token("tournament"), response=OneRound, summary="One round")
def one_round(request: HttpRequest, round_id: str) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return a round as its page shows it: what is sealed is not among it."""
    from controlroom.pages.tournaments.one_round import readable  # noqa: PLC0415 - the package's docstring says why
    from tournaments import selectors  # noqa: PLC0415

    row = selectors.round_by_id(round_id) if round_id.isprintable() else None
    if row is None:
        raise Http404(f"There is no round {round_id[:64]!r}")
    record = selectors.record_of(row)
    shown = None if record is None else msgspec.to_builtins(readable(record))
    made = selectors.allocations_of([row.round_id]).get(row.round_id)
    return _row(row, record, made) | {"asked": msgspec.json.decode(row.request), "record": shown}


def _row(row: "TournamentRound", record: "RoundRecord | None", version: "AllocationVersion | None") -> dict[str, Any]:
    ranked = [] if record is None else sorted(record.scores, key=lambda score: (score.rank, score.agent))
    return {
        "round_id": row.round_id, "state": row.state, "rules_version": row.rules_version, "as_of_ns": row.as_of_ns,
        "reason": row.reason or ("" if record is None else record.round.reason),
        "first_is_best": None if record is None else record.first_is_best,
        "standings": [_standing(score, record) for score in ranked], "capital": capital_of(row, version),
    }  # fmt: skip


def _standing(score: Any, record: Any) -> dict[str, Any]:
    made = record.allocated
    return {name: getattr(score, name) for name in ("agent", "rank", "total", "error", "low", "high", "best")} | {
        "challenger": record.opened is not None and score.agent in record.opened.challengers,
        "base": None if made is None else made.base.get(score.agent),
        "competitive": None if made is None else made.competitive.get(score.agent),
    }

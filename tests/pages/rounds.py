"""Rounds for the pages: held by the station's own steps on drawn bars of New York's calendar, small and repeatable."""

import json
import re
from functools import lru_cache
from html import unescape
from typing import Any

import msgspec
import numpy as np

from agents.lookahead import slices
from agents.strategies import STRATEGIES, parameter_array
from engine.configuration import load_settings
from events.models import Outbox
from market.bars import empty_bars
from market.calendars import DAY_NS, sessions
from market.instruments import instrument_for
from tournaments.market import Market
from tournaments.models import TournamentRound
from tournaments.record import RoundRecord
from tournaments.rounds import Round, Voided, advance
from tournaments.rules import Rules
from tournaments.season import Season, rounds
from tournaments.station import RoundRequest
from tournaments.stress.policies import Entrant

SUNDAY_NS = 1_546_758_000_000_000_000  # 2019-01-06 02:00 in New York
FIRST_NS = SUNDAY_NS - 120 * DAY_NS
SYMBOLS = ("AAPL", "IBM", "MSFT")
STEPS = ("open", "predict", "challenge", "defend", "rule", "score", "allocate", "settle")
SMALL = Rules(stress_paths=20, stress_symbols=2)
LEFT = {
    "open": (),
    "predict": ("opened",),
    "challenge": ("opened", "climatology"),
    "settle": ("opened", "climatology", "entries", "revised", "debates", "scores", "first_is_best", "allocated"),
}
"""State of a round to the parts of its record that its page may have."""


def market(days: int = 140, seed: int = 1) -> Market:
    """Return daily bars that walk without a drift."""
    known = sessions("XNYS", FIRST_NS, FIRST_NS + (days + 20) * DAY_NS)
    inside = known.closes_ns < FIRST_NS + days * DAY_NS
    opens_ns, closes_ns = known.opens_ns[inside], known.closes_ns[inside]
    generator, parts, columns = np.random.default_rng(seed), [], []
    for column in range(len(SYMBOLS)):
        bars = empty_bars(len(opens_ns))
        moves = 0.01 * generator.standard_normal(len(opens_ns))
        bars["close"] = 100.0 * np.exp(np.cumsum(moves))
        bars["open"] = bars["close"] / np.exp(0.7 * moves)
        bars["high"] = np.maximum(bars["open"], bars["close"]) * 1.002
        bars["low"] = np.minimum(bars["open"], bars["close"]) / 1.002
        bars["volume"] = 1e6
        bars["open_ns"], bars["close_ns"] = opens_ns, closes_ns
        parts.append(bars)
        columns.append(np.full(len(bars), column))
    history = slices(np.concatenate(columns), np.concatenate(parts), [known] * len(SYMBOLS))
    return Market(tuple(instrument_for(each) for each in SYMBOLS), (known,) * len(SYMBOLS), history)


@lru_cache(maxsize=1)
def held() -> tuple[RoundRecord, ...]:
    """Return two rounds, the later one settled on what the earlier one left."""
    entrants = tuple(Entrant(each.name, each, parameter_array(each, {})) for each in STRATEGIES)
    season = Season(market(), entrants, SMALL, load_settings().costs, 1e6)
    return tuple(rounds(season, after_ns=SUNDAY_NS - 1, until_ns=SUNDAY_NS + 7 * DAY_NS))


def at(state: str, record: RoundRecord | None = None) -> RoundRecord:
    """Return a round as its page finds it while it waits for a step: nothing of what comes later is in it."""
    record = record or held()[0]
    results = record.round.results[: STEPS.index(state)]
    begun: Round = msgspec.structs.replace(record.round, state=state, results=results, ended_ns=None)
    return RoundRecord(round=begun, **{name: getattr(record, name) for name in LEFT[state]})


def void(reason: str) -> RoundRecord:
    """Return a round that ended after its opening."""
    before = at("predict")
    ended = advance(before.round, Voided(reason, before.round.started_ns + 10**9))
    return msgspec.structs.replace(before, round=ended)


def stored(record: RoundRecord, *, round_id: str = "", sealed: str = "{}") -> TournamentRound:
    """Put a round into the database as the station's own steps do."""
    opened = record.opened
    request = RoundRequest(bars=["/bars/daily.parquet"], as_of_ns=opened.as_of_ns if opened else SUNDAY_NS)
    if round_id:
        record = msgspec.structs.replace(record, round=msgspec.structs.replace(record.round, round_id=round_id))
    return TournamentRound.objects.create(
        round_id=record.round.round_id, rules_version=record.round.rules_version, as_of_ns=request.as_of_ns,
        state=record.round.state, reason=record.round.reason, request=msgspec.json.encode(request).decode(),
        record=msgspec.json.encode(record).decode(), sealed=sealed, actor="station",
    )  # fmt: skip


def told(action: str) -> list[dict[str, Any]]:
    """Return what the record was told of an action of people."""
    rows = [json.loads(row.payload) for row in Outbox.objects.filter(type="AuditEvent")]
    return [row for row in rows if row["action"] == action]


def text_of(html: str) -> str:
    """Return what a person reads."""
    return unescape(re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", html)))

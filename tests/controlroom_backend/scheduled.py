"""A station whose journal has drawn daily bars, and rounds that its engine's clock names."""

import json

import msgspec
import pandas as pd

from controlroom.jobs import rounds
from controlroom.relay.incoming import handle
from engine.configuration import Configuration, Source, Tournaments, load_settings
from events.bus import Entry
from events.codec import encode_payload, envelope
from events.journal import JournalWriter
from events.models import Job, Outbox
from events.streams import WORKER_EVENTS
from events.types import AccountEvent, Bar, JobDue, MarketSlice
from market.instruments import instrument_for
from market.occurrences import latest
from risk.actions import create_configuration
from tests.tournaments.seasons import days
from tournaments.models import RulesVersion, TournamentRound
from tournaments.rules import Rules, canonical_json, fingerprint, schedule_of

FAST = Rules(version=1, stress_paths=20, stress_symbols=2)
SYMBOLS = ("AAA", "BBB", "CCC")


def at(text, zone="America/New_York"):
    return pd.Timestamp(text, tz=zone).value


def configured(*, waits=True, weights=None, operators=1):
    settings = load_settings()
    if weights is not None:
        settings = msgspec.structs.replace(settings, weights=settings.weights | weights)
    plain = Configuration(
        version=1, mode="PAPER", settings=settings, instruments=[instrument_for(name) for name in SYMBOLS],
        source=Source(feed="replay", label="REPLAY", detail="drawn", interval_s=86_400, waits=waits),
        tournaments=Tournaments(schedule=schedule_of(FAST)), operators=operators,
    )  # fmt: skip
    create_configuration(
        build=lambda version: msgspec.json.encode(msgspec.structs.replace(plain, version=version)), actor=None,
        reason="start",
    )  # fmt: skip


def started(paths, rules=FAST, *, operators=1):
    """Configure a station whose rules are small, on the first of May 2018; return its folders."""
    RulesVersion.objects.create(
        version=1, content=canonical_json(rules).decode(), sha256=fingerprint(rules), status="active", author="ada",
        reason="small", activated_at=pd.Timestamp("2018-05-01", tz="UTC"),
    )  # fmt: skip
    configured(operators=operators)
    return paths


def journaled(paths, *, until_ns, count=60, **drawn):
    """Write drawn daily bars as the worker's journal has them; return the last sequence that is before an instant."""
    market, last = days(count, len(SYMBOLS), **drawn), -1
    journal = JournalWriter(paths.journal / "execution", "execution", "run")
    for row, bars in enumerate(market.daily.bars):
        close_ns = int(market.daily.now_ns[row])
        told = [
            Bar(
                feed="replay", symbol=name, open_ns=int(market.daily.session_open_ns[row, k]), interval_s=86_400,
                **{field: float(bars[k][field]) for field in ("open", "high", "low", "close", "volume")},
                close_ns=close_ns, exchange="XNYS",
            )
            for k, name in enumerate(SYMBOLS)
            if bars[k]["present"]
        ]  # fmt: skip
        batch = [
            ("MarketSlice", "replay", MarketSlice(feed="replay", position=f"{row}-0", close_ns=close_ns, bars=told)),
            ("AccountEvent", "engine", account(close_ns, 900_000.0 + row)),
        ]
        made = journal.append([(kind, agent, None, None, encode_payload(each)) for kind, agent, each in batch])
        if close_ns <= until_ns:
            last = made[-1]
    journal.sync()
    journal.close()
    return last


def account(engine_ns, equity):
    numbers = dict.fromkeys(("gross", "net", "realised", "unrealised", "drawdown", "day_pnl"), 0.0)
    return AccountEvent(
        engine_ns=engine_ns, cash_micro=round(equity * 1e6), fees_micro=0, equity=equity, high_water=equity,
        strategies={}, units={}, **numbers,
    )  # fmt: skip


OPENING = latest(schedule_of(FAST), at("2018-07-08 02:00"))


def due(job, occurrence, at_ns, last, id_=""):
    told = JobDue(engine_ns=at_ns, job=job, occurrence=occurrence, effective_from_ns=at_ns, through_seq=last, wait=True)
    message = envelope("JobDue", "engine", told, at_ns, id=id_ or f"worker:{occurrence}")
    handle(Entry(WORKER_EVENTS, "1-1", message))
    return Job.objects.get(occurrence=occurrence)


def held(last, opening=OPENING):
    """Hold the round of an opening on the journal's records up to ``last``."""
    job = due("tournament", opening.key, opening.opens_ns, last)
    assert rounds.scheduled(job_id=job.id, owner="me")
    return TournamentRound.objects.get(round_id=opening.key)


def words(stream="control.worker"):
    return [(row.type, json.loads(row.payload)) for row in Outbox.objects.filter(stream=stream).order_by("id")]

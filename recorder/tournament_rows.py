"""Rows of a tournament's events: each is one of the audit, a strategy's result one of the results too. Pure."""

import msgspec

from events.codec import decode_payload
from events.tournament import TournamentResultEvent
from market.store.port import Batch, EventRow, TournamentAuditRow, TournamentResultRow

IN_COLUMNS = frozenset(
    {"round_id", "strategy_id", "prediction_accuracy", "challenge_resilience", "risk_score", "capital_allocation"}
)
"""Fields of a result that have a column; the others are its ``tournament_metrics``."""

PERCENT = 100.0


class _Named(msgspec.Struct):
    """The round, and whom of it an event is about: its types call that one or the other."""

    round_id: str = ""
    strategy_id: str = ""
    agent: str = ""


_named = msgspec.json.Decoder(_Named).decode


def add_tournament_rows(event: EventRow, batch: Batch) -> None:
    """Add what an event of a tournament is in the tables of tournaments.

    Raises
    ------
    CodecError
        for a result that its type does not describe, which is in the audit by then, as every other event is.
    """
    batch.tournament_audit.append(_audit(event))
    if event.event_type == "TournamentResultEvent":
        result: TournamentResultEvent = decode_payload(event.event_type, event.metadata.encode())
        batch.tournament_results.append(_result(event, result))


def _audit(event: EventRow) -> TournamentAuditRow:
    try:
        about = _named(event.metadata)
    except msgspec.DecodeError:
        about = _Named()
    return TournamentAuditRow(
        ts_ns=event.ts_ns,
        tournament_id=about.round_id,
        strategy_id=about.strategy_id or about.agent,
        event_type=event.event_type,
        event_data=event.metadata,
        cryptographic_hash=event.hash_current,
        previous_hash=event.hash_prev,
        seq=event.seq,
        writer=event.writer,
    )


def _result(event: EventRow, result: TournamentResultEvent) -> TournamentResultRow:
    fields = msgspec.structs.asdict(result)
    return TournamentResultRow(
        ts_ns=event.ts_ns,
        tournament_id=result.round_id,
        strategy_id=result.strategy_id,
        prediction_accuracy=result.prediction_accuracy,
        challenge_resilience=result.challenge_resilience,
        risk_adjusted_return=result.risk_score,
        capital_allocation_percent=PERCENT * result.capital_allocation,
        tournament_metrics={name: value for name, value in fields.items() if name not in IN_COLUMNS},
        seq=event.seq,
        writer=event.writer,
    )

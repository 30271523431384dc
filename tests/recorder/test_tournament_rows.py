"""What a held round's records become in the tables of tournaments."""

from itertools import pairwise

import msgspec
import pytest

from events.codec import encode_payload
from events.journal import JournalReader, JournalWriter
from events.tournament import TYPES, TournamentResultEvent
from market.store.embedded import EmbeddedStore
from market.store.port import Batch, Position, TournamentAuditRow, TournamentFilter, TournamentResultRow
from recorder.projector import project
from recorder.tail import Tail
from tests.recorder import held_round


def journaled(folder, entries):
    """Write records of a station's journal, one a batch; return them."""
    journal = JournalWriter(folder / "station", "station", "run")
    for kind, agent, raw in entries:
        journal.append([(kind, agent, None, None, raw)])
    journal.sync()
    journal.close()
    return list(JournalReader(folder / "station").stored())


def projected(records):
    batch = Batch(writer="station", position=Position())
    for record in records:
        project(record, batch)
    return batch


@pytest.fixture
def records(tmp_path):
    entries = [(type(told).__name__, agent, encode_payload(told)) for agent, told in held_round.told()]
    return journaled(tmp_path, entries)


def test_every_type_of_event_is_in_the_audit_as_its_journal_holds_it(records):
    rows = projected(records).tournament_audit
    assert {row.event_type for row in rows} == set(TYPES)
    assert [row.event_data for row in rows] == [bytes(stored.record.payload).decode() for stored in records]
    assert [(row.previous_hash, row.cryptographic_hash) for row in rows] == [
        (stored.record.prev, stored.hash) for stored in records
    ]
    assert all(earlier.cryptographic_hash == later.previous_hash for earlier, later in pairwise(rows))
    assert {row.tournament_id for row in rows} == {"tournament:XNYS:2019-01-07"}
    for row, (agent, _) in zip(rows, held_round.told(), strict=True):
        assert row.strategy_id == ("" if agent == "tournament" else agent)


def test_a_result_is_what_its_event_says_and_nothing_of_a_text(records):
    events = [told for _, told in held_round.told() if isinstance(told, TournamentResultEvent)]
    rows = projected(records).tournament_results
    assert [row.strategy_id for row in rows] == [event.strategy_id for event in events]
    for row, event in zip(rows, events, strict=True):
        assert row.tournament_id == event.round_id
        assert row.prediction_accuracy == event.prediction_accuracy
        assert row.challenge_resilience == event.challenge_resilience
        assert row.risk_adjusted_return == event.risk_score
        assert row.capital_allocation_percent == pytest.approx(100 * event.capital_allocation)
        assert row.tournament_metrics["skill"] == event.skill
        assert row.tournament_metrics["competitive_allocation"] == event.competitive_allocation
        assert all(isinstance(value, float) for value in row.tournament_metrics.values())
    assert 0.0 < sum(row.capital_allocation_percent for row in rows) <= 100.0


def test_tournament_rows_stand_beside_the_event_rows_at_the_same_time(records):
    batch = projected(records)
    assert [(row.ts_ns, row.writer, row.seq) for row in batch.tournament_audit] == [
        (row.ts_ns, row.writer, row.seq) for row in batch.events
    ]
    assert projected(records) == batch


def test_what_its_type_does_not_describe_is_in_the_audit_all_the_same(tmp_path):
    broken = journaled(
        tmp_path,
        [
            ("TournamentResultEvent", "momentum", b'{"round_id":"r","strategy_id":"momentum"}'),
            ("RulingEvent", "bullish", b"[]"),
            ("EntryEvent", "bullish", b'{"round_id":"r","agent":"bullish","more":1}'),
            ("Gossip", "bullish", b'{"round_id":"r"}'),
        ],
    )
    batch = projected(broken)
    assert [(row.tournament_id, row.strategy_id) for row in batch.tournament_audit] == [
        ("r", "momentum"),
        ("", ""),
        ("r", "bullish"),
    ]
    assert batch.tournament_results == []
    assert len(batch.events) == 4


def test_a_store_that_is_asked_to_take_a_round_twice_has_it_once(records, tmp_path):
    store = EmbeddedStore(tmp_path / "store.sqlite3", writing=True)
    tail = Tail(tmp_path / "station", store)
    while tail.step(7):
        pass
    before = [list(store.every(kind)) for kind in (TournamentResultRow, TournamentAuditRow)]
    assert [len(rows) for rows in before] == [4, len(records)]
    again = projected(records)
    again.position = tail.position
    store.write(again)
    assert [list(store.every(kind)) for kind in (TournamentResultRow, TournamentAuditRow)] == before
    filters = TournamentFilter(tournament_id="tournament:XNYS:2019-01-07", strategy_id=held_round.ABSTAINS)
    kinds = [row.event_type for row in store.tournament_audit(filters).rows]
    assert "AbstentionEvent" in kinds
    assert msgspec.json.decode(store.tournament_audit(filters).rows[0].event_data)["round_id"] == filters.tournament_id
    store.close()

"""What every store keeps of tournaments: results and events of a round, of a strategy through time, each once."""

import pytest

from market.store.port import QueryError, TournamentAuditRow, TournamentFilter, TournamentResultRow
from market.store.questdb import reads
from tests.market_store.rows import ENTRANTS, EXTREME, MOST, audit, batch, result

ROUND = "tournament:XNYS:003"
RESULTS, EVENTS = [result(n) for n in range(40)], [audit(n) for n in range(100)]


def newest_first(rows):
    return sorted(rows, key=lambda row: (row.ts_ns, row.writer, row.seq), reverse=True)


def in_pages(read, filters, size):
    """All rows of a filter, read page by page."""
    found, page = [], read(filters, limit=size)
    while True:
        assert len(page.rows) <= size
        found += page.rows
        if page.next_key is None:
            return found
        page = read(filters, after_key=page.next_key, limit=size)


@pytest.fixture(scope="module")
def many(anew):
    opened = anew()
    opened.write(batch(60, tournament_results=RESULTS[::-1], tournament_audit=EVENTS[::-1]))
    return opened


def test_a_rounds_results_are_its_entrants(many):
    page = many.tournament_results(TournamentFilter(tournament_id=ROUND))
    assert page.rows == newest_first(RESULTS[12:16])
    assert {row.strategy_id for row in page.rows} == set(ENTRANTS)
    assert page.next_key is None


def test_a_strategys_results_go_through_time(many):
    found = in_pages(many.tournament_results, TournamentFilter(strategy_id="momentum"), 3)
    assert found == newest_first(row for row in RESULTS if row.strategy_id == "momentum")
    assert [row.tournament_id for row in found] == [f"tournament:XNYS:{number:03d}" for number in range(9, -1, -1)]


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize(
    "asked",
    [
        TournamentFilter(),
        TournamentFilter(tournament_id=ROUND),
        TournamentFilter(strategy_id="bullish"),
        TournamentFilter(tournament_id=ROUND, strategy_id="bullish"),
        TournamentFilter(tournament_id="tournament:XNYS:none"),
        TournamentFilter(within=("bullish", "momentum")),
        TournamentFilter(tournament_id=ROUND, within=("bullish", 'it\'s "quoted"')),
        TournamentFilter(strategy_id="bearish", within=("bullish",)),
        TournamentFilter(within=()),
    ],
)
def test_pages_are_together_exactly_the_filtered_events(many, asked, size):
    expected = [
        row
        for row in EVENTS
        if asked.tournament_id in {None, row.tournament_id}
        and asked.strategy_id in {None, row.strategy_id}
        and (asked.within is None or row.strategy_id in asked.within)
    ]
    assert in_pages(many.tournament_audit, asked, size) == newest_first(expected)


def test_written_again_each_row_is_there_once(store):
    rows = {"tournament_results": RESULTS[:8], "tournament_audit": EVENTS[:20]}
    store.write(batch(9, **rows))
    store.write(batch(9, **rows))
    store.write(batch(5, **{name: some[:3] for name, some in rows.items()}))
    assert list(store.every(TournamentResultRow)) == newest_first(RESULTS[:8])[::-1]
    assert list(store.every(TournamentAuditRow)) == newest_first(EVENTS[:20])[::-1]
    assert batch(9, **rows).rows() == 28


def test_every_row_comes_back_as_it_was(store, make, monkeypatch):
    monkeypatch.setattr(reads, "MOST_AT_ONCE", 2)
    results = [
        result(0, tournament_id=EXTREME, strategy_id=EXTREME, prediction_accuracy=None, seq=MOST),
        result(1, ts_ns=1_550_000_000_123_456_789, prediction_accuracy=0.1, challenge_resilience=5e-324),
        result(2, tournament_metrics={EXTREME: 0.1 + 0.2, "nothing": None}, risk_adjusted_return=-0.1, mode="LIVE"),
    ]
    told = [
        audit(0, tournament_id="", event_data=EXTREME),
        audit(1, tournament_id=EXTREME, strategy_id=EXTREME, seq=MOST),
        audit(2, ts_ns=1_550_000_000_123_456_789),
    ]
    store.write(batch(9, tournament_results=results, tournament_audit=told))
    reader = make()
    assert list(map(repr, reader.every(TournamentResultRow))) == list(map(repr, newest_first(results)[::-1]))
    assert list(map(repr, reader.every(TournamentAuditRow))) == list(map(repr, newest_first(told)[::-1]))
    assert reader.tournament_results(TournamentFilter(tournament_id=EXTREME, within=(EXTREME,))).rows == results[:1]
    assert reader.tournament_audit(TournamentFilter(strategy_id=EXTREME)).rows == told[1:2]


def test_a_page_key_of_another_list_is_refused(many):
    for read in (many.tournament_results, many.tournament_audit):
        with pytest.raises(QueryError, match="page key 'xyz'"):
            read(after_key="xyz")
        with pytest.raises(QueryError, match="limit = 0 is outside 1 to"):
            read(limit=0)

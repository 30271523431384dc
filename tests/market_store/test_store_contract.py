"""What every store must do; each implementation runs the same tests."""

import stat
import threading

import msgspec
import pysqlite3 as sqlite3
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from events.paths import DataPaths
from market.store import event_queries, open_store
from market.store.port import (
    BarRow,
    EquityRow,
    EventFilter,
    EventRow,
    EventScope,
    LifeRow,
    OrderFilter,
    OrderRow,
    Position,
    QueryError,
    StoreUnavailableError,
    TradeFilter,
    TradeRow,
)
from market.store.questdb import reads
from market.store.questdb.client import Client
from tests.market_store.rows import EXTREME, MINUTE, MOST, STATES, SYMBOLS, bar, batch, equity, event, order, trade

EXAMPLES = {"embedded": 1.0, "questdb": 0.02}
"""QuestDB answers a hundred times more slowly than a file, on a busy machine a thousand times: few examples."""


def examples(kind, most):
    """Return the settings of a property test: fewer examples for a server than for a file."""
    return settings(
        max_examples=max(5, int(most * EXAMPLES[kind])), deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        phases=[phase for phase in Phase if kind == "embedded" or phase is not Phase.shrink],
    )  # fmt: skip


def test_a_batch_and_its_position_are_written_together(store, make):
    assert store.position("execution") == Position()
    store.write(batch(7, orders=[order(1)]))
    reader = make()
    assert reader.position("execution") == Position(seq=7, hash=f"{7:064x}")
    assert reader.position("station") == Position()
    broken = msgspec.structs.replace(bar(1), symbol=None)
    with pytest.raises(StoreUnavailableError):
        store.write(batch(8, orders=[order(2)], bars=[broken]))
    assert reader.order("o00002") is None
    assert reader.position("execution").seq == 7
    store.write(batch(8, orders=[order(2)]))
    assert reader.order("o00002") == order(2)


def test_writing_again_changes_nothing(store):
    rows = {
        "orders": [order(n) for n in range(20)],
        "trades": [trade(n) for n in range(10)],
        "events": [event(n) for n in range(10)],
        "equity": [equity(n, 100.0 + n) for n in range(10)],
        "bars": [bar(n) for n in range(10)],
    }

    def seen():
        return (
            list(store.every_order()),
            list(store.every_fill()),
            store.events(),
            store.equity(),
            store.bars("AAPL"),
            store.position("execution"),
        )

    store.write(batch(9, **rows))
    before = seen()
    store.write(batch(9, **rows))
    store.write(batch(5, **{name: some[:3] for name, some in rows.items()}))
    assert seen() == before
    assert [len(part) for part in before[:2]] == [20, 10]


def test_an_order_is_what_its_newest_event_says_and_keeps_when_it_was_decided(store):
    store.write(batch(1, orders=[order(3, engine_ns=100, updated_ns=100, state="INTENT", seq=1)]))
    later = order(3, engine_ns=900, updated_ns=900, state="FILLED", filled_lots=4, seq=5)
    middle = order(3, engine_ns=500, updated_ns=500, state="ACCEPTED", seq=3)
    store.write(
        batch(5, orders=[middle, later], trades=[trade(3), trade(3, seq=1999, price=16.0, lots=6, quantity=6.0)])
    )
    store.write(batch(6, orders=[middle]))
    found = store.order("o00003")
    assert (found.engine_ns, found.updated_ns, found.state, found.filled_lots) == (100, 900, "FILLED", 4)
    assert found.average_price == pytest.approx((2 * 13.0 + 6 * 16.0) / 8)
    assert (found.fee, found.slippage) == (0.5, 1.0)
    assert store.orders(OrderFilter(strategy="momentum", start_ns=100, end_ns=101)).rows == [found]
    assert store.order("none") is None


def test_an_orders_life_is_in_journal_order(store):
    life = [
        LifeRow(
            order_id="o1",
            ts_ns=5,
            utc_ns=seq,
            type="OrderEvent",
            state=state,
            payload='{"a":1}',
            seq=seq,
            writer="execution",
            hash_current="f" * 64,
        )
        for seq, state in ((9, "FILLED"), (2, "INTENT"), (4, "ACCEPTED"))
    ]
    store.write(batch(9, life=life))
    assert [row.state for row in store.order_life("o1")] == ["INTENT", "ACCEPTED", "FILLED"]
    assert store.order_life("o1")[0] == life[1]
    assert store.order_life("o2") == []


ORDERS = [order(n) for n in range(60)]
KEYS = {
    "engine_ns": lambda row: (row.engine_ns, row.order_id),
    "symbol": lambda row: (row.symbol, row.engine_ns, row.order_id),
    "state": lambda row: (row.state, row.engine_ns, row.order_id),
}
filters = st.builds(
    OrderFilter,
    symbol=st.none() | st.sampled_from(SYMBOLS),
    side=st.none() | st.sampled_from(["BUY", "SELL"]),
    state=st.none() | st.sampled_from(STATES),
    strategy=st.none() | st.sampled_from(["momentum", "bearish", "nobody"]),
    denial=st.none() | st.sampled_from(["MAX_NET", "KILLED"]),
    start_ns=st.none() | st.integers(0, 30).map(lambda n: n * MINUTE),
    end_ns=st.none() | st.integers(0, 30).map(lambda n: n * MINUTE),
)


def wanted(row, asked):
    return (
        asked.symbol in {None, row.symbol}
        and asked.side in {None, row.side}
        and asked.state in {None, row.state}
        and (asked.strategy is None or row.lots_by_strategy.get(asked.strategy, 0) != 0)
        and (asked.denial is None or asked.denial in {denial["code"] for denial in row.denials})
        and (asked.start_ns is None or row.engine_ns >= asked.start_ns)
        and (asked.end_ns is None or row.engine_ns < asked.end_ns)
    )


@pytest.fixture(scope="module")
def many(anew):
    store = anew()
    store.write(batch(60, orders=ORDERS, trades=[trade(n) for n in range(60)], events=[event(n) for n in range(60)]))
    return store


def test_pages_are_together_exactly_the_filtered_orders_in_order(many, kind):
    @examples(kind, 150)
    @given(asked=filters, sort=st.sampled_from(sorted(KEYS)), descending=st.booleans(), size=st.integers(1, 25))
    def holds(asked, sort, descending, size):
        expected = sorted((row for row in ORDERS if wanted(row, asked)), key=KEYS[sort], reverse=descending)
        found, key = [], None
        while True:
            page = many.orders(asked, sort=f"-{sort}" if descending else sort, after_key=key, limit=size)
            assert len(page.rows) <= size
            found += [row.order_id for row in page.rows]
            key = page.next_key
            if key is None:
                break
        assert found == [row.order_id for row in expected]
        assert many.count_orders(asked) == len(expected)
        assert many.count_orders(asked, most=5) == min(5, len(expected))
        assert [row.order_id for row in many.every_order(asked)] == [
            row.order_id for row in sorted(expected, key=KEYS["engine_ns"], reverse=True)
        ]

    holds()


def test_trades_are_filtered_and_paged(many):
    first = many.fills(limit=7)
    second = many.fills(after_key=first.next_key, limit=100)
    assert [row.seq for row in first.rows + second.rows] == list(range(1059, 999, -1))
    assert second.next_key is None
    assert first.rows[0] == trade(59)
    assert [row.symbol for row in many.fills(TradeFilter(symbol="SPY"), sort="symbol").rows] == ["SPY"] * 20
    assert len(many.fills(TradeFilter(strategy="momentum", start_ns=0, end_ns=MINUTE)).rows) == 2
    assert many.fills(TradeFilter(strategy="bearish")).rows == []
    assert [row.execution_id for row in many.fills(TradeFilter(order_id="o00005")).rows] == ["e5"]


def test_events_are_newest_first(many):
    first = many.events(EventFilter(agent_id="momentum", symbol="AAPL", writer="execution"), limit=10)
    assert [row.seq for row in first.rows] == list(range(59, 49, -1))
    second = many.events(EventFilter(event_type="SignalEvent"), after_key=first.next_key)
    assert [row.seq for row in second.rows] == list(range(49, -1, -1))
    assert second.rows[-1] == event(0)
    assert many.events(EventFilter(event_type="RiskAlert")).rows == []


AGENTS, TYPES = ("momentum", "bearish", "engine"), ("SignalEvent", "RiskAlert", "OrderEvent", "AuditEvent")
TEXTS = ('{"note":"100%_\\\\"}', '{"note":"Halt"}', '{"note":"zürich"}', '{"a":1}')
EVENTS = [
    event(
        n,
        agent_id=AGENTS[n % 3],
        event_type=TYPES[n // 2 % 4],
        symbol=("", *SYMBOLS)[n % 4],
        writer="station" if n % 5 == 0 else "execution",
        metadata=TEXTS[n // 3 % 4],
    )
    for n in range(60)
]
scopes = st.builds(
    EventScope,
    agents=st.lists(st.sampled_from((*AGENTS, "nobody"))).map(tuple),
    types=st.lists(st.sampled_from(TYPES)).map(tuple),
)
event_filters = st.builds(
    EventFilter,
    event_type=st.none() | st.sampled_from(TYPES),
    agent_id=st.none() | st.sampled_from(AGENTS),
    symbol=st.none() | st.sampled_from(SYMBOLS),
    writer=st.none() | st.sampled_from(["execution", "station"]),
    start_ns=st.none() | st.integers(0, 30).map(lambda n: n * MINUTE),
    end_ns=st.none() | st.integers(0, 30).map(lambda n: n * MINUTE),
    text=st.none() | st.sampled_from(["", "HALT", "halt", "100%", "%", "_", "\\", "zürich", "note", "nowhere"]),
    scope=st.none() | scopes,
)


@pytest.fixture(scope="module")
def recorded(anew):
    store = anew()
    store.write(batch(60, events=EVENTS))
    return store


def asked_for(row, asked):
    scope = asked.scope
    return (
        asked.event_type in {None, row.event_type}
        and asked.agent_id in {None, row.agent_id}
        and asked.symbol in {None, row.symbol}
        and asked.writer in {None, row.writer}
        and (asked.start_ns is None or row.ts_ns >= asked.start_ns)
        and (asked.end_ns is None or row.ts_ns < asked.end_ns)
        and (asked.text or "").lower() in row.metadata.lower()
        and (scope is None or row.agent_id in scope.agents or row.event_type in scope.types)
    )


def test_pages_are_together_exactly_the_events_asked_for_newest_first(recorded, kind):
    @examples(kind, 200)
    @given(
        asked=event_filters,
        size=st.integers(1, 25),
        looked_at=st.sampled_from([1, 7, 60, 61]),
        seconds=st.sampled_from([0, 9]),
    )
    @example(asked=EventFilter(text="nowhere"), size=16, looked_at=1, seconds=9)  # every piece is one time
    @example(asked=EventFilter(text="note"), size=1, looked_at=1, seconds=0)
    def holds(asked, size, looked_at, seconds):
        expected = sorted(
            (row for row in EVENTS if asked_for(row, asked)),
            key=lambda row: (row.ts_ns, row.writer, row.seq),
            reverse=True,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(event_queries, "LOOKED_AT", looked_at)  # records of one piece, and how long a page may
            patch.setattr(event_queries, "LOOK_S", seconds)  # take: at 0 the embedded store ends it after one piece
            found, key = [], None
            while True:
                page = recorded.events(asked, after_key=key, limit=size)
                assert len(page.rows) <= size
                assert page.looked_to_ns is None or (asked.text and page.next_key is not None)
                if page.next_key is not None and page.looked_to_ns is None:
                    assert len(page.rows) == size
                assert all(page.looked_to_ns is None or row.ts_ns >= page.looked_to_ns for row in page.rows)
                found += page.rows
                key = page.next_key
                if key is None:
                    break
            assert found == expected
            assert list(recorded.every_event(asked)) == expected

    holds()


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (
            lambda store: store.orders(sort="reason"),
            "sort 'reason' is not possible; allowed are engine_ns, symbol, state",
        ),
        (lambda store: store.orders(sort="-engine_ns; DROP TABLE orders"), "is not possible"),
        (lambda store: store.fills(sort="state"), "allowed are engine_ns, symbol"),
        (lambda store: store.orders(limit=0), "limit = 0 is outside 1 to 10000"),
        (lambda store: store.events(limit=10_001), "limit = 10001"),
        (lambda store: store.orders(after_key="!!"), "page key '!!' is not one"),
        (lambda store: store.orders(after_key="WyJhIl0"), "belongs to another list"),
        (lambda store: store.equity(points=3), "points = 3; at least 4"),
    ],
)
def test_what_cannot_be_asked_is_said(many, ask, sentence):
    with pytest.raises(QueryError, match=sentence):
        ask(many)
    assert many.count_orders() == 60


def test_values_never_become_statements(many):
    assert many.orders(OrderFilter(symbol="x' OR '1'='1", strategy="a' OR 1 --")).rows == []


def test_bars_of_a_stored_length_and_longer_ones(store):
    minutes = [bar(n) for n in range(23) if n != 11]
    store.write(batch(1, bars=[*minutes, *[bar(n, symbol="IDX", interval_s=86400) for n in range(5)]]))
    store.write(batch(2, bars=[bar(7, interval_s=300)]))
    assert store.bars("AAPL") == minutes
    assert store.bar_intervals("AAPL") == [60, 300]
    assert store.bars("AAPL", start_ns=3 * MINUTE, end_ns=6 * MINUTE) == minutes[3:6]
    assert store.bars("AAPL", limit=4) == minutes[-4:]
    assert store.bars("AAPL", 300) == [bar(7, interval_s=300)]
    longer = store.bars("AAPL", 600)
    assert [row.ts_ns for row in longer] == [30 * MINUTE]
    assert [row.interval_s for row in store.bars("IDX")] == [86400] * 5
    assert store.bars("IDX", 3600) == []
    assert store.bars("NONE") == []
    assert store.bar_intervals("NONE") == []


def test_longer_bars_are_those_of_their_minutes(anew, kind):
    @examples(kind, 60)
    @given(present=st.sets(st.integers(0, 70), min_size=1), limit=st.integers(1, 20))
    def holds(present, limit):
        store = anew()
        minutes = [bar(n) for n in sorted(present)]
        store.write(batch(1, bars=minutes))
        found = store.bars("AAPL", 300)
        assert [row.ts_ns for row in found] == sorted({row.ts_ns // (5 * MINUTE) * 5 * MINUTE for row in minutes})
        for row in found:
            inside = [one for one in minutes if row.ts_ns <= one.ts_ns < row.ts_ns + 5 * MINUTE]
            assert (row.open, row.high, row.low, row.close, row.volume) == (
                inside[0].open,
                max(one.high for one in inside),
                min(one.low for one in inside),
                inside[-1].close,
                100.0 * len(inside),
            )
        assert store.bars("AAPL", 300, limit=limit) == found[-limit:]
        store.close()

    holds()


def test_a_revised_bar_is_shown_instead_of_the_first(store):
    store.write(batch(1, bars=[bar(0), bar(1)]))
    store.write(batch(2, bars=[bar(0, revision=1, close=99.0), bar(1, close=55.0, seq=9)]))
    assert [(row.revision, row.close) for row in store.bars("AAPL")] == [(1, 99.0), (0, 12.0)]


def test_a_thinned_equity_curve_keeps_its_ends_and_extremes(anew, kind):
    @examples(kind, 40)
    @given(values=st.lists(st.floats(1.0, 1e6), min_size=1, max_size=300), points=st.integers(4, 60))
    def holds(values, points):
        store = anew()
        rows = [equity(n, value) for n, value in enumerate(values)]
        store.write(batch(len(rows), equity=rows))
        found = store.equity(points=points)
        assert len(found) <= points
        assert [row.ts_ns for row in found] == sorted({row.ts_ns for row in found})
        assert (found[0], found[-1]) == (rows[0], rows[-1])
        assert min(row.equity for row in found) == min(values)
        assert max(row.equity for row in found) == max(values)
        assert all(row in rows for row in found)
        if len(rows) <= points:
            assert found == rows
        store.close()

    holds()


def test_readers_in_other_threads_see_what_is_written(store, make):
    reader, seen = make(), []
    store.write(batch(1, orders=[order(1)]))
    thread = threading.Thread(target=lambda: seen.append(reader.order("o00001")))
    thread.start()
    thread.join()
    assert seen == [order(1)]


def test_a_reader_cannot_write(store, make):
    store.write(batch(1, orders=[order(1)]))
    with pytest.raises(StoreUnavailableError, match="readonly"):
        make().write(batch(2, orders=[order(2)]))


def test_what_is_no_store_is_said(tmp_path):
    paths = DataPaths(tmp_path)
    with pytest.raises(StoreUnavailableError, match=r"store\.sqlite3: unable to open"):
        open_store(paths)
    assert not paths.store.exists()
    paths.store.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        open_store(paths, writing=True)
    paths.store.unlink()
    other = sqlite3.connect(paths.store)
    other.execute("PRAGMA user_version = 999")
    other.close()
    with pytest.raises(StoreUnavailableError, match=r"has version 999.*remove it"):
        open_store(paths, writing=True)


DOCUMENTED = {
    "ohlcv": "ts sym o h l c v exchange data_source",
    "agent_events": "ts agent_id event_type symbol signal_strength confidence competitive_score metadata"
    " hash_prev hash_current",
    "tournament_results": "ts tournament_id strategy_id prediction_accuracy challenge_resilience"
    " risk_adjusted_return capital_allocation_percent tournament_metrics",
    "trades": "ts symbol side quantity price commission slippage strategy_id execution_latency_ms",
    "tournament_audit": "ts tournament_id strategy_id event_type event_data cryptographic_hash previous_hash",
}


def test_the_source_documents_columns_come_first(store, kind, tmp_path, request):
    store.write(batch(0))
    if kind == "embedded":
        assert stat.S_IMODE((tmp_path / "store.sqlite3").stat().st_mode) == 0o600
        connection = sqlite3.connect(tmp_path / "store.sqlite3")
        tables = {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in DOCUMENTED}
        connection.close()
    else:
        client = Client(request.getfixturevalue("questdb_address"))
        tables = {
            name: [row[0] for row in client.rows(f"SELECT \"column\" FROM table_columns('~{name}')")]  # noqa: S608 - a constant
            for name in DOCUMENTED
        }
        client.close()
    for name, columns in DOCUMENTED.items():
        assert tables[name][: len(columns.split())] == columns.split()


def test_every_row_comes_back_as_it_was(store, make):
    """Text with anything in it, NULLs, the ends of 64 bits, doubles to the last bit, every nanosecond."""
    at, small = 1_550_000_000_123_456_789, 5e-324
    rows = {
        "bars": [
            bar(0, symbol=EXTREME, ts_ns=at, close_ns=MOST, open=0.1, high=small, low=-1e-300, close=1e308, seq=MOST),
            bar(1, ts_ns=0, exchange="", data_source=""),
        ],
        "events": [
            event(0, ts_ns=at, agent_id=EXTREME, metadata=EXTREME, run=EXTREME, symbol="", signal_strength=None),
            event(1, ts_ns=at + 1, signal_strength=-0.1, confidence=0.3, competitive_score=small, utc_ns=-MOST),
        ],
        "orders": [
            order(0, engine_ns=at, limit_ticks=MOST, stop_ticks=-MOST, expires_ns=0, reason=EXTREME, lots=MOST),
            order(1, engine_ns=at, limit_ticks=None, lots_by_strategy={EXTREME: 1}),
        ],
        "life": [
            LifeRow(
                order_id=EXTREME, ts_ns=at, utc_ns=MOST, type="OrderEvent", state="", payload=EXTREME, seq=3,
                writer="execution", hash_current="f" * 64,
            )
        ],
        "trades": [
            trade(9, engine_ns=at, execution_id=EXTREME, realised={EXTREME: 0.1 + 0.2}, execution_latency_ms=7),
            trade(8, engine_ns=at, order_id="", execution_latency_ms=None),
        ],
        "equity": [equity(1, 0.1 + 0.2)],
    }  # fmt: skip
    store.write(batch(9, **rows))
    reader = make()
    kinds = {"bars": BarRow, "events": EventRow, "orders": OrderRow, "life": LifeRow, "trades": TradeRow}
    for name, kind in {**kinds, "equity": EquityRow}.items():
        found = list(reader.every(kind))
        key = (lambda row: (row.engine_ns, row.order_id)) if kind is OrderRow else by_record
        assert found == sorted(rows[name], key=key)
        assert [repr(row) for row in found] == [repr(row) for row in sorted(rows[name], key=key)]
    assert reader.order_life(EXTREME) == rows["life"]
    assert reader.bars(EXTREME) == rows["bars"][:1]
    assert reader.events(EventFilter(agent_id=EXTREME, text=EXTREME)).rows == rows["events"][:1]
    assert reader.orders(OrderFilter(strategy=EXTREME)).rows == rows["orders"][1:]


def by_record(row):
    return (row.engine_ns if isinstance(row, TradeRow) else row.ts_ns, row.writer, row.seq)


def test_every_row_comes_in_pieces_and_in_one_order(store, monkeypatch):
    monkeypatch.setattr(reads, "MOST_AT_ONCE", 7)
    events = [event(n, ts_ns=n // 10 * MINUTE, writer="station" if n % 3 else "execution") for n in range(60)]
    store.write(batch(60, events=events[::-1], orders=ORDERS[::-1]))
    assert list(store.every(EventRow)) == sorted(events, key=by_record)
    assert [row.order_id for row in store.every(OrderRow)] == [
        row.order_id for row in sorted(ORDERS, key=KEYS["engine_ns"])
    ]


def test_an_empty_file_is_a_store_that_nothing_was_recorded_in(tmp_path):
    (tmp_path / "store.sqlite3").touch()
    with pytest.raises(StoreUnavailableError, match="nothing has been recorded yet"):
        open_store(DataPaths(tmp_path))

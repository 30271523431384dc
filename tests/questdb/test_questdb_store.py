"""What a QuestDB store must do beyond every store's contract: re-sent rows, halves of batches, limits, addresses."""

import contextlib

import msgspec
import pytest

from events.paths import DataPaths
from market.store import open_store, store_address
from market.store.port import (
    ROWS,
    BarRow,
    Batch,
    EventRow,
    OrderRow,
    Position,
    StoreRefusedError,
    StoreUnavailableError,
    TradeRow,
)
from market.store.questdb import orders, schema
from market.store.questdb.address import Address, parse_url
from market.store.questdb.client import Client
from market.store.questdb.orders import OrderBook
from market.store.questdb.store import QuestDBStore
from market.store.questdb.writes import Line, send_batch
from tests.market_store import rows as some

FORM = "is not of the form http://USER:PASSWORD@HOST:9000"


@pytest.fixture
def open_writer(questdb_address):
    opened = []

    def open_one():
        opened.append(QuestDBStore(questdb_address, writing=True, answer_s=30.0))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def full(seq):
    return some.batch(
        seq,
        bars=[some.bar(n) for n in range(20)],
        events=[some.event(n) for n in range(20)],
        orders=[some.order(n) for n in range(20)],
        trades=[some.trade(n) for n in range(20)],
        equity=[some.equity(n, 100.0 + n) for n in range(20)],
        tournament_results=[some.result(n) for n in range(20)],
        tournament_audit=[some.audit(n) for n in range(20)],
    )


def test_a_small_store_takes_little_of_the_disk(open_writer, questdb_process, questdb_address):
    store = open_writer()
    store.write(full(1))
    everything(store)
    files = [
        file for table in (questdb_process.paths.questdb / "db").glob(f"{questdb_address.prefix}*")
        for file in table.rglob("*") if file.is_file()
    ]  # fmt: skip
    assert files
    assert sum(file.stat().st_blocks * 512 for file in files) < 96 * 2**20  # with the server's own defaults 1.5 GB


def everything(store):
    store.settle()
    return {kind: list(store.every(kind)) for kind in ROWS}


def test_a_batch_that_was_half_written_is_completed_by_the_next_writer(open_writer, questdb_address):
    """Rows are there without their position, as after a crash between the two, or in the middle of the rows."""
    first = open_writer()
    first.write(some.batch(0, orders=[some.order(0)]))
    client = Client(questdb_address)
    half = full(9)
    half.equity, half.orders = [], half.orders[:10]
    book = OrderBook(client)
    send_batch(Line(client.sender(), questdb_address.prefix), half, book.merge(half))
    client.flush()
    client.close()
    again = open_writer()
    assert again.position("execution").seq == 0
    again.write(full(9))
    clean = QuestDBStore(msgspec.structs.replace(questdb_address, prefix=questdb_address.prefix + "b_"), writing=True)
    with contextlib.closing(clean):
        clean.write(full(9))
        assert everything(again) == everything(clean)
    assert again.position("execution").seq == 9
    assert [len(rows) for rows in everything(again).values()] == [20, 20, 20, 0, 20, 20, 20, 20]


def test_an_older_event_that_is_sent_again_after_a_restart_does_not_bring_back_an_orders_past(open_writer):
    intent = some.order(3, engine_ns=100, updated_ns=100, state="INTENT", seq=1)
    filled = some.order(3, engine_ns=900, updated_ns=900, state="FILLED", filled_lots=4, seq=5)
    first = open_writer()
    first.write(some.batch(1, orders=[intent]))
    first.write(some.batch(5, orders=[filled], trades=[some.trade(3)]))
    again = open_writer()
    again.write(some.batch(5, orders=[intent]))
    again.settle()
    found = again.order("o00003")
    assert (found.engine_ns, found.state, found.seq, found.average_price) == (100, "FILLED", 5, 13.0)
    again.write(some.batch(6, trades=[some.trade(3), some.trade(3, seq=1999, price=16.0, lots=6)]))
    again.settle()
    assert again.order("o00003").average_price == (2 * 13.0 + 6 * 16.0) / 8


def test_an_order_that_memory_has_let_go_is_read_again(open_writer, monkeypatch):
    monkeypatch.setattr(orders, "KEPT", 2)
    store = open_writer()
    store.write(some.batch(1, orders=[some.order(n, seq=n) for n in range(9)]))
    store.write(some.batch(2, orders=[some.order(1, engine_ns=10**18, state="FILLED", seq=50)]))
    store.settle()
    assert (store.order("o00001").engine_ns, store.order("o00001").state) == (some.order(1).engine_ns, "FILLED")
    assert len(list(store.every(OrderRow))) == 9


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (some.bar(0, ts_ns=-1), "1970 to 2261, not -1 ns"),
        (some.bar(0, ts_ns=schema.LATEST_NS + 1), "1970 to 2261"),
        (some.bar(0, close_ns=schema.NULL_LONG), "for no value at all"),
        (some.bar(0, seq=1 << 63), "up to 7"),
        (some.bar(0, symbol=None), "up to 7"),
    ],
)
def test_what_it_cannot_hold_is_refused_and_nothing_of_the_batch_is_kept(open_writer, row, sentence):
    store = open_writer()
    with pytest.raises(StoreRefusedError, match=sentence):
        store.write(some.batch(7, bars=[row], events=[some.event(1)]))
    assert store.position("execution") == Position()
    assert everything(store) == {kind: [] for kind in ROWS}
    store.write(some.batch(7, bars=[some.bar(0, ts_ns=schema.LATEST_NS)]))
    assert everything(store)[BarRow] == [some.bar(0, ts_ns=schema.LATEST_NS)]


def test_a_zero_byte_becomes_the_replacement_character(open_writer):
    store = open_writer()
    store.write(some.batch(1, events=[some.event(0, agent_id="a\0b", run="\0")]))
    assert [(row.agent_id, row.run) for row in everything(store)[EventRow]] == [("a\ufffdb", "\ufffd")]


def test_a_table_of_other_columns_is_refused(questdb_address, open_writer):
    client = Client(questdb_address)
    client.rows("CREATE TABLE ~trades (ts TIMESTAMP, x LONG) TIMESTAMP(ts) PARTITION BY DAY WAL")
    with pytest.raises(StoreUnavailableError, match="has other columns than this station's"):
        open_writer().write(full(1))
    client.close()


def test_tables_that_are_dropped_are_made_again_and_the_position_with_them(questdb_address, open_writer):
    store = open_writer()
    store.write(full(9))
    client = Client(questdb_address)
    store.settle()
    client.rows("DROP TABLE ~projection")
    with pytest.raises(StoreUnavailableError, match="has lost or suspended projection"):
        store.write(some.batch(10))
    assert store.position("execution") == Position()
    client.close()


def test_tables_that_an_older_projection_filled_are_refused(questdb_address, open_writer):
    """They lack what this one adds of records that they count as projected."""
    first = open_writer()
    first.write(full(9))
    first.settle()
    client = Client(questdb_address)
    client.rows("TRUNCATE TABLE ~projection")
    client.rows("INSERT INTO ~projection (ts, writer, seq, hash) VALUES (0, 'execution', 9, 'ab')")
    first.settle()
    client.close()
    with pytest.raises(StoreUnavailableError, match=r"were filled by version 2 .* this station's is 3; drop them"):
        open_writer().write(full(10))


def test_two_writers_journals_are_kept_apart(open_writer):
    store = open_writer()
    for writer in ("execution", "station"):
        trades = [some.trade(n, writer=writer) for n in range(3)]
        store.write(Batch(writer=writer, position=Position(seq=3, hash="a" * 64), trades=trades))
    assert len(everything(store)[TradeRow]) == 6
    assert store.position("station").seq == 3


def test_an_address_is_read_and_its_text_has_no_password():
    found = parse_url("https://me:p%40ss@db.example:9443?pg=18812&prefix=a1_")
    assert found == Address(
        host="db.example", http_port=9443, pg_port=18812, user="me", password="p@ss", tls=True, prefix="a1_"
    )
    assert "p@ss" not in f"{found} {found!r}"
    assert parse_url("http://u:p@h") == Address(host="h", http_port=9000, pg_port=8812, user="u", password="p")


@pytest.mark.parametrize(
    "url", ["h:9000", "http://h:9000", "http://u:p@h:x", "http://u:p@h?pg=0", "ftp://u:p@h", "http://u:p@h/x",
            "http://u:p@h?a=1", "http://u:p@h?pg=99999", "http://u@h"]
)  # fmt: skip
def test_an_address_of_another_form_is_refused(url, monkeypatch, tmp_path):
    monkeypatch.setenv("QUESTDB_URL", url)
    with pytest.raises(StoreUnavailableError, match=FORM):
        store_address(DataPaths(tmp_path))


def test_a_prefix_is_no_statement():
    with pytest.raises(StoreUnavailableError, match="prefix = 'a; DROP'"):
        parse_url("http://u:p@h?prefix=a;%20DROP")


def test_a_server_that_is_not_there_is_said_when_it_is_asked(tmp_path, free_port, monkeypatch):
    monkeypatch.setenv("QUESTDB_URL", f"http://u:p@127.0.0.1:{free_port}?pg={free_port}")
    store = open_store(DataPaths(tmp_path))
    with pytest.raises(StoreUnavailableError, match=rf"not answering since .* 127.0.0.1:{free_port}: .*refused"):
        store.orders()


def test_a_wrong_password_is_said(questdb_address):
    wrong = msgspec.structs.replace(questdb_address, password="wrong")
    with pytest.raises(StoreUnavailableError, match="invalid username/password"):
        QuestDBStore(wrong).orders()

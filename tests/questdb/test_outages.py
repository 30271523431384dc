"""QuestDB killed, suspended, slow and wiped behind a real recorder: the rows are the journal's afterwards."""

import contextlib
import time

import pytest

from events import bus
from events.journal import JournalReader, JournalWriter
from market.store.port import Position, StoreUnavailableError
from market.store.questdb.store import QuestDBStore
from tests.questdb.server import PATIENCE_S


def until(holds, what):
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def recorded_without_the_store(station):
    """Wait until the bus is in the station journal and the recorder says that the store is away."""
    last = JournalReader(station.paths.journal / "station").last_seq
    until(lambda: last() >= station.published + station.told, "the intake stood still")
    until(lambda: station.metrics().get("store_away_s", 0) > 0, "the recorder does not say that the store is away")
    until(lambda: station.metrics().get("lag_records", 0) > 0, "a beat from before the outage says that nothing waits")


def test_killed_in_the_middle_of_a_backlog_it_is_caught_up_afterwards(station, server):
    station.work(2000)
    station.publish(300)
    station.start_recorder()
    until(lambda: station.metrics().get("projected_seq", -1) > 0, "nothing was projected")
    server.kill()
    station.work(50)
    station.publish(50)
    recorded_without_the_store(station)
    server.start()
    station.caught_up()
    station.check_equal()
    assert station.metrics()["store_away_s"] == 0


def test_suspended_it_holds_up_neither_the_record_nor_a_page(station, server):
    station.work(20)
    station.publish(20)
    station.start_recorder()
    station.caught_up()
    page = QuestDBStore(station.address)
    page.settle()
    assert page.position("execution").seq == 159
    server.suspend()
    try:
        station.work(100)
        station.publish(500)
        with pytest.raises(StoreUnavailableError, match=r"not answering since .* UTC"):
            page.position("execution")
        with pytest.raises(StoreUnavailableError, match=r"not answering since .* UTC"):
            QuestDBStore(station.address).orders()
        recorded_without_the_store(station)
    finally:
        server.resume()
    station.caught_up()
    station.check_equal()
    until(lambda: answers(page), "the page's store did not come back")
    page.close()


def answers(store):
    with contextlib.suppress(StoreUnavailableError):
        return store.position("execution").seq >= 0
    return False


def test_slow_it_is_followed_more_slowly(station, server):
    station.start_recorder()
    for _ in range(12):
        server.suspend()
        station.work(40)
        station.publish(40)
        time.sleep(0.2)
        server.resume()
        time.sleep(0.1)
    station.caught_up()
    station.check_equal()


@pytest.mark.parametrize("how", ["while it is down", "under it"])
def test_wiped_it_is_made_again_from_the_journals(station, server, how):
    station.work(60)
    station.publish(60)
    station.start_recorder()
    station.caught_up()
    if how == "under it":
        server.wipe()
        assert server.command.wait(PATIENCE_S) == 1  # the supervisor starts it anew
    else:
        server.kill()
        server.wipe()
    station.work(10)
    station.publish(10)
    server.start()
    station.caught_up()
    station.check_equal()


def test_a_recorder_killed_again_and_again_leaves_every_row_once(station):
    for _ in range(3):
        recorder = station.start_recorder()
        station.work(150)
        station.publish(50)
        until(lambda: station.metrics().get("projected_seq", -1) >= 0, "nothing was projected")
        recorder.kill()
        recorder.communicate()
    station.start_recorder()
    station.caught_up()
    station.check_equal()


def test_a_store_that_is_ahead_of_the_journal_is_said_and_not_written_to(station):
    station.work(30)
    station.publish(5)
    station.start_recorder()
    station.caught_up()
    station.stop_recorder()
    station._execution.close()
    station._execution = None
    before = station.rows()
    for file in (station.paths.journal / "execution").iterdir():
        file.unlink()
    with contextlib.closing(JournalWriter(station.paths.journal / "execution", "execution", "run")) as shorter:
        shorter.append([("TimerEvent", "x", None, None, b'{"instant_ns":1}')])
        shorter.sync()
    station.start_recorder()
    until(lambda: station.metrics().get("not_projected") == 1, "the recorder does not say that it has stopped")
    _, _, err = station.stop_recorder()
    assert "holds journal execution up to 239, but the journal does not reach that far" in err
    assert station.rows()["OrderRow"] == before["OrderRow"]
    with contextlib.closing(QuestDBStore(station.address)) as store:
        assert store.position("execution").seq == 239
        assert store.position("nobody") == Position()


def test_without_a_bus_the_store_is_still_brought_up_to_date(station):
    station.work(30)
    station.publish(5)
    station.start_recorder()
    station.caught_up()
    station.stop_bus()
    station.work(10)
    store = QuestDBStore(station.address)
    until(lambda: store.position("execution").seq == 40 * 8 - 1, "the projection stood still")
    store.close()
    station.start_bus()
    bus.connect(station.paths, "status", deadline_s=PATIENCE_S).close()

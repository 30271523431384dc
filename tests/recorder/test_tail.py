import pytest

from events.journal import JournalReader, JournalWriter
from events.paths import DataPaths
from market.store import open_store
from recorder.tail import StoreMismatchError, Tail


def alerts(*numbers):
    return [("RiskAlert", "engine", None, None, b'{"engine_ns":%d}' % number) for number in numbers]


@pytest.fixture
def paths(tmp_path):
    return DataPaths(tmp_path)


@pytest.fixture
def store(paths):
    found = open_store(paths, writing=True)
    yield found
    found.close()


@pytest.fixture
def journal(paths):
    found = JournalWriter(paths.journal / "execution", "execution", "run")
    yield found
    found.close()


def test_nothing_is_projected_that_a_power_cut_could_take_back(paths, store, journal):
    tail = Tail(paths.journal / "execution", store)
    journal.append(alerts(1, 2))
    assert (tail.step(), tail.lag) == (0, 0)
    journal.sync()
    journal.append(alerts(3))
    assert tail.lag == 2
    assert tail.step() == 2
    assert (tail.position.seq, tail.lag) == (1, 0)
    assert [row.ts_ns for row in store.events().rows] == [2, 1]
    journal.sync()
    assert tail.step() == 1
    assert tail.rows == 3


def test_a_step_may_end_inside_a_batch_and_go_on_there(paths, store, journal):
    journal.append(alerts(*range(1, 11)))
    journal.sync()
    tail = Tail(paths.journal / "execution", store)
    assert [tail.step(most=4) for _ in range(4)] == [4, 4, 2, 0]
    assert [row.seq for row in store.events().rows] == list(range(9, -1, -1))
    again = Tail(paths.journal / "execution", store)
    assert again.step() == 0
    assert (again.position.seq, again.position.hash) == (9, JournalReader(paths.journal / "execution").get(9).hash)


def test_a_journal_that_is_not_there_yet_is_waited_for(paths, store):
    tail = Tail(paths.journal / "execution", store)
    assert (tail.step(), tail.lag, tail.position.seq) == (0, 0, -1)
    journal = JournalWriter(paths.journal / "execution", "execution", "run")
    journal.append(alerts(1))
    journal.sync()
    assert tail.step() == 1
    journal.close()


def test_a_journal_that_does_not_continue_the_store_is_refused_and_nothing_is_written(paths, store, journal):
    journal.append(alerts(1))
    journal.sync()
    Tail(paths.journal / "execution", store).step()
    other = JournalWriter(paths.root / "other" / "execution", "execution", "run")
    other.append(alerts(7))
    other.append(alerts(8, 9))
    other.sync()
    tail = Tail(paths.root / "other" / "execution", store)
    with pytest.raises(StoreMismatchError, match="execution up to 0, but record 0 of the journal is another"):
        tail.step()
    assert store.position("execution").seq == 0
    assert len(store.events().rows) == 1
    other.close()

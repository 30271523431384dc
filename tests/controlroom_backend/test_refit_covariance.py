"""The covariance's refit in one process, and the registry: what is promoted, replaced, taken back, and by whom."""

import hashlib

import msgspec
import numpy as np
import pytest
from django.core.exceptions import PermissionDenied

from agents.actions import RollbackError, promote_artefacts, roll_back
from agents.models import Artefact, PricesRead, SessionPrices
from agents.risk_manager.refit import Covariance
from agents.selectors import in_force, session_prices, versions
from agents.tasks import refit_covariance
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER
from events import actions
from events.codec import encode_payload
from events.journal import JournalWriter
from events.models import Job, Outbox
from events.streams import CONTROL_AUDIT
from events.types import Bar, JobDue, MarketSlice, ModelEvent
from market.calendars import sessions
from tests.agents.test_covariance_fit import SYMBOLS, walk

pytestmark = pytest.mark.django_db(transaction=True)

DAYS = sessions("XNYS", 1_546_300_800_000_000_000, 1_577_836_800_000_000_000)  # 2019
PRICES = walk(200).tolist()


@pytest.fixture
def journal(paths):
    writer = JournalWriter(paths.journal / "execution", "execution", "run-1")
    yield writer
    writer.close()


def trade(journal: JournalWriter, first: int, last: int) -> int:
    """Journal the daily bars of sessions first to last (not included); return the last record."""
    for k in range(first, last):
        opened, closes = int(DAYS.opens_ns[k]), int(DAYS.closes_ns[k])
        bars = [
            Bar(feed="t", symbol=symbol, open_ns=opened, interval_s=86_400, open=p, high=p, low=p, close=p, volume=1.0,
                close_ns=closes, exchange="XNYS")
            for symbol, p in zip(SYMBOLS, PRICES[k], strict=True)
        ]  # fmt: skip
        market = MarketSlice(feed="t", position=f"{k + 1}-0", close_ns=closes, bars=bars)
        journal.append([("MarketSlice", "t", None, None, encode_payload(market))])
    journal.sync()
    return journal.seq


def refit(number: int, through_seq: int) -> ModelEvent:
    occurrence = f"refit_covariance:XNYS:{number}"
    due = JobDue(
        engine_ns=1_000 * number, job="refit_covariance", occurrence=occurrence, effective_from_ns=1_000 * number + 500,
        through_seq=through_seq, wait=True,
    )  # fmt: skip
    job = actions.create_job(name=due.job, occurrence=occurrence, request=encode_payload(due).decode())[0]
    assert refit_covariance(job.id) is True
    assert refit_covariance(job.id) is False
    return told()[-1]


def told() -> list[ModelEvent]:
    rows = Outbox.objects.filter(type="ModelEvent").order_by("id")
    return [msgspec.json.decode(row.payload, type=ModelEvent) for row in rows]


def test_a_refit_tells_the_worker_what_the_contract_says(paths, journal):
    event = refit(1, trade(journal, 0, 60))
    assert (event.name, event.outcome, event.version) == ("covariance", "fitted", 1)
    content = msgspec.json.decode(event.content)
    assert {"symbols", "covariance", "observations", "sessions", "through", "method"} <= content.keys()
    assert (content["symbols"], content["observations"]) == (list(SYMBOLS), 59)
    assert content["through"] == DAYS.dates[59]
    closes = np.array(PRICES[:60])
    plain = np.var(closes[1:] / closes[:-1] - 1.0, axis=0)
    assert np.diag(content["covariance"]) == pytest.approx(plain, rel=0.1)
    row = Artefact.objects.get()
    assert (row.status, row.through, row.sha256) == (
        "fitted",
        DAYS.dates[59],
        hashlib.sha256(event.content).hexdigest(),
    )
    assert msgspec.json.decode(row.metrics)["observations"] == 59


def test_each_refit_reads_only_what_came_since_and_fits_on_all_of_it(paths, journal):
    for number, last in enumerate((30, 50), 1):
        refit(number, trade(journal, 30 * (number - 1), last))
    assert list(PricesRead.objects.order_by("id").values_list("from_seq", "through_seq")) == [(0, 29), (30, 49)]
    assert SessionPrices.objects.count() == 50
    assert msgspec.json.decode(told()[1].content, type=Covariance).observations == 49


def test_too_few_sessions_change_nothing_and_lose_nothing(paths, journal):
    event = refit(1, trade(journal, 0, 10))
    assert (event.outcome, event.version) == ("unchanged", 0)
    assert "too few" in event.reason
    assert refit(2, trade(journal, 10, 30)).outcome == "fitted"


def test_a_journal_that_is_behind_is_a_failure_that_the_worker_hears_of(paths, journal):
    event = refit(1, trade(journal, 0, 30) + 5)
    assert event.outcome == "failed"
    assert Job.objects.get().state == "failed"
    assert not SessionPrices.objects.exists()
    assert refit(2, journal.seq).outcome == "fitted"


def test_bars_of_the_night_are_the_sessions_for_coins_alone(paths, journal):
    night = int(DAYS.opens_ns[1]) - 3_600_000_000_000
    bars = [
        Bar(feed="t", symbol=symbol, open_ns=night - 60, interval_s=60, open=9.0, high=9.0, low=9.0, close=9.0,
            volume=1.0, close_ns=night, exchange=exchange)
        for symbol, exchange in (("AAA", "XNYS"), ("BTC-PERP", "FTX"))
    ]  # fmt: skip
    market = MarketSlice(feed="t", position="1-0", close_ns=night, bars=bars)
    journal.append([("MarketSlice", "t", None, None, encode_payload(market))])
    journal.sync()
    refit(1, journal.seq)
    assert session_prices(limit=10) == {DAYS.dates[1]: {"BTC-PERP": {0: 9.0}}}


def test_a_version_is_promoted_when_its_instant_has_come_and_replaces_the_one_before(paths, journal):
    refit(1, trade(journal, 0, 30))
    assert [row.status for row in versions(name="covariance")] == ["fitted"]
    assert promote_artefacts(at_ns=1_499) == 0
    assert promote_artefacts(at_ns=1_500) == 1
    refit(2, trade(journal, 30, 40))
    assert [row.status for row in versions()] == ["fitted", "promoted"]
    assert in_force("covariance").version == 1
    assert promote_artefacts(at_ns=2_500) == 2
    assert [row.status for row in versions()] == ["promoted", "retired"]
    assert promote_artefacts(at_ns=2_600) == 0


def test_rolling_back_sends_the_version_before_again_with_a_new_effective_from(paths, journal, person):
    first, second = refit(1, trade(journal, 0, 30)), refit(2, trade(journal, 30, 40))
    ada = person(OVERSIGHT, name="ada")
    made = roll_back(name="covariance", actor=ada, reason="it forgot the crash", effective_from_ns=9_000)
    event = told()[-1]
    assert (event.version, event.effective_from_ns, bytes(event.content)) == (1, 9_000, bytes(first.content))
    assert event.occurrence not in {first.occurrence, second.occurrence}
    assert "ada took back version 2: it forgot the crash" in event.reason
    assert [row.status for row in versions()] == ["promoted", "retired", "retired"]
    assert in_force("covariance") == made
    audit = msgspec.json.decode(Outbox.objects.get(stream=CONTROL_AUDIT).payload)
    assert (audit["action"], audit["actor"]) == ("roll back", "ada")
    assert refit(3, journal.seq).version == 3


def test_rolling_back_is_refused_where_it_cannot_be(paths, journal, person):
    ada, bob = person(OVERSIGHT, name="ada"), person(STRATEGY_DEVELOPER, name="bob")
    with pytest.raises(RollbackError, match="no version before its first"):
        roll_back(name="covariance", actor=ada, reason="why not", effective_from_ns=0)
    refit(1, trade(journal, 0, 30))
    refit(2, trade(journal, 30, 40))
    with pytest.raises(PermissionDenied):
        roll_back(name="covariance", actor=bob, reason="why not", effective_from_ns=0)
    with pytest.raises(RollbackError, match="reason"):
        roll_back(name="covariance", actor=ada, reason=" ", effective_from_ns=0)
    with pytest.raises(RollbackError, match="-1"):
        roll_back(name="covariance", actor=ada, reason="why not", effective_from_ns=-1)
    roll_back(name="covariance", actor=ada, reason="once", effective_from_ns=0)
    with pytest.raises(RollbackError, match="no version before 1"):
        roll_back(name="covariance", actor=ada, reason="twice", effective_from_ns=0)
    assert len(told()) == 3

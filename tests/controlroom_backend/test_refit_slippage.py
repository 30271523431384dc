"""The slippage model's refit as the station does it: from the journal, in a process of its own, into the registry."""

import hashlib

import msgspec
import pytest

from agents.execution.refit import observations, read_orders
from agents.execution.slippage import FEATURES, SlippageModel, decode
from agents.models import Artefact
from agents.settled import JournalBehindError
from agents.tasks import refit_slippage
from controlroom.relay.doorbell import TASKS
from engine.configuration import load_settings
from events import actions
from events.codec import encode_payload
from events.journal import JournalWriter
from events.models import Outbox
from events.types import ControlEvent, FillEvent, ForecastEvent, JobDue, ModelEvent, OrderEvent
from market.instruments import instrument_for
from market.phase_table import TABLE
from tests.agents.test_slippage_model import observations as made_up

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def journal(paths):
    writer = JournalWriter(paths.journal / "execution", "execution", "run-1")
    content = {
        "instruments": [msgspec.to_builtins(instrument_for("AAPL"))], "settings": msgspec.to_builtins(load_settings()),
    }  # fmt: skip
    configure = ControlEvent(
        action="configure", scope="all", target="", actor="t", reason="t", request_id="t",
        content=msgspec.Raw(msgspec.json.encode(content)),
    )  # fmt: skip
    writer.append([("ControlEvent", "t", None, None, encode_payload(configure))])
    yield writer
    writer.close()


def trade(journal, given, first=0):
    """Write orders with these features and this slippage, as the worker journals them."""
    for k, each in enumerate(given, first):
        known = dict(zip(FEATURES, each.features, strict=True))
        side, order_id = ("BUY" if known["side"] > 0 else "SELL"), f"S{k:09d}"
        shared = {"order_id": order_id, "symbol": "AAPL", "side": side}
        price = 100.0 * (1.0 + known["side"] * each.obtained_bps * 1e-4)
        order = OrderEvent(
            engine_ns=each.engine_ns, state="INTENT", lots=10, filled_lots=0, type="MARKET", limit_ticks=None,
            stop_ticks=None, time_in_force="DAY", expires_ns=None, lots_by_strategy={"momentum": 10},
            expected_price=100.0, **shared,
        )  # fmt: skip
        forecast = ForecastEvent(
            engine_ns=each.engine_ns, order_id=order_id, parent_id="", symbol="AAPL", features=known,
            spread_bps=known["spread_bps"], forecast_bps=known["spread_bps"], model="spread",
        )  # fmt: skip
        fill = FillEvent(
            broker="paper", execution_id=f"{order_id}.10", broker_ns=each.engine_ns, lots=10,
            price_micro=round(price * 1e6), fee_micro=0, reference_price=100.0, **shared,
        )  # fmt: skip
        journal.append([(type(p).__name__, "t", None, None, encode_payload(p)) for p in (order, forecast, fill)])
    journal.sync()
    return journal.seq


def refit(occurrence, through_seq):
    due = JobDue(
        engine_ns=1_000, job="refit_slippage", occurrence=occurrence, effective_from_ns=2_000, through_seq=through_seq,
        wait=True,
    )  # fmt: skip
    job, _ = actions.create_job(name=due.job, occurrence=occurrence, request=encode_payload(due).decode())
    assert refit_slippage(job.id) is True
    assert refit_slippage(job.id) is False
    row = Outbox.objects.filter(type="ModelEvent").latest("id")
    return msgspec.json.decode(row.payload, type=ModelEvent)


def test_a_model_is_fitted_told_and_taken_back_when_it_stops_to_be_better(paths, journal):
    found = refit("o-1", trade(journal, made_up(3.0)))
    kept = Artefact.objects.get()
    assert (found.name, found.outcome, found.version, found.effective_from_ns) == ("slippage", "fitted", 1, 2_000)
    assert found.sha256 == kept.sha256 == hashlib.sha256(bytes(found.content)).hexdigest()
    model = decode(bytes(found.content), found.sha256)
    assert (model.label, model.observations, model.fitted_through_ns) == ("slippage@1", 400, 1_000)
    assert "better than the spread model" in found.reason
    # then the cost turns round: what was learned is worse than nothing
    again = refit("o-2", trade(journal, made_up(-6.0, count=800, seed=2), first=400))
    assert (again.outcome, again.version) == ("fitted", 2)
    assert decode(bytes(again.content), again.sha256).label in {"spread", "slippage@2"}
    assert Artefact.objects.count() == 2


def test_without_a_gain_nothing_changes_and_the_errors_are_kept(paths, journal):
    found = refit("o-1", trade(journal, made_up(0.0)))
    assert (found.outcome, found.version) == ("unchanged", 0)
    tested = msgspec.json.decode(Artefact.objects.get().content, type=SlippageModel)
    assert tested.walk_forward.orders == 200
    assert "not better than the spread model" in found.reason


def test_too_few_orders_are_no_failure_and_a_broken_fit_is_one(paths, journal):
    few = refit("o-1", trade(journal, made_up(0.0, count=50)))
    assert (few.outcome, few.reason) == ("unchanged", "executed orders: 50; 100 are needed")
    broken = refit("o-2", journal.seq + 1)
    assert broken.outcome == "failed"
    assert "the execution journal ends at" in broken.reason


def test_what_the_fit_reads_is_what_the_journal_holds(paths, journal):
    given = made_up(1.0, count=20)
    last = trade(journal, given)
    found = observations(read_orders(paths.journal / "execution", through_seq=last))
    assert [each.features for each in found] == [each.features for each in given]
    assert [each.obtained_bps for each in found] == pytest.approx([each.obtained_bps for each in given], abs=1e-4)
    with pytest.raises(JournalBehindError):
        read_orders(paths.journal / "execution", through_seq=last + 1)


def test_every_job_of_the_phase_table_has_a_task():
    assert {job.name for job in TABLE} <= set(TASKS)

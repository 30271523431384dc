"""The risk beside the kernel: what each minute stores, when it alerts, and the report that follows a new covariance."""

import json

import msgspec
import numpy as np
import pytest

from agents.models import Artefact
from agents.risk_manager.refit import Covariance
from controlroom.celery import app
from controlroom.jobs import tasks, watch
from events.models import Job, Outbox
from events.types import RiskAlert
from risk.measures.live import exposures, live
from risk.models import VarSnapshot
from risk.selectors import risk_now, stress_now, var_history
from tests.risk.test_var_forecasts import COVARIANCE

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = ["AAA", "BBB", "CCC"]
MONDAY_NS, DAY_NS = 1_549_902_600_000_000_000, 86_400_000_000_000


def view(engine_ns: int = MONDAY_NS, *, loss: float = 0.0, max_var: float = 0.1) -> dict:
    return {
        "engine_ns": engine_ns, "limits": {"max_var": max_var},
        "account": {"equity": 1e6, "day_pnl": -loss * 1e6, "day_start_equity": 1e6},
        "positions": {
            "AAA": {"qty": 1000.0, "mark": 500.0, "value": 5e5, "by_strategy": {"bull": 1200.0, "bear": -200.0}},
            "CCC": {"qty": 0.0, "mark": 10.0, "value": 0.0, "by_strategy": {"bull": 100.0, "bear": -100.0}},
            "GONE": {"qty": 0.0, "mark": 1.0, "value": 0.0, "by_strategy": {}},
        },
        "strategies": {"bull": {}, "bear": {}},
    }  # fmt: skip


@pytest.fixture
def covariance(monkeypatch):
    """A covariance in force; nobody hears the doorbell."""
    monkeypatch.setattr(watch, "ring", lambda _job: True)
    made = Covariance(symbols=SYMBOLS, covariance=COVARIANCE.tolist(), observations=100, sessions=101,
                      through="2019-02-08", method="ledoit-wolf")  # fmt: skip
    return Artefact.objects.create(
        name="covariance", version=3, occurrence="o", outcome="fitted", sha256="", effective_from_ns=0,
        content=msgspec.json.encode(made).decode(), status="fitted", through="2019-02-08",
    )  # fmt: skip


def alerts() -> list[RiskAlert]:
    rows = Outbox.objects.filter(type="RiskAlert").order_by("id")
    return [msgspec.json.decode(row.payload, type=RiskAlert) for row in rows]


def test_positions_are_read_by_strategy_as_fractions_of_equity():
    symbols, names, table = exposures(view())
    assert (symbols, names) == (["AAA", "CCC"], ["total", "bear", "bull"])
    assert table.tolist() == [[0.5, 0.0], [-0.1, -0.001], [0.6, 0.001]]


def test_the_figures_are_those_of_the_covariance_and_an_unknown_symbol_moves_two_percent():
    found = live(view(), SYMBOLS, COVARIANCE)
    # a Student t of five degrees and unit variance exceeds 2.606 once in a hundred times
    assert found.total.var_99 == pytest.approx(2.606 * 0.5 * 0.02, rel=0.03)
    assert found.total.var_95 < found.total.es_95 < found.total.es_99
    assert found.uncovered == []
    alone = live(view(), [], np.zeros((0, 0)))
    assert alone.uncovered == ["AAA", "CCC"]
    assert alone.total.var_99 == pytest.approx(2.606 * 0.5 * 0.02, rel=0.03)
    assert live({**view(), "positions": {}}, SYMBOLS, COVARIANCE).total.es_99 == 0.0


def test_each_look_stores_a_snapshot_and_an_engine_that_stands_still_none(covariance):
    watch.watch(view())
    watch.watch(view())
    watch.watch(view(MONDAY_NS + 60))
    assert VarSnapshot.objects.count() == 2
    now = risk_now()
    assert now.covariance_version == 3
    assert set(now.strategies) == {"bull", "bear"}
    assert now.strategies["bull"]["var_99"] > now.strategies["bear"]["var_99"]
    assert 0.0 <= now.age_s < 60.0
    covariance.refresh_from_db()
    assert covariance.status == "promoted"


def test_without_a_covariance_or_a_configuration(monkeypatch):
    assert watch.watch({"engine_ns": 0}) is None
    assert watch.watch(view()) is None
    assert risk_now().covariance_version == 0
    assert risk_now().uncovered == ["AAA", "CCC"]
    assert stress_now() is None


def test_a_day_that_loses_more_than_forecast_the_day_before_alerts_once(covariance):
    watch.watch(view())
    watch.watch(view(MONDAY_NS + 60, loss=0.9))
    assert alerts() == []  # nothing was forecast the day before
    for minute, loss in enumerate((0.01, 0.03, 0.04, 0.01)):
        watch.watch(view(MONDAY_NS + DAY_NS + minute, loss=loss))
    [alert] = alerts()
    assert (alert.rule, alert.severity) == ("VAR_EXCEEDED", "warning")
    assert "3.00%" in alert.message
    history = var_history()
    assert [(point.day, point.exceeded) for point in history] == [("2019-02-11", False), ("2019-02-12", True)]


def test_a_simulated_var_above_the_limit_alerts_and_at_it_does_not(covariance):
    watch.watch(view())
    exact = VarSnapshot.objects.get().var_99
    watch.watch(view(MONDAY_NS + 60, max_var=exact))
    assert alerts() == []
    watch.watch(view(MONDAY_NS + 120, max_var=exact * 0.999))
    assert [alert.rule for alert in alerts()] == ["VAR_HIGH"]


def test_a_new_covariance_asks_for_one_stress_report(covariance):
    job = watch.watch(view())
    assert watch.watch(view(MONDAY_NS + 1)) == job
    assert watch.report(job_id=job.id, owner="celery", view=view()) is True
    assert watch.report(job_id=job.id, owner="celery", view=view()) is False
    assert watch.watch(view(MONDAY_NS + 2)) is None
    found = stress_now()
    assert (found.covariance_version, found.through, found.symbols) == (3, "2019-02-08", SYMBOLS)
    by_name = {row["name"]: row for row in found.scenarios}
    assert by_name["every price falls 10 %"]["loss"] == pytest.approx(0.05)
    assert len(found.tails) == 2
    assert np.array(found.correlation)[0, 1] == pytest.approx(0.5)
    json.dumps(found.__dict__)


def test_a_report_that_cannot_be_made_fails_with_its_reason():
    job = Job.objects.create(name="stress_report", occurrence="covariance:9")
    assert watch.report(job_id=job.id, owner="celery", view=view())
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "there is no covariance")


def test_the_schedule_looks_each_minute_and_a_worker_that_is_away_leaves_nothing(paths):
    app.finalize()
    assert app.conf.beat_schedule["risk"]["task"] in app.tasks
    tasks.watch_risk()
    assert tasks.stress_report(1) is False
    assert not VarSnapshot.objects.exists()

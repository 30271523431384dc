"""The Risk page: what trips stands out, each role sees it, what is stored has an age, what is missing a reason."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from controlroom.access.middleware import SEEN
from controlroom.access.models import User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.live.documents import document
from controlroom.live.risk import closeness
from controlroom.live.snapshot import Snapshot
from controlroom.pages.risk import verdict
from risk.actions import record_report, record_var
from risk.models import VarSnapshot
from risk.selectors import VarPoint
from tests.browser import scripted

pytestmark = pytest.mark.django_db
DAY_NS = 86_400 * scripted.SECOND
SYMBOLS = list(scripted.PRICES)
COVARIANCE = [[0.0004 if i == j else 0.0001 for j in range(len(SYMBOLS))] for i in range(len(SYMBOLS))]


def risk(**change: Any) -> dict[str, Any]:
    return document("risk", Snapshot(scripted.view(**change)))


def stored(day: int = 0, **change: Any) -> VarSnapshot:
    """Store the value at risk of a day, as the risk watch does."""
    view = scripted.view(**change)
    view["engine_ns"] += day * DAY_NS
    made = record_var(view=view, symbols=SYMBOLS, covariance=COVARIANCE, version=3)
    assert made is not None
    return made


def report() -> None:
    content = {
        "scenarios": [
            {"name": "every price falls 10 %", "kind": "hypothetical", "days": "", "loss": 0.0312, "worst": "MSFT",
             "worst_loss": 0.0224},
            {"name": "flash crash", "kind": "historical", "days": "2010", "loss": None, "worst": "", "worst_loss": 0.0},
        ],
        "tails": [
            {"market": "stressed", "days": 40, "horizon_days": 10, "volatility": 0.02, "var_95": 0.03, "es_95": 0.04,
             "var_99": 0.0517, "es_99": 0.06, "worst": 0.21, "beyond": {"0.05": 0.011, "0.1": 0.001}}
        ],
        "regime": "calm", "symbols": ["AAPL", "SPY"], "correlation": [[1.0, -0.62], [-0.62, 1.0]],
    }  # fmt: skip
    content_bytes = msgspec.json.encode(content)
    record_report(occurrence="covariance:3", engine_ns=1, version=3, through="2019-02-12", content=content_bytes)


@pytest.mark.parametrize("role", [STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR, OVERSIGHT])
def test_every_role_sees_it_and_only_who_may_change_limits_is_led_there(
    client: Client, person: Callable[..., User], station: Any, role: str
) -> None:
    station.publish(scripted.view())
    client.force_login(person(role))
    html = client.get("/risk/").content.decode()
    assert "Limits in use" in html
    assert ("edit limits" in html) is (role == OVERSIGHT)
    assert re.search(r'<a href="/risk/" aria-current="page">Risk', html)


def test_what_tripped_is_first_and_said_in_words_banner_and_navigation(visitor: Client, station: Any) -> None:
    station.publish(scripted.view(breakers=scripted.breakers(tripped=True)))
    html = visitor.get("/risk/").content.decode()
    assert re.search(r'data-shown-if="tripped"><strong>■ TRIPPED', html)
    assert "DAILY_LOSS of account (REDUCING), STRATEGY_DRAWDOWN of Bearish (REDUCING), SWAN_MINUTE of TSLA" in html
    assert re.search(r'data-field="tripped" data-format="integer" data-value="3"', html)
    states = re.findall(r'data-cell="state"[^>]*data-state="(\w+)"', html[html.index('id="breakers"') :])
    assert states[:3] == ["tripped"] * 3
    assert "zoë" in html
    assert "checked with the broker" in html
    station.publish(scripted.view())
    calm = visitor.get("/risk/").content.decode()
    assert re.search(r'data-shown-if="tripped" hidden><strong>■ TRIPPED', calm)


def test_a_warning_and_a_release_hold_nothing_back() -> None:
    warned = scripted.breaker("DRAWDOWN", "account", "WARNING", 0.06, 0.05, tripped_ns=1, tripped_value=0.06)
    freed = scripted.breaker("SWAN_DAY", "symbol:MU", "HALTED", 9.0, 8.0, released_by="zoë", released_ns=5_000_000)
    near = scripted.breaker("DAILY_LOSS", "account", "REDUCING", 0.025, 0.03)
    made = risk(breakers=[near, freed, warned])
    rows = [made["breakers"]["by"][key] for key in made["breakers"]["order"]]
    assert [row["state"] for row in rows] == ["warned", "near", "released"]
    assert (rows[2]["value_deviations"], "value_fraction" in rows[2]) == (9.0, False)
    assert made["tripped"] == []


@pytest.mark.parametrize(
    ("share", "used", "word"),
    [(0.79, 0.1, "free"), (0.8, 0.1, "near"), (1.0, 0.1, "near"), (1.01, 0.1, "beyond"), (None, 0.1, "beyond"),
     (None, 0.0, "free")],
)  # fmt: skip
def test_exactly_at_a_limit_is_near_and_above_it_beyond(share: float | None, used: float, word: str) -> None:
    assert closeness(share, used) == word


def test_limits_in_use_have_a_bar_and_those_of_single_orders_none(visitor: Client, station: Any) -> None:
    view = scripted.view()
    station.publish(view)
    made = document("risk", Snapshot(view))
    row = made["limits"]["by"]["max_gross"]
    assert row["used"] == pytest.approx(view["account"]["gross"] / view["account"]["equity"])
    assert made["limits"]["by"]["max_var"]["share"] == pytest.approx(0.048 / view["limits"]["max_var"])
    assert made["limits"]["by"]["strategy_drawdown"]["where"] == "Bearish"
    assert made["limits"]["by"]["covariance_max_age_sessions"]["used_count"] == 3
    assert made["single"]["by"]["max_order_value"]["limit"] == view["limits"]["max_order_value"]
    assert made["limits"]["by"].keys() | made["single"]["by"].keys() == view["limits"].keys()
    html = visitor.get("/risk/").content.decode()
    assert re.search(rf'<meter [^>]*value="{row["share"]}" data-meter="share" aria-label="share of the limit', html)


def test_strip_shows_how_much_of_the_var_limit_is_used_and_nothing_for_an_older_worker() -> None:
    view = scripted.view()
    kpi = document("header", Snapshot(view))["kpi"]
    assert kpi["var_used"] == pytest.approx(0.048 / view["limits"]["max_var"])
    for name in ("var", "limits", "breakers", "vetoes"):
        del view[name]
    header = document("header", Snapshot(view))
    assert ("var_used" in header["kpi"], header["tripped"]) == (False, 0)
    assert document("risk", Snapshot(view))["limits"]["order"] == []


def test_exposures_are_the_largest_first_and_vetoes_have_their_sum() -> None:
    vetoes = scripted.view()["vetoes"] | {
        "VAR_LIMIT": {"count": 2, "saved": 0.0, "cost": 50.0, "net": -50.0, "pending": 0}
    }
    made = risk(vetoes=vetoes)
    shares = [abs(made["symbols"]["by"][symbol]["share"]) for symbol in made["symbols"]["order"]]
    assert shares == sorted(shares, reverse=True)
    assert "BAC" not in made["symbols"]["by"]  # nothing is held of it
    assert made["strategies"]["by"]["bullish"]["gross"] == pytest.approx(90_000 / scripted.view()["account"]["equity"])
    assert made["veto_total"] == {"count": 6, "pending": 1, "saved": 310.5, "cost": 172.25, "net": 138.25}


def test_what_is_not_there_yet_says_why(visitor: Client, station: Any) -> None:
    html = visitor.get("/risk/").content.decode()
    assert "No limit is known: the worker waits for its first configuration" in html
    assert "No value at risk yet: the risk watch stores one each minute" in html
    assert "No covariance yet: the first is fitted after hours" in html
    assert "No stress table yet" in html
    told = visitor.get("/data/var").json()
    assert (told["at_ms"], told["said"][:23]) == ([], "No day was forecast yet")


def test_stored_figures_say_what_they_are_and_how_old(
    visitor: Client, station: Any, django_assert_max_num_queries: Any
) -> None:
    station.publish(scripted.view())
    made = stored()
    report()
    with django_assert_max_num_queries(9):
        html = visitor.get("/risk/").content.decode()
    assert f'data-value="{made.var_99}"' in html
    assert "Monte Carlo (simulated)" in html
    assert "100000 simulated days, Student t with 5 degrees of freedom, covariance 3" in html
    assert "Mean-reversion" in html[html.index('id="var"') : html.index('id="stress"')]
    assert "every price falls 10 %" in html
    assert "the market now: calm" in html
    assert re.search(r'data-shade="-2">\s*<span data-value="-0.62">', html)
    assert 'id="var" data-aged data-stale="false"' in html
    VarSnapshot.objects.update(created=timezone.now() - timedelta(seconds=121))
    late = visitor.get("/risk/figures").content.decode()
    assert 'id="var" data-aged data-stale="true"' in late
    assert "STALE 2" in late
    assert "<html" not in late


def test_without_a_covariance_the_figures_say_what_was_taken(visitor: Client, station: Any) -> None:
    record_var(view=scripted.view(), symbols=[], covariance=[], version=0)
    assert b"no covariance yet: every symbol is taken to move 2 % a day alone" in visitor.get("/risk/").content


def test_a_days_loss_stands_beside_what_was_forecast_the_day_before(
    visitor: Client, station: Any, django_assert_max_num_queries: Any
) -> None:
    account = scripted.view()["account"]
    first = [stored(0), stored(0, minute=319)][-1]
    for minute, loss in enumerate((0.0, 0.4, 0.01)):  # the day loses too much, and most of it comes back
        last = stored(1, minute=minute, account=account | {"day_pnl": -loss * account["day_start_equity"]})
    with django_assert_max_num_queries(7):
        told = visitor.get("/data/var").json()
    assert told["var_99"] == [None, first.var_99]
    assert told["exceeded"] == [False, True]
    assert told["loss"][1] == pytest.approx(last.loss)
    assert told["said"].startswith("1 exception in 1 day, 0.0 expected at 99 %. No Basel zone: 250 days are needed")


@pytest.mark.parametrize(("exceptions", "zone"), [(4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")])
def test_basel_zone_is_that_of_250_days(exceptions: int, zone: str) -> None:
    points = [VarPoint(f"{day}", day, 0.01, 0.02, 0.03, 0.0, 0 < day <= exceptions) for day in range(251)]
    assert f"Basel zone over 250 days: {zone}" in verdict(points)


def test_what_the_page_asks_by_itself_keeps_no_session_alive(visitor: Client, station: Any) -> None:
    session = visitor.session
    session[SEEN] = session["began"] - 3600.0
    session.save()
    visitor.get("/risk/figures")
    visitor.get("/data/var")
    assert visitor.session[SEEN] == session[SEEN]
    visitor.get("/risk/")
    assert visitor.session[SEEN] > session[SEEN]

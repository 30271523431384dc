"""Events laid over real bars: what acts, how soon, what it costs. `bench injections` prints them."""

import pytest

from bench import black_swan, injections
from events.types import Bar
from market.feeds.port import FeedRequest
from market.feeds.replay import feed as replay
from market.feeds.sample import feed as sample


@pytest.fixture(scope="module")
def week(station_data):
    return replay.open_feed(
        FeedRequest(argument=str(station_data / injections.WEEK), symbols=injections.SYMBOLS)
    )  # fmt: skip


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "first", "at_most"),
    [
        ("flash_crash", ("DAILY_LOSS station", "HALTED"), (3, 0.10)),
        ("black_day", ("DAILY_LOSS station", "HALTED"), (30, 0.06)),
        ("nan_feed", ("bars refused (BAD_NAN)", "ACTIVE"), (1, 0.0)),
        ("runaway", ("STRATEGY_DAILY_LOSS momentum", "ACTIVE"), (390, 0.02)),
    ],
)
def test_something_acts_before_the_loss_is_large(week, name, first, at_most) -> None:
    row = injections.run(name, week)
    assert (row["acted"][0], row["state"]) == first
    assert row["bars"] <= at_most[0]
    assert row["lost_share"] <= at_most[1]
    if name == "runaway":
        assert row["off"] == ["momentum"]
    if name == "nan_feed":
        assert row["orders"] == 0


def test_a_fifth_lost_in_one_daily_bar_halts_within_that_bar(monkeypatch) -> None:
    """The two indices of the arch wheel, both a fifth lower from one day on: the night's return and the account's."""

    def fall(since: int, bar: Bar) -> Bar:
        return injections.scaled(bar, 0.8)

    event = injections.Event("-20 % overnight", fall, invested=True, after=5)
    monkeypatch.setitem(injections.EVENTS, "night", event)
    row = injections.run("night", sample.open_feed(FeedRequest()), at=300)
    assert row["bars"] == 1
    assert row["state"] == "HALTED"
    assert {acted.partition(" ")[0] for acted in row["acted"]} >= {"SWAN_NIGHT", "SYMBOLS_TOGETHER"}


@pytest.mark.realdata
def test_no_ordinary_session_trips_the_detector_and_a_split_that_nobody_told_of_does(station_data) -> None:
    for name in black_swan.EQUITIES[:2]:
        assert black_swan.Watch(station_data, name).trips == []
    untold = black_swan.Watch(station_data, black_swan.EQUITIES[1], factors=False)
    assert [(trip["rule"], trip["symbol"], trip["at"][:10]) for trip in untold.trips] == [
        ("SWAN_NIGHT", "AAPL", "2014-06-09")
    ]


def test_the_upper_bound_is_the_rule_of_three_where_nothing_was_found() -> None:
    assert black_swan.upper(0, 66) == pytest.approx(1.0 - 0.05 ** (1.0 / 66.0), abs=1e-4)
    assert black_swan.upper(0, 66) == pytest.approx(3.0 / 66.0, rel=0.03)

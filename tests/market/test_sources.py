"""The sources as they are: the made-up market, the sample, and every file of real bars."""

import pathlib

import numpy as np
import pytest

from events.types import Bar, Quote, SliceEnd
from market.feeds.inspect import FeedError, describe_run, feed_of_run
from market.instruments import Instrument
from market.validation import GAP, Validator


def bars_of(make, feed, **changes):
    description = describe_run(make.options(feed, **changes))
    feed = feed_of_run(description)
    return description, [event for batch in feed.batches() for event in batch.events if isinstance(event, Bar)]


def refusals(description, feed):
    """Judge a whole source as the worker does."""
    validator = Validator(Instrument(**instrument) for instrument in description["instruments"])
    last_close = bars = 0
    for batch in feed.batches():
        for event in batch.events:
            if isinstance(event, Bar):
                validator.check(event, last_close)
                bars += 1
            elif isinstance(event, SliceEnd):
                assert event.close_ns > last_close
                assert event.bars == len(batch.events) - 1
                last_close = event.close_ns
    return bars, {code: count for code, count in validator.counts.items() if code != GAP}


def test_the_made_up_market_is_the_same_for_the_same_seed_only(make):
    description, first = bars_of(make, "simulated:seed=5,sessions=2")
    assert first == bars_of(make, "simulated:seed=5,sessions=2")[1]
    assert first != bars_of(make, "simulated:seed=6,sessions=2")[1]
    assert first == bars_of(make, "simulated:seed=5,sessions=3")[1][: len(first)]
    assert description["source"]["label"] == "SIMULATED"
    assert all(symbol.startswith("SIM-") for symbol in description["symbols"])
    only = bars_of(make, "simulated:seed=5,sessions=2", symbols=("SIM-CEDAR",))[1]
    assert only == [bar for bar in first if bar.symbol == "SIM-CEDAR"]


def test_the_made_up_market_passes_the_validator_and_looks_like_one(make):
    description = describe_run(make.options("simulated:sessions=20"))
    bars, refused = refusals(description, feed_of_run(description))
    assert (bars, refused) == (description["bars"], {})
    _, series = bars_of(make, "simulated:sessions=20", symbols=("SIM-BIRCH",))
    volume = np.array([bar.volume for bar in series]).reshape(20, 390)
    assert volume[:, :30].mean() > 1.3 * volume[:, 180:210].mean() < volume[:, -30:].mean()
    returns = np.diff(np.log([bar.close for bar in series]))
    kurtosis = ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2
    assert kurtosis > 5.0  # regimes and jumps: a normal distribution has 3


def test_a_resumed_made_up_market_goes_on(make):
    feed = feed_of_run(describe_run(make.options("simulated:sessions=2")))
    whole = [event for batch in feed.batches() for event in batch.events]
    assert [event for batch in feed.batches(4321) for event in batch.events] == whole[4320:]


def test_half_days_are_short(make):
    description, bars = bars_of(make, "simulated:sessions=1,start=2024-07-03", symbols=("SIM-ALDER",))
    assert len(bars) == description["bars"] == 210


def test_other_intervals_and_symbols_are_refused(make):
    with pytest.raises(FeedError, match="--interval = 300"):
        describe_run(make.options("simulated", interval_s=300))
    with pytest.raises(FeedError, match="--symbols: AAPL not in the simulated market, which has SIM-ALDER"):
        describe_run(make.options("simulated", symbols=("AAPL",)))


def test_the_sample_is_two_real_indices_as_proxies(make):
    description = describe_run(make.options("sample"))
    assert description["symbols"] == ["NASDAQ", "SP500"]
    assert description["source"]["label"] == "SAMPLE"
    assert all(instrument["proxy"] and instrument["tradable"] for instrument in description["instruments"])
    bars, refused = refusals(description, feed_of_run(description))
    assert (bars, refused) == (description["bars"], {})
    _, series = bars_of(make, "sample", symbols=("SP500",))
    assert len(series) == 5031
    assert (series[-1].close, series[-1].data_source) == (2506.850098, "arch")


def test_without_a_speed_one_bar_a_second(make):
    assert describe_run(make.options("sample", speed=None))["speed"] == 86400.0
    assert describe_run(make.options("sample", speed=None, until_done=True))["speed"] == "max"


@pytest.mark.realdata
def test_every_file_of_real_bars_is_a_source(make, station_data):
    files = sorted(
        path for path in station_data.glob("*.parquet") if path.name.split("_")[1][:3] in {"min", "hou", "day"}
    )
    bars_files = [path for path in files if "quotes" not in path.name]
    assert len(bars_files) == 11
    for path in bars_files:
        description = describe_run(make.options(f"replay:{path}"))
        bars, refused = refusals(description, feed_of_run(description))
        assert (path.name, bars, refused) == (path.name, description["bars"], {})
        length = {"min1": 60, "min15": 900, "hour1": 3600, "day1": 86400}[path.name.split("_")[1]]
        assert description["source"]["interval_s"] == length, path.name


@pytest.mark.realdata
def test_files_that_hold_no_bars_say_so(make, station_data):
    for pattern, sentence in (
        ("*quotes*", "holds quotes"),
        ("news*", "has no column o"),
        ("us_factors*", "has no column ts"),
    ):
        for path in station_data.glob(pattern):
            with pytest.raises(FeedError, match=sentence):
                describe_run(make.options(f"replay:{path}"))


@pytest.mark.realdata
def test_real_quotes_stand_beside_their_bars(make, station_data):
    files = ",".join(str(station_data / f"us_min1_{kind}lean_2008-2023_days.parquet") for kind in ("", "quotes_"))
    description = describe_run(make.options(f"replay:{files}"))
    assert (description["bars"], description["warnings"]) == (
        21252, ["9118 quotes outside their symbol's sessions are left out"]
    )  # fmt: skip
    validator = Validator(Instrument(**instrument) for instrument in description["instruments"])
    last_close = at_the_close = quotes = 0
    for batch in feed_of_run(description).batches():
        for event in batch.events:
            if isinstance(event, Quote):
                assert validator.check_quote(event, last_close) is None
                quotes += 1
                at_the_close += event.ts_ns == last_close
            elif isinstance(event, SliceEnd):
                assert event.bars == sum(isinstance(each, Bar) for each in batch.events)
                last_close = event.close_ns
    assert (quotes, at_the_close) == (15024, 14882)


@pytest.mark.realdata
def test_the_hour_file_begins_its_day_with_the_open(make, station_data):
    _, bars = bars_of(make, f"replay:{station_data}/us_hour1_lean_to2015.parquet", symbols=("SPY",))
    first = np.datetime64(bars[0].open_ns, "ns")
    assert str(first)[:16] == "1998-01-02T14:00"  # 09:00 in New York: 09:30 lies in it
    assert all(bar.close_ns - bar.open_ns == 3600 * 10**9 for bar in bars)


@pytest.mark.realdata
def test_coins_and_shares_in_one_feed(make, station_data):
    names = ("us_min1_2019-02-11_2019-02-15_24sym.parquet", "crypto_min1_lean_2016-2026_days.parquet")
    files = ",".join(str(station_data / name) for name in names)
    description = describe_run(make.options(f"replay:{files}"))
    calendars = {instrument["calendar"] for instrument in description["instruments"]}
    assert calendars == {"XNYS", "24/7"}
    assert len(description["symbols"]) == 35
    assert pathlib.Path(description["feed"].removeprefix("replay:").split(",")[0]).is_absolute()

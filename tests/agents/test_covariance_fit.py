"""The covariance artefact from sessions' prices: on what, scaled how, and what disturbs it."""

import msgspec
import numpy as np
import pytest

from agents.risk_manager.prices import merged
from agents.risk_manager.refit import Covariance, fit, metrics
from risk.measures.monte_carlo import draw, factor
from tests.risk.test_var_forecasts import COVARIANCE

SYMBOLS = ("AAA", "BBB", "CCC")
DAY = 78


def walk(steps: int, scale: float = 1.0, seed: int = 3) -> np.ndarray:
    return 100.0 * np.cumprod(1.0 + draw(steps, 3, seed=seed).normals @ factor(COVARIANCE * scale).T, axis=0)


def daily(count: int) -> dict:
    prices = walk(count)
    dates = np.arange("2020-01-01", count, dtype="datetime64[D]").astype(str).tolist()
    return {date: {s: {DAY: p} for s, p in zip(SYMBOLS, row, strict=True)}
            for date, row in zip(dates, prices.tolist(), strict=True)}  # fmt: skip


def five_minutes(days: int) -> dict:
    prices = walk(days * DAY, 1.0 / DAY).reshape(days, DAY, 3)
    dates = np.arange("2020-01-01", days, dtype="datetime64[D]").astype(str).tolist()
    return {
        date: {symbol: dict(enumerate(prices[k, :, i].tolist(), 1)) for i, symbol in enumerate(SYMBOLS)}
        for k, date in enumerate(dates)
    }


def test_returns_from_session_to_session_give_the_markets_covariance():
    made, reason = fit(daily(1000))
    assert np.array(made.covariance) == pytest.approx(COVARIANCE, rel=0.15, abs=2e-5)
    assert (made.observations, made.sessions, made.interval, made.method) == (999, 1000, "session", "ledoit-wolf")
    assert made.through == "2022-09-26"
    assert "999 returns of 3 symbols" in reason
    assert np.linalg.eigvalsh(np.array(made.covariance)).min() > 0.0


@pytest.mark.parametrize(("days", "interval"), [(1, "5 min"), (3, "15 min"), (10, "60 min")])
def test_a_few_sessions_of_minutes_are_scaled_to_a_day(days, interval):
    made, _ = fit(five_minutes(days))
    assert (made.interval, made.sessions) == (interval, days)
    assert np.diag(made.covariance) == pytest.approx(np.diag(COVARIANCE), rel=0.6)


@pytest.mark.parametrize("sessions", [0, 1, 20])
def test_too_few_sessions_fit_nothing_and_say_what_is_needed(sessions):
    made, reason = fit(daily(sessions)) if sessions else fit({})
    assert made is None
    assert f"{sessions} sessions are too few" in reason
    assert "20 returns" in reason


def test_the_twenty_first_session_is_enough():
    made, _ = fit(daily(21))
    assert made.observations == 20


def test_a_split_does_not_rule_the_variance_and_a_crash_does():
    plain, split, crash = daily(300), daily(300), daily(300)
    for date in list(split)[150:]:
        split[date]["BBB"] = {DAY: split[date]["BBB"][DAY] / 7.0}
        crash[date]["BBB"] = {DAY: crash[date]["BBB"][DAY] * 0.4}
    variances = [np.array(fit(history)[0].covariance)[1, 1] for history in (plain, split, crash)]
    assert variances[1] == pytest.approx(variances[0], rel=0.1)
    assert variances[2] > 10.0 * variances[0]
    assert fit(split)[0].suspected_splits == ["BBB 2020-05-30"]


def test_a_symbol_that_never_moved_or_just_came_is_not_in_it():
    history = daily(300)
    for k, grid in enumerate(history.values()):
        grid["IDLE"] = {DAY: 5.0}
        if k > 290:
            grid["NEW"] = {DAY: 10.0 + k}
    assert fit(history)[0].symbols == list(SYMBOLS)


def test_missing_prices_are_the_last_known_ones():
    history = daily(100)
    for date in list(history)[50:60]:
        del history[date]["AAA"]
    made, _ = fit(history)
    assert made.symbols == list(SYMBOLS)
    assert np.isfinite(made.covariance).all()


def test_the_same_prices_give_the_same_bytes_and_they_can_be_read_again():
    first, second = (msgspec.json.encode(fit(daily(120))[0]) for _ in range(2))
    assert first == second
    made = msgspec.json.decode(first, type=Covariance)
    assert made.covariance == np.array(made.covariance).T.tolist()
    assert set(metrics(made)["volatility"]) == set(SYMBOLS)


def test_a_session_read_in_two_parts_is_one():
    assert merged({"A": {1: 1.0, 2: 2.0}}, {"A": {2: 3.0}, "B": {1: 9.0}}) == {"A": {1: 1.0, 2: 3.0}, "B": {1: 9.0}}

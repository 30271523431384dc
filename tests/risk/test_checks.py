"""Every denial code alone: at its limit an order passes, just beyond it is denied, and nothing else says no."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.configuration import load_settings
from engine.decisions import commitments, judge_symbol, portfolio
from engine.layout import (
    ACCOUNT,
    ACTIVE,
    BOOK,
    COSTS,
    HALTED,
    LIMITS,
    MAINTENANCE,
    REDUCING,
    STRATEGY,
    SYMBOL,
    UNCONFIGURED,
)
from risk.checks import check_numbers, check_state, raises_exposure
from risk.codes import Code
from risk.var_limit import RISK, Z99, begin, moved
from risk.var_limit import value_at_risk as value_at_risk_of

NOW_NS = 10_000_000_000_000
MINUTE_NS = 60_000_000_000
PRICE, EQUITY = 100.0, 1_000_000.0
IN_SESSION, RAISING = False, True


class Scene:
    """Two symbols at 100 and two strategies, a million, nothing held, default limits: any small order passes."""

    def __init__(self) -> None:
        self.symbols, self.books = np.zeros(2, dtype=SYMBOL), np.zeros((2, 2), dtype=BOOK)
        self.strategies, self.account, self.limits = (
            np.zeros(2, dtype=STRATEGY),
            np.zeros(1, dtype=ACCOUNT),
            np.zeros(1, dtype=LIMITS),
        )
        for name, value in {
            "lot_numerator": 1, "lot_denominator": 1, "tick": 0.01, "tradable": 1, "shortable": 1,
            "interval_ns": MINUTE_NS, "session_open_ns": NOW_NS - MINUTE_NS, "session_close_ns": NOW_NS + MINUTE_NS,
            "mark": PRICE, "mark_ns": NOW_NS,
        }.items():  # fmt: skip
            self.symbols[name] = value
        for name, value in {
            "state": ACTIVE, "reconciled": 1, "equity": EQUITY, "cash_micro": int(EQUITY * 1e6),
            "breaker_high_water": EQUITY,
            "breaker_day_start": EQUITY, "tokens": 4.0, "tokens_ns": NOW_NS,
        }.items():  # fmt: skip
            self.account[name] = value
        self.strategies["enabled"], self.strategies["tokens"], self.strategies["tokens_ns"] = 1, 4.0, NOW_NS
        limits = load_settings().limits
        for name in LIMITS.names:
            self.limits[name] = float(getattr(limits, name))
        self.limits["max_strategy"] = 10.0
        self.costs, self.risk = np.zeros(1, dtype=COSTS), np.zeros(1, dtype=RISK)
        self.covariance, self.variances = np.zeros((2, 2)), np.full(2, 0.02 * 0.02)
        self.values, self.met = np.zeros(len(Code)), np.zeros(len(Code))
        self.now_ns = NOW_NS

    def hold(self, lots: int, i: int = 0, s: int = 0) -> None:
        self.symbols[i]["lots"] += lots
        self.books[s, i]["lots"] += lots
        self.account["gross"] += abs(lots) * PRICE
        self.account["net"] += lots * PRICE
        self.account["cash_micro"] -= int(lots * PRICE * 1e6)

    def work(self, lots: int, i: int = 0, s: int = 0) -> None:
        self.symbols[i]["working_buy" if lots > 0 else "working_sell"] += abs(lots)
        self.books[s, i]["working"] += lots
        self.books[s, i]["working_gross"] += abs(lots)

    def judge(self, lots: int, i: int = 0) -> set[Code]:
        totals, exposures, rates, weights = np.zeros(3), np.zeros(2), np.ones(1), np.zeros(2)
        portfolio(self.symbols, rates, weights)
        begin(self.risk[0], weights, self.covariance, self.variances)
        commitments(self.symbols, self.books, rates, totals, exposures)
        mask = judge_symbol(
            i, lots, np.array([lots, 0]), self.symbols, self.books, self.strategies, self.account[0], self.costs[0],
            self.limits[0], rates, self.now_ns, totals, exposures, self.risk[0], weights, self.covariance,
            self.variances, self.values, self.met,
        )  # fmt: skip
        return {code for code in Code if mask & (1 << code)}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_small_order_passes_either_way(scene) -> None:
    assert scene.judge(10) == set()
    assert scene.judge(-10) == set()


Change = Callable[[Scene], None]


def put(table: str, field: str, value: Any) -> Change:
    def change(scene: Scene) -> None:
        getattr(scene, table)[field] = value

    return change


FLAGS: list[tuple[Code, Change]] = [
    (Code.KILLED, put("account", "killed", 1)),
    (Code.KILLED, lambda s: s.symbols[0].__setitem__("killed", 1)),
    (Code.MODE_NOT_ACTIVE, put("account", "state", HALTED)),
    (Code.MODE_NOT_ACTIVE, put("account", "state", MAINTENANCE)),
    (Code.MODE_NOT_ACTIVE, put("account", "state", UNCONFIGURED)),
    (Code.UNRECONCILED, put("account", "reconciled", 0)),
    (Code.RESTRICTED_SYMBOL, lambda s: s.symbols[0].__setitem__("restricted", 1)),
    (Code.RESTRICTED_SYMBOL, lambda s: s.symbols[0].__setitem__("tradable", 0)),
    (Code.HALTED_SYMBOL, lambda s: s.symbols[0].__setitem__("halted", 1)),
    (Code.SESSION_CLOSED, lambda s: s.symbols[0].__setitem__("session_open_ns", NOW_NS)),
    (Code.BAD_NUMBER, lambda s: s.symbols[0].__setitem__("tick", 0.0)),
    (Code.DUPLICATE, lambda s: s.symbols[0].__setitem__("last_decided_ns", NOW_NS)),
    (Code.REDUCING_ONLY, put("account", "state", REDUCING)),
]


@pytest.mark.parametrize(("code", "change"), FLAGS, ids=[f"{c.name}-{k}" for k, (c, _) in enumerate(FLAGS)])
def test_a_state_denies_alone(scene, code, change) -> None:
    change(scene)
    assert scene.judge(10) == {code}


def test_a_row_without_an_instrument_is_unknown(scene) -> None:
    scene.symbols[0]["lot_numerator"] = scene.symbols[0]["lot_denominator"] = 0
    mask = check_state(0, scene.account[0], scene.symbols[0], NOW_NS, IN_SESSION, RAISING, scene.values, scene.met)
    assert mask == 1 << Code.UNKNOWN_SYMBOL


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_price_that_is_none_is_a_bad_number(scene, price) -> None:
    mask = check_numbers(0, scene.symbols[0], 10, price, 0.0, NOW_NS, scene.limits[0], scene.values, scene.met)
    assert mask & (1 << Code.BAD_NUMBER)


@pytest.mark.parametrize(("limit", "bad"), [(100.01, False), (100.005, True), (float("nan"), True), (-5.0, True)])
def test_a_limit_price_off_the_tick_is_a_bad_number(scene, limit, bad) -> None:
    mask = check_numbers(0, scene.symbols[0], 10, PRICE, limit, NOW_NS, scene.limits[0], scene.values, scene.met)
    assert bool(mask & (1 << Code.BAD_NUMBER)) is bad


@pytest.mark.parametrize(("limit", "denied"), [(110.0, False), (110.01, True), (90.0, False), (89.99, True)])
def test_the_collar_is_around_the_mark(scene, limit, denied) -> None:
    mask = check_numbers(0, scene.symbols[0], 10, PRICE, limit, NOW_NS, scene.limits[0], scene.values, scene.met)
    assert mask == (1 << Code.PRICE_COLLAR if denied else 0)


def test_no_lots_are_a_bad_number(scene) -> None:
    mask = check_numbers(0, scene.symbols[0], 0, PRICE, 0.0, NOW_NS, scene.limits[0], scene.values, scene.met)
    assert mask == 1 << Code.BAD_NUMBER


def test_a_session_ends_at_its_close_but_its_last_slice_decides_for_the_next(scene) -> None:
    row = scene.symbols[0]
    close_ns = int(row["session_close_ns"])
    for now_ns, last, denied in ((close_ns - 1, False, False), (close_ns, False, True), (close_ns, True, False)):
        mask = check_state(0, scene.account[0], row, now_ns, last, RAISING, scene.values, scene.met)
        assert mask == (1 << Code.SESSION_CLOSED if denied else 0)


def stale(scene: Scene, seconds: float) -> int:
    scene.symbols["mark_ns"] = NOW_NS - round((120 + seconds) * 1e9)
    return 10


def opposite(scene: Scene, lots: float) -> int:
    scene.work(-int(lots))
    return 10


def position(scene: Scene, lots: float) -> int:
    scene.limits["max_order_value"], scene.limits["max_gross"], scene.limits["max_net"] = 1e9, 10.0, 10.0
    scene.account["cash_micro"] = 10**13
    return int(lots)


def strategy(scene: Scene, lots: float) -> int:
    scene.limits["max_strategy"] = 0.3
    scene.hold(1000, i=1)
    scene.work(500, i=1)
    return int(lots)


def gross(scene: Scene, lots: float) -> int:
    scene.limits["max_net"] = 10.0
    scene.hold(-5000, i=1)
    scene.work(-2000, i=1)
    return int(lots)


def net(scene: Scene, lots: float) -> int:
    scene.limits["max_net"] = 0.5
    scene.hold(2000, i=1)
    scene.work(1000, i=1)
    return int(lots)


def loss(scene: Scene, lost: float) -> int:
    scene.account["equity"] = EQUITY - lost
    return 10


def fall(scene: Scene, lost: float) -> int:
    scene.account["breaker_day_start"] = scene.account["equity"] = EQUITY - lost
    return 10


def cash(scene: Scene, lots: float) -> int:
    """200,000 in cash, of which working buys have 50,050; the order costs a tenth of a percent and half a tick."""
    scene.account["cash_micro"] = 200_000 * 10**6
    scene.costs["fee_ppm"] = scene.symbols["fee_ppm"] = 1000
    scene.symbols["tick"] = 0.02
    scene.work(500, i=1)
    return int(lots)


def value_at_risk(scene: Scene, lots: float) -> int:
    """Two symbols of 2 % a day, correlation 0.5, 100,000 already in the other: z99 x sqrt(w'Cw) against 8,000."""
    scene.covariance[:] = [[4e-4, 2e-4], [2e-4, 4e-4]]
    scene.risk["fitted"] = 1
    scene.limits["max_var"] = 0.008
    scene.hold(1000, i=1)
    return int(lots)


def unfitted_risk(scene: Scene, lots: float) -> int:
    """No covariance has come: both move together, z99 x (100,000 + w) x 2 %."""
    scene.limits["max_var"] = 2 * 0.02 * 100_000 * Z99 / EQUITY
    scene.hold(-1000, i=1)
    return int(lots)


def old_covariance(scene: Scene, sessions: float) -> int:
    scene.risk["fitted"], scene.risk["age"] = 1, int(sessions)
    scene.limits["covariance_max_age_sessions"] = 5
    scene.covariance[:] = [[4e-4, 2e-4], [2e-4, 4e-4]]
    return 10


def lots_limit(scene: Scene, lots: float) -> int:
    scene.limits["max_order_lots"] = 1000
    return int(lots)


def value_limit(scene: Scene, lots: float) -> int:
    return int(lots)


AT_8000 = (-1.0 + math.sqrt(1.0 - 4.0 * (1.0 - (8000.0 / Z99 / 2000.0) ** 2))) / 2.0
"""x of w = 100,000 x (x, 1) that solves 2,000 x sqrt(x^2 + x + 1) = 8,000 / z99."""

LIMITED = [
    (Code.STALE_PRICE, stale, 5.0, 5.001),
    (Code.SELF_MATCH, opposite, 0, 1),
    (Code.MAX_ORDER_QTY, lots_limit, 1000, 1001),
    (Code.MAX_ORDER_QTY, lots_limit, -1000, -1001),
    (Code.MAX_ORDER_VALUE, value_limit, 5000, 5001),
    (Code.MAX_ORDER_VALUE, value_limit, -5000, -5001),
    (Code.MAX_POSITION, position, 10_000, 10_001),
    (Code.MAX_POSITION, position, -10_000, -10_001),
    (Code.MAX_STRATEGY, strategy, 1500, 1501),
    (Code.MAX_STRATEGY, strategy, -1500, -1501),
    (Code.MAX_GROSS, gross, 3000, 3001),
    (Code.MAX_GROSS, gross, -3000, -3001),
    (Code.MAX_NET, net, 2000, 2001),
    (Code.NO_CASH, cash, 1497, 1498),
    (Code.VAR_LIMIT, value_at_risk, 1000 * AT_8000, 1000 * AT_8000 + 1),
    (Code.VAR_LIMIT, unfitted_risk, 1000, 1001),
    (Code.VAR_LIMIT, unfitted_risk, -1000, -1001),
    (Code.VAR_LIMIT, old_covariance, 5, 6),
    (Code.DAILY_LOSS, loss, 30_000.0, 30_001.0),
    (Code.DRAWDOWN, fall, 80_000.0, 80_001.0),
]


@pytest.mark.parametrize(
    ("code", "change", "at", "beyond"), LIMITED, ids=[f"{row[0].name}{row[2]:+g}" for row in LIMITED]
)
def test_at_a_limit_passes_and_just_beyond_denies_alone(code, change, at, beyond) -> None:
    calm = Scene()
    assert calm.judge(change(calm, at)) == set()
    strained = Scene()
    assert strained.judge(change(strained, beyond)) == {code}
    assert strained.values[code] > strained.met[code]


# Numbers that decide, by code: each of them once not a number and once infinite, and the order is denied by that code.
NUMBERS: dict[Code, list[tuple[str, str]]] = {
    Code.BAD_NUMBER: [("symbols", "mark"), ("symbols", "tick")],
    Code.STALE_PRICE: [("limits", "stale_after_s")],
    Code.PRICE_COLLAR: [("limits", "price_collar")],
    Code.DAILY_LOSS: [("account", "equity"), ("account", "breaker_day_start"), ("limits", "daily_loss")],
    Code.DRAWDOWN: [("account", "equity"), ("account", "breaker_high_water"), ("limits", "drawdown_reducing")],
    Code.SHORT_NOT_ALLOWED: [("limits", "allow_short")],
    Code.NO_CASH: [("symbols", "sigma"), ("costs", "half_spread"), ("costs", "impact_eta")],
    Code.MAX_ORDER_QTY: [("limits", "max_order_lots")],
    Code.MAX_ORDER_VALUE: [("limits", "max_order_value"), ("symbols", "mark")],
    Code.MAX_POSITION: [("limits", "max_position"), ("account", "equity")],
    Code.MAX_STRATEGY: [("limits", "max_strategy"), ("account", "equity")],
    Code.MAX_GROSS: [("limits", "max_gross"), ("account", "equity")],
    Code.MAX_NET: [("limits", "max_net"), ("account", "equity"), ("account", "net")],
    Code.ORDER_RATE: [
        ("account", "tokens"), ("strategies", "tokens"), ("limits", "station_rate"), ("limits", "strategy_rate"),
    ],
    Code.VAR_LIMIT: [
        ("limits", "max_var"), ("account", "equity"), ("variances", ""), ("covariance", ""), ("symbols", "mark"),
    ],
}  # fmt: skip
WHOLE = {
    Code.KILLED, Code.MODE_NOT_ACTIVE, Code.UNRECONCILED, Code.UNKNOWN_SYMBOL, Code.RESTRICTED_SYMBOL,
    Code.HALTED_SYMBOL, Code.SESSION_CLOSED, Code.DUPLICATE, Code.SELF_MATCH, Code.REDUCING_ONLY,
}  # fmt: skip
"""Codes that whole numbers decide alone (flags, instants, lots): they cannot be anything but a number."""

ELSEWHERE = {
    Code.UNKNOWN_SYMBOL: "test_a_row_without_an_instrument_is_unknown",
    Code.PRICE_COLLAR: "test_the_collar_is_around_the_mark",
    Code.SHORT_NOT_ALLOWED: "test_a_short_where_none_is_allowed",
    Code.ORDER_RATE: "test_an_empty_bucket_denies_and_time_refills_it",
}
"""Codes whose limit is tried by a test of its own."""


def test_every_code_is_tried_at_its_limit_beyond_it_and_with_what_is_no_number() -> None:
    at_limit = {code for code, _ in FLAGS} | {row[0] for row in LIMITED} | set(ELSEWHERE)
    assert at_limit == set(Code)
    assert set(ELSEWHERE.values()) <= set(globals())
    assert set(NUMBERS) | WHOLE == set(Code)
    assert not set(NUMBERS) & WHOLE


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("code", "table", "field"),
    [(code, table, field) for code, fields in NUMBERS.items() for table, field in fields],
    ids=[f"{code.name}-{table}-{field}" for code, fields in NUMBERS.items() for table, field in fields],
)
def test_what_is_no_number_is_denied(scene, code, table, field, number) -> None:
    lots = -10 if code == Code.SHORT_NOT_ALLOWED else 10
    scene.symbols["volume"], scene.symbols["sigma"], scene.costs["impact_eta"] = 1e6, 0.001, 0.1
    scene.now_ns += 1
    array = getattr(scene, table)
    if field:
        array[field] = number
    else:
        array[:] = number
    assert code in scene.judge(lots)


def test_a_short_where_none_is_allowed(scene) -> None:
    scene.limits["allow_short"] = 0.0
    scene.hold(100)
    assert scene.judge(-100) == set()
    assert scene.judge(-101) == {Code.SHORT_NOT_ALLOWED}
    scene.limits["allow_short"] = 1.0
    assert scene.judge(-101) == set()
    scene.symbols["shortable"] = 0
    assert scene.judge(-101) == {Code.SHORT_NOT_ALLOWED}


@pytest.mark.parametrize("owner", ["account", "strategies"])
def test_an_empty_bucket_denies_and_time_refills_it(scene, owner) -> None:
    getattr(scene, owner)["tokens"] = 1.0
    assert scene.judge(10) == set()
    assert scene.judge(10) == {Code.ORDER_RATE}
    rate = scene.limits[0]["station_rate" if owner == "account" else "strategy_rate"]
    scene.now_ns += int(1e9 / rate) + 1
    assert scene.judge(10) == set()


def test_a_bucket_never_holds_more_than_twice_the_symbols(scene) -> None:
    scene.now_ns += 3_600_000_000_000
    scene.symbols["mark_ns"] = scene.now_ns
    scene.symbols["session_close_ns"] = scene.now_ns + 1
    assert [scene.judge(1) == set() for _ in range(5)] == [True] * 4 + [False]


def test_a_denial_costs_the_strategy_its_token_but_not_the_station(scene) -> None:
    scene.judge(5001)
    assert scene.account[0]["tokens"] == 4.0
    assert scene.strategies["tokens"].tolist() == [3.0, 4.0]


@given(
    held=st.integers(-20_000, 20_000).filter(bool),
    share=st.floats(0.01, 1.0),
    lost=st.floats(0.0, 990_000.0),
    reducing=st.booleans(),
    age=st.sampled_from([0, 100]),
)
def test_an_order_that_reduces_is_never_denied_for_exposure(held, share, lost, reducing, age) -> None:
    scene = Scene()
    scene.hold(held)
    scene.account["equity"] = EQUITY - lost
    scene.account["cash_micro"] = 0
    for name in ("max_position", "max_strategy", "max_gross", "max_net", "max_var", "daily_loss", "drawdown_reducing"):
        scene.limits[name] = 0.0
    scene.limits["max_order_value"] = 1e12
    scene.risk["fitted"], scene.risk["age"], scene.covariance[:] = 1, age, [[4e-4, 2e-4], [2e-4, 4e-4]]
    scene.limits["allow_short"] = 0.0
    scene.account["state"] = REDUCING if reducing else ACTIVE
    lots = -max(1, int(abs(held) * share)) if held > 0 else max(1, int(abs(held) * share))
    assert scene.judge(lots) == set()


@given(st.integers(-50, 50), st.integers(0, 50), st.integers(0, 50), st.integers(-50, 50).filter(bool))
def test_an_order_raises_where_some_way_of_filling_leaves_more_than_there_is(position, bought, sold, lots) -> None:
    """The order fills whole, of the others on its side any part."""
    same_side = bought if lots > 0 else sold
    sign = 1 if lots > 0 else -1
    reachable = [position + lots + sign * k for k in range(same_side + 1)]
    assert raises_exposure(position, bought, sold, lots) == (max(sign * p for p in reachable) > abs(position))


def test_an_order_that_lowers_the_portfolios_risk_passes_above_the_limit_of_it() -> None:
    """A short beside a long of the same kind is a hedge: exposure grows, the value at risk falls."""
    for lots, denied in ((-10, False), (10, True)):
        scene = Scene()
        scene.covariance[:] = [[4e-4, 3.9e-4], [3.9e-4, 4e-4]]
        scene.risk["fitted"], scene.limits["max_var"] = 1, 1e-6
        scene.hold(1000, i=1)
        assert (scene.judge(lots) == {Code.VAR_LIMIT}) is denied


@given(
    st.lists(st.integers(-3000, 3000), min_size=3, max_size=3),
    st.lists(st.floats(-1.0, 1.0), min_size=9, max_size=9),
    st.integers(0, 2),
    st.integers(-3000, 3000),
    st.integers(0, 7),
)
def test_the_value_at_risk_after_an_order_is_that_of_the_portfolio_reckoned_anew(lots, roots, i, change, known) -> None:
    """Against NumPy's w'Cw; symbols that the covariance does not have are added as if they moved all together."""
    root = 0.02 * np.array(roots).reshape(3, 3)
    whole = root @ root.T + 1e-6 * np.eye(3)
    here = np.array([bool(known >> k & 1) for k in range(3)])
    covariance = np.where(np.outer(here, here), whole, 0.0)
    variances, weights = np.array([1e-4, 4e-4, 9e-4]), 100.0 * np.array(lots, dtype=float)
    risk = np.zeros(1, dtype=RISK)[0]
    begin(risk, weights, covariance, variances)
    after = weights.copy()
    after[i] += 100.0 * change
    expected = Z99 * (
        math.sqrt(max(0.0, after @ covariance @ after)) + (np.abs(after) * np.sqrt(variances))[~here].sum()
    )
    found = value_at_risk_of(*moved(risk, weights, covariance, variances, i, float(after[i])))
    assert found == pytest.approx(expected, rel=1e-6, abs=0.5)

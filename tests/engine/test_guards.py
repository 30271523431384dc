"""Beside the tables: breakers of strategies and symbols, deposits, the covariance's way in, vetoes, message quotas."""

from typing import Any

import msgspec
import numpy as np
import pytest

from engine import breakers, execution
from engine.decisions import portfolio
from engine.engine import Engine
from engine.messages import may_cancel, may_modify
from engine.vetoes import VETO_BARS
from events.codec import decode_payload, encode_payload
from events.types import ModelEvent
from risk.breakers import HALTED
from risk.checks import VALUE
from risk.var_limit import begin, value_at_risk
from tests.engine.desk import ALMOST, DAY_NS, FREE, MINUTE_NS, NO_SWANS, START_NS, Desk, configure, in_state, of_type

ACCOUNT_ALONE = {"daily_loss": 1.0, "drawdown_warning": 1.0, "drawdown_reducing": 1.0, "drawdown_halted": 1.0}
LOOSE = ACCOUNT_ALONE | {"symbol_drawdown": 1.0, "symbol_daily_loss": 1.0, "max_order_value": 1e9}


def rules(outputs: list) -> list[tuple[str, str, str]]:
    return [(alert.rule, alert.severity, alert.scope) for alert in of_type(outputs, "RiskAlert")]


def holding(*strategies: str, **limits: float) -> Desk:
    """A desk of which some strategies hold all that they may in AAA, bought at 100."""
    desk = Desk("AAA", costs=FREE, limits=LOOSE | limits, weights=ALMOST, black_swan=NO_SWANS)
    for strategy in strategies:
        desk.want(strategy)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    assert all(desk.held(strategy) > 2400 for strategy in strategies)
    return desk


# --- breakers of strategies and symbols -------------------------------------------------------------------------------


def test_a_strategys_own_loss_lets_it_only_reduce_and_leaves_the_others_alone() -> None:
    desk = holding("momentum")
    capital = 0.2499 * float(desk.engine.state.account[0]["breaker_day_start"])
    at_limit = 100.0 - 0.06 * capital / desk.held("momentum")
    cost = -float(desk.engine.state.strategies["pnl"][desk.engine.state.rows["momentum"]]) / desk.held("momentum")
    assert rules(desk.slice({"AAA": at_limit + cost + 1e-6})) == []
    outputs = desk.slice({"AAA": at_limit + cost - 0.001})
    assert rules(outputs) == [("STRATEGY_DAILY_LOSS", "critical", "strategy:momentum")]
    assert desk.state == "ACTIVE"
    strategies = desk.engine.view()["strategies"]
    assert {name: row["state"] for name, row in strategies.items() if row["state"] != "active"} == {"momentum": "off"}
    held = desk.held("momentum")
    desk.slice({"AAA": 80.0})  # its target asks for more lots now
    desk.slice({"AAA": 80.0})
    assert desk.held("momentum") == held
    desk.want("momentum", target=0.0)
    desk.slice({"AAA": 80.0})
    desk.slice({"AAA": 80.0})
    assert desk.held("momentum") == 0


def test_an_enabled_strategy_starts_from_the_profit_that_was_accepted() -> None:
    desk = holding("momentum")
    desk.slice({"AAA": 90.0})
    assert desk.engine.view()["strategies"]["momentum"]["state"] == "off"
    assert rules(desk.slice({"AAA": 120.0}, step_ns=DAY_NS)) == []  # better days re-arm nothing
    assert desk.engine.view()["strategies"]["momentum"]["state"] == "off"
    desk.slice({"AAA": 90.0}, step_ns=DAY_NS)
    desk.control("enable", "strategy", "momentum", reason="looked at it", actor="ann")
    assert rules(desk.slice({"AAA": 88.0})) == []
    assert desk.engine.view()["strategies"]["momentum"]["state"] == "active"
    tripped = rules(desk.slice({"AAA": 80.0}))
    assert [rule for rule, _, _ in tripped] == ["STRATEGY_DAILY_LOSS"]
    known = [b for b in desk.engine.view()["breakers"] if b["scope"] == "strategy:momentum" and b["tripped_ns"]]
    assert [(b["rule"], b["level"]) for b in known] == [("STRATEGY_DAILY_LOSS", "REDUCING")]


def test_a_strategys_drawdown_over_days_warns_then_trips() -> None:
    desk, seen = holding("momentum"), []
    for price in (96.0, 92.0, 89.0, 86.0, 84.0, 82.0):
        seen += rules(desk.slice({"AAA": price}, step_ns=DAY_NS))
    assert seen == [
        ("STRATEGY_DRAWDOWN", "warning", "strategy:momentum"),
        ("STRATEGY_DRAWDOWN", "critical", "strategy:momentum"),
    ]


def test_a_symbols_loss_halts_that_symbol() -> None:
    desk = Desk("AAA", "BBB", costs=FREE, limits=ACCOUNT_ALONE | {"max_order_value": 1e9}, black_swan=NO_SWANS)
    for symbol in ("AAA", "BBB"):
        desk.want("momentum", symbol)
        desk.want("bullish", symbol)
        desk.want("bearish", symbol)
        desk.want("mean_reversion", symbol)
    for _ in range(3):
        desk.slice({"AAA": 100.0, "BBB": 100.0})
    seen = rules(desk.slice({"AAA": 84.9, "BBB": 100.0}))
    assert ("SYMBOL_DAILY_LOSS", "critical", "symbol:AAA") in seen
    assert [desk.row(symbol)["halted"] for symbol in ("AAA", "BBB")] == [1, 0]
    desk.control("release", "symbol", "AAA")
    assert desk.row("AAA")["halted"] == 0
    assert all(rule != "SYMBOL_DAILY_LOSS" for rule, _, _ in rules(desk.slice({"AAA": 84.0, "BBB": 100.0})))
    released = [b for b in desk.engine.view()["breakers"] if b["scope"] == "symbol:AAA"]
    assert [(b["tripped_ns"], b["released_by"]) for b in released] == [(None, "tester")]


# --- deposits ---------------------------------------------------------------------------------------------------------


def with_cash(desk: Desk, cash: float, version: int) -> Any:
    account = msgspec.structs.replace(desk.configuration.settings.account, initial_cash=cash)
    settings = msgspec.structs.replace(desk.configuration.settings, account=account)
    return configure(msgspec.structs.replace(desk.configuration, version=version, settings=settings))


@pytest.mark.parametrize("cash", [3_000_000.0, 700_000.0])
def test_a_deposit_moves_the_marks_and_makes_no_profit_or_loss(cash) -> None:
    desk = holding("momentum")
    desk.slice({"AAA": 92.0})
    before, standing = desk.account, desk.engine.view()["breakers"]
    assert of_type(desk.engine.on_control(with_cash(desk, cash, 2)), "ControlAck")[0].accepted
    desk.silence()
    desk.slice({})
    after = desk.account
    assert after["equity"] == pytest.approx(before["equity"] + cash - 1_000_000.0)
    assert after["day_pnl"] == pytest.approx(before["day_pnl"])
    assert after["drawdown"] == pytest.approx(before["drawdown"])
    for old, new in zip(standing, desk.engine.view()["breakers"], strict=True):
        if old["scope"] == "account":
            assert new["value"] == pytest.approx(old["value"])
    desk.check_books()


def test_more_than_the_cash_cannot_be_withdrawn() -> None:
    desk = holding("momentum", "bullish", "bearish", "mean_reversion")
    before = desk.engine.snapshot()
    ack = of_type(desk.engine.on_control(with_cash(desk, 900_000.0, 2)), "ControlAck")[0]
    assert not ack.accepted
    assert "account.initial_cash" in ack.reason
    assert desk.engine.snapshot() == before


# --- covariance -------------------------------------------------------------------------------------------------------


def covariance(content: dict[str, Any], start_ns: int) -> ModelEvent:
    return ModelEvent(
        name="covariance", version=1, outcome="fitted", occurrence="refit_covariance:24/7:2021-12-31", sha256="",
        effective_from_ns=start_ns, content=msgspec.Raw(msgspec.json.encode(content)),
    )  # fmt: skip


FITTED = {
    "symbols": ["BBB", "GONE", "AAA"],
    "covariance": [[4e-4, 1e-5, 3e-4], [1e-5, 1e-4, 0.0], [3e-4, 0.0, 9e-4]],
    "observations": 500, "sessions": 500, "through": "2021-12-31", "method": "ledoit-wolf",
}  # fmt: skip


def test_a_covariance_acts_from_its_instant_ages_by_sessions_and_survives_a_restart() -> None:
    desk = Desk("AAA", "BBB", "CCC", costs=FREE, at_ns=START_NS, limits={"covariance_max_age_sessions": 5})
    desk.slice({"AAA": 100.0})
    start_ns = desk.now_ns + 3 * MINUTE_NS
    assert desk.engine.on_model(covariance(FITTED, start_ns)) == []
    desk.slice({"AAA": 100.0})
    assert desk.engine.state.guards.risk["fitted"][0] == 0
    desk.engine = Engine.restore(desk.engine.snapshot())
    desk.silence()
    desk.slice({"AAA": 100.0}, step_ns=2 * MINUTE_NS)
    guards = desk.engine.state.guards
    assert guards.risk["fitted"][0] == 1
    assert guards.covariance.tolist() == [[9e-4, 3e-4, 0.0], [3e-4, 4e-4, 0.0], [0.0, 0.0, 0.0]]
    ages = []
    for _ in range(6):
        ages.append(int(desk.engine.state.guards.risk["age"][0]))
        desk.slice({"AAA": 100.0}, step_ns=DAY_NS)
    assert ages == [1, 2, 3, 4, 5, 6]
    desk.want("momentum")
    denied = in_state(desk.slice({"AAA": 100.0}), "RISK_DENIED")
    assert [(d.code, d.value, d.limit) for d in denied[0].denials] == [("VAR_LIMIT", 7.0, 5.0)]
    restored = Engine.restore(desk.engine.snapshot())
    assert (restored.state.guards.covariance == guards.covariance).all()
    assert restored.snapshot() == desk.engine.snapshot()


def test_the_view_tells_the_value_at_risk_that_the_next_order_would_be_judged_by_and_changes_nothing() -> None:
    desk = Desk("AAA", "BBB", "CCC", costs=FREE, at_ns=START_NS)
    desk.slice({"AAA": 100.0, "BBB": 50.0, "CCC": 20.0})
    assert (desk.engine.view()["var"]["value"], desk.engine.view()["var"]["age_sessions"]) == (0.0, None)
    desk.engine.on_model(covariance(FITTED, desk.now_ns))
    desk.slice({"AAA": 101.0, "BBB": 49.0, "CCC": 21.0})
    desk.engine.state.universe.symbols["lots"] = (300, -100, 50)
    desk.engine.state.universe.symbols["working_buy"] = (0, 40, 0)
    before, state = desk.engine.snapshot(), desk.engine.state
    told, guards, weights = desk.engine.view()["var"], state.guards, np.zeros(3)
    assert desk.engine.snapshot() == before
    portfolio(state.universe.symbols, state.universe.rates, weights)
    assert np.abs(weights).min() > 0.0
    scratch = guards.risk.copy()
    begin(scratch[0], weights, guards.covariance, guards.variances)
    expected = value_at_risk(float(scratch["variance"][0]), float(scratch["outside"][0]))
    assert told["value"] == pytest.approx(expected, rel=1e-12)
    assert told["share"] == pytest.approx(expected / float(state.account[0]["equity"]))
    assert (told["fitted"], told["age_sessions"]) == (True, int(guards.risk["age"][0]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"symbols": ["AAA", "AAA", "BBB"]}, "each once"),
        ({"symbols": ["AAA"]}, "1 x 1"),
        ({"covariance": [[1e-4, 2e-4, 0.0], [2e-4, 1e-4, 0.0], [0.0, 0.0, 1e-4]]}, "positive definite"),
        ({"covariance": [[1e-4, 1e-5, 0.0], [2e-5, 1e-4, 0.0], [0.0, 0.0, 1e-4]]}, "symmetric"),
        ({"covariance": [[0.0, 0.0, 0.0]] * 3}, "positive definite"),
        ({"through": "yesterday"}, "ISO date"),
        ({"through": "2022-01-03"}, "yet to come"),  # it would be young for ever
    ],
)
def test_what_is_no_covariance_is_refused_in_a_sentence_and_changes_nothing(change, said) -> None:
    desk = Desk("AAA", "BBB")
    desk.slice({"AAA": 100.0})
    before = desk.engine.snapshot()
    alert = of_type(desk.engine.on_model(covariance(FITTED | change, 0)), "RiskAlert")[0]
    assert alert.rule == "MODEL_REFUSED"
    assert said in alert.message
    assert desk.engine.snapshot() == before


def test_together_orders_of_one_instant_stay_within_the_value_at_risk() -> None:
    desk = Desk("AAA", "BBB", costs=FREE, limits={"max_var": 0.02, "max_order_value": 1e9}, weights=ALMOST)
    for symbol in ("AAA", "BBB"):
        for strategy in desk.engine.state.names:
            desk.want(strategy, symbol)
    outputs = desk.slice({"AAA": 100.0, "BBB": 100.0})
    assert [(o.symbol, o.state) for o in of_type(outputs, "OrderEvent") if o.state in {"INTENT", "RISK_DENIED"}]
    denied = in_state(outputs, "RISK_DENIED")
    assert {d.code for order in denied for d in order.denials} == {"VAR_LIMIT"}
    assert len(denied) == 2 or in_state(outputs, "INTENT")


# --- vetoes -----------------------------------------------------------------------------------------------------------


def denying(target: float = 1.0) -> Desk:
    """A desk on which every order of AAA is too large."""
    desk = Desk("AAA", costs=FREE, limits={"max_order_value": 1000.0}, black_swan=NO_SWANS)
    desk.want("momentum", target=target)
    return desk


@pytest.mark.parametrize(("target", "then", "saved"), [(1.0, 90.0, True), (1.0, 110.0, False), (-1.0, 110.0, True)])
def test_a_denial_is_settled_once_after_its_bars_by_what_it_saved_or_cost(target, then, saved) -> None:
    desk, outputs = denying(target), []
    for k in range(VETO_BARS + 1):
        outputs += desk.slice({"AAA": 100.0 if k == 0 else then})
    settled = of_type(outputs, "VetoEvent")
    assert len(settled) == 1
    veto = settled[0]
    first = in_state(outputs, "RISK_DENIED")[0]
    assert (veto.order_id, veto.code, veto.lots) == (first.order_id, "MAX_ORDER_VALUE", first.lots)
    assert veto.profit == pytest.approx((then - 100.0) * (1 if target > 0 else -1) * first.lots)
    assert veto.asked == len(in_state(outputs, "RISK_DENIED")) - 1  # the last slice settles, then a new one opens
    totals = desk.engine.view()["vetoes"]["MAX_ORDER_VALUE"]
    assert totals["saved" if saved else "cost"] == pytest.approx(abs(veto.profit))
    assert totals["net"] == pytest.approx(-veto.profit)
    assert (totals["count"], totals["pending"]) == (2, 1)


def test_a_session_that_closes_or_data_that_ends_settles_what_is_open() -> None:
    for closing in (True, False):
        desk = denying()
        desk.now_ns = START_NS + DAY_NS - 3 * MINUTE_NS
        outputs = desk.slice({"AAA": 100.0}) + desk.slice({"AAA": 101.0})
        assert of_type(outputs, "VetoEvent") == []
        last = desk.slice({"AAA": 103.0}) if closing else desk.slice({}, ended=True)
        assert [veto.mark for veto in of_type(last, "VetoEvent")] == [103.0 if closing else 101.0]


def test_open_vetoes_are_kept_in_a_snapshot_and_settle_the_same() -> None:
    desk, outputs = denying(), []
    for _ in range(5):
        desk.slice({"AAA": 100.0})
    desk.engine = Engine.restore(desk.engine.snapshot())
    desk.silence()
    for _ in range(VETO_BARS):
        outputs += desk.slice({"AAA": 95.0})
    assert [veto.asked for veto in of_type(outputs, "VetoEvent")] == [VETO_BARS]


# --- message quotas ---------------------------------------------------------------------------------------------------


def test_cancels_have_a_quota_of_their_own_that_orders_cannot_use_up() -> None:
    desk = Desk("AAA", costs=FREE | {"volume_share": 0.0001})
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    order, state, now_ns = desk.engine.open_orders()[0], desk.engine.state, desk.now_ns
    state.account["tokens"] = state.strategies["tokens"] = 0.0
    state.account["tokens_ns"] = state.strategies["tokens_ns"] = now_ns
    assert not may_modify(state, order, now_ns)
    assert [may_cancel(state, order, now_ns) for _ in range(3)] == [True, True, False]  # twice the one symbol
    assert may_cancel(state, order, now_ns + int(1e9 / state.limits["strategy_rate"][0]) + 1)
    assert not may_modify(state, order, now_ns)


def test_targets_that_turn_wait_for_a_cancels_token_but_a_kill_asks_nobody() -> None:
    desk = Desk("AAA", costs=FREE | {"volume_share": 0.0001})
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    cancels = desk.engine.state.guards.cancels
    cancels["tokens"], cancels["tokens_ns"] = 0.0, desk.now_ns + MINUTE_NS
    desk.want("momentum", target=-1.0)
    assert in_state(desk.slice({"AAA": 100.0}), "PENDING_CANCEL") == []
    assert in_state(desk.slice({"AAA": 100.0}), "PENDING_CANCEL")
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    cancels = desk.engine.state.guards.cancels
    cancels["tokens"], cancels["tokens_ns"] = 0.0, desk.now_ns + DAY_NS
    assert desk.engine.open_orders()
    assert in_state(desk.control("kill"), "PENDING_CANCEL")


def test_a_later_word_takes_back_a_covariance_that_waits_for_a_later_instant() -> None:
    desk = Desk("AAA", "BBB", costs=FREE)
    desk.slice({"AAA": 100.0})
    now, newer = desk.now_ns, FITTED | {"covariance": [[5e-4, 0.0, 0.0], [0.0, 1e-4, 0.0], [0.0, 0.0, 5e-4]]}
    assert desk.engine.on_model(covariance(FITTED, now + 3 * MINUTE_NS)) == []
    assert desk.engine.on_model(covariance(newer, now + 2 * MINUTE_NS)) == []
    for _ in range(4):
        desk.slice({"AAA": 100.0})
    assert desk.engine.state.guards.covariance.tolist() == [[5e-4, 0.0], [0.0, 5e-4]]


# --- numbers that JSON lacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_denial_and_an_alert_of_no_finite_number_can_be_recorded(value) -> None:
    desk = Desk("AAA")
    desk.slice({"AAA": 100.0})
    state, guards = desk.engine.state, desk.engine.state.guards
    state.wants[0], state.masks[0] = 0, 1 << VALUE
    state.wants[0, state.rows["momentum"]] = 1
    state.values[0], state.limits_met[0] = value, value
    denied = execution.deny(state, 0, desk.now_ns)
    guards.of_symbols[0]["rule"], guards.of_symbols[0]["level"] = 1, HALTED
    guards.of_symbols[0]["value"] = guards.of_symbols[0]["limit"] = value
    tripped = breakers.after_mark(desk.engine.control, state, 0, 1, desk.now_ns)
    assert in_state(denied, "RISK_DENIED")
    assert [alert.severity for alert in of_type(tripped, "RiskAlert")] == ["critical"]
    for output in denied + tripped:
        assert decode_payload(output.type, encode_payload(output.payload)) == output.payload

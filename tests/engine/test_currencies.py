"""Cash of several currencies: exact in each, one equity at the rates of the configured pairs."""

import pytest

from engine.configuration import SettingsError, check_settings
from engine.engine import Engine
from engine.gate import price_denials
from tests.engine.desk import FREE, TINY_TICK, Desk, in_state, instrument, settings

COSTS = FREE | {"fee_bps": 1.0}


def europe(pair: str = "EURUSD") -> Desk:
    return Desk(
        instrument("AAA", tick=TINY_TICK), instrument("SAP", currency="EUR", tick=TINY_TICK),
        instrument(pair, asset_class="fx", tradable=False), costs=COSTS, rates={"EUR": pair},
    )  # fmt: skip


@pytest.mark.parametrize(("pair", "price"), [("EURUSD", 1.25), ("USDEUR", 0.8)])
def test_a_symbol_of_a_currency_with_a_rate_is_traded_in_its_own_money(pair, price) -> None:
    desk = europe(pair)
    desk.want("momentum", "SAP", 0.5)
    desk.slice({"SAP": 100.0})
    assert not desk.engine.state.orders, "no rate yet: nothing of it can be sized"
    desk.slice({"SAP": 100.0, pair: price})
    desk.slice({"SAP": 100.0, pair: price})
    lots, account = desk.lots("SAP"), desk.account
    assert lots == 500, "of two tradable symbols each has half: 0.25 x 0.5 / 2 of a million dollars at 125 dollars"
    fill = desk.fills[0] if desk.fills else None
    paid = -lots * 100.000001 - lots * 100.000001 * 1e-4
    assert account["foreign"] == {"EUR": pytest.approx(paid, abs=2e-6)}
    assert account["cash"] == 1_000_000.0
    assert account["equity"] == pytest.approx(1_000_000 + 1.25 * (paid + lots * 100.0), abs=1e-5)
    desk.slice({"SAP": 110.0, pair: price * 1.2 if pair == "EURUSD" else price / 1.2})
    assert fill is None or fill.symbol == "SAP"
    held = desk.lots("SAP")
    expected = 1_000_000 + 1.5 * (desk.account["foreign"]["EUR"] + held * 110.0)
    assert desk.account["equity"] == pytest.approx(expected, abs=1e-5)
    profit = sum(each["pnl"] for each in desk.engine.view()["strategies"].values())
    assert profit == pytest.approx(desk.account["equity"] - 1e6, abs=1e-3)
    kept = desk.engine.snapshot()
    assert Engine.restore(kept).snapshot() == kept


def test_borrowed_foreign_cash_is_no_cash_for_another_purchase() -> None:
    desk = europe()
    desk.engine.state.account[0]["foreign_micro"][1] = -900_000 * 10**6
    desk.engine.state.account[0]["initial_micro"] = 0
    desk.want("momentum", "AAA", 1.0)
    outputs = desk.slice({"AAA": 100.0, "SAP": 100.0, "EURUSD": 1.1})
    codes = {d.code for o in outputs if o.type == "OrderEvent" for d in o.payload.denials}
    assert codes <= {"NO_CASH", "DRAWDOWN", "DAILY_LOSS", "MODE_NOT_ACTIVE", "REDUCING_ONLY"}
    assert desk.lots("AAA") == 0


def test_without_a_rate_a_foreign_symbol_is_only_charted() -> None:
    desk = Desk(instrument("SAP", currency="EUR", tick=TINY_TICK), costs=COSTS)
    desk.want("momentum", "SAP", 0.5)
    desk.slice({"SAP": 100.0})
    assert not desk.engine.state.orders


@pytest.mark.parametrize(
    "rates",
    [{"EUR": "GBPUSD"}, {"USD": "USDUSD"}, {"eur": "EURUSD"}, {f"X{c}X": f"X{c}XUSD" for c in "ABCDEFGH"}],
)
def test_rates_that_cannot_be_are_refused(rates) -> None:
    with pytest.raises(SettingsError, match="rates"):
        check_settings(settings(rates=rates), "test")


@pytest.mark.parametrize(
    "fees",
    [[{"taker_bps": 1.0}], [{"exchange": "X", "taker_bps": -1.0}], [{"exchange": "X", "minimum": float("nan")}]],
)
def test_fees_that_cannot_be_are_refused(fees) -> None:
    with pytest.raises(SettingsError, match=r"costs\.fees entry 1"):
        check_settings(settings(costs={"fees": fees}), "test")


@pytest.mark.parametrize(("most", "said"), [(100_000.0, "INTENT"), (20_000.0, "RISK_DENIED")])
def test_a_limit_orders_value_is_judged_in_the_accounts_money(most, said) -> None:
    desk = Desk(
        instrument("AAA", tick=TINY_TICK), instrument("SAP", currency="EUR", tick=TINY_TICK),
        instrument("EURUSD", asset_class="fx", tradable=False), costs=COSTS, rates={"EUR": "EURUSD"},
        orders={"type": "LIMIT"}, limits={"max_order_value": most},
    )  # fmt: skip
    desk.want("momentum", "SAP", 0.5)
    (order,) = in_state(desk.slice({"SAP": 100.0, "EURUSD": 0.5}), said)
    assert (order.lots, order.type) == (1250, "LIMIT")  # 125,000 euros are 62,500 dollars


@pytest.mark.parametrize(("rate", "denied"), [(0.5, False), (2.0, True)])
def test_a_price_alone_is_judged_in_the_accounts_money(rate, denied) -> None:
    desk = europe()
    desk.slice({"SAP": 100.0, "EURUSD": rate})
    state = desk.engine.state
    found = price_denials(state, state.universe.index["SAP"], 5000, round(100.0 / TINY_TICK), desk.now_ns)
    assert bool(found) is denied  # 500,000 euros, of which an order's 500,000 dollars at the most are half or double

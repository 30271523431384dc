"""Routing between brokers: the table, what passes a broker over, and two paper brokers in a real worker's core."""

import msgspec
import pytest

from engine.configuration import SettingsError, check_settings, load_settings
from engine.output import Output
from events.types import BrokerEvent, FillEvent, OrderEvent
from tests.worker.worker_station import SYMBOLS, Bench, configuration, configure_event
from worker.brokers.paper import PaperBroker
from worker.brokers.port import BrokerTimeoutError, BrokerUnavailableError
from worker.routing import RoutedBroker, candidates, choose

TABLE = {"SYMA": ["beta"], "equity": ["alpha", "beta"], "*": ["gamma"]}
MINUTES = 500


def order(order_id="S000000001", symbol="SYMB"):
    return OrderEvent(
        engine_ns=1, order_id=order_id, state="INTENT", symbol=symbol, side="BUY", lots=10, filled_lots=0,
        type="MARKET", limit_ticks=None, stop_ticks=None, time_in_force="DAY", expires_ns=None,
        lots_by_strategy={"momentum": 10}, expected_price=100.0,
    )  # fmt: skip


def routed_by(table, version=1):
    given = configuration(version)
    return msgspec.structs.replace(given, settings=msgspec.structs.replace(given.settings, routing=table))


@pytest.mark.parametrize(
    ("symbol", "asset_class", "expected"),
    [("SYMA", "equity", ["beta"]), ("SYMB", "equity", ["alpha", "beta"]), ("BTC", "crypto", ["gamma"])],
)
def test_the_closest_entry_decides(symbol, asset_class, expected):
    assert candidates(TABLE, symbol, asset_class) == expected


def test_without_an_entry_there_is_no_broker_and_the_sentence_says_so():
    assert choose(candidates({"SYMA": ["beta"]}, "SYMB", "equity"), order(), lambda *_: "", lambda _: True) == (
        "", "no broker for SYMB (the routing table names none)",
    )  # fmt: skip


def test_one_that_cannot_or_does_not_answer_is_passed_over():
    def lacks(name, _order):
        return "takes no MARKET orders" if name == "alpha" else ""

    names = ["alpha", "beta", "gamma"]
    assert choose(names, order(), lacks, lambda name: name != "beta") == ("gamma", "")
    name, why = choose(names, order(), lacks, lambda _: False)
    assert name == ""
    assert why == "no broker for SYMB (alpha: takes no MARKET orders; beta: unavailable; gamma: unavailable)"


class Moody(PaperBroker):
    """A paper broker that can be told to fail."""

    fails = None

    def submit(self, order):
        if self.fails is not None:
            raise self.fails
        return super().submit(order)

    def working(self):
        if self.fails is not None:
            raise self.fails
        return super().working()


@pytest.fixture
def two(tmp_path):
    """A router over two brokers that can fail, with a real engine behind them."""
    made, bench = {}, Bench(tmp_path).configure()
    chosen = routed_by({"*": ["alpha", "beta"]})

    def connect(name, _first):
        made[name] = Moody(chosen, bench.core.machine.engine)
        return made[name]

    return RoutedBroker(connect, chosen), made


def accept(router, given):
    answer = router.submit(given)
    router.observe(given)
    router.observe(answer)
    return answer


def test_a_new_order_passes_a_broker_over_that_does_not_answer_and_old_ones_stay(two):
    router, brokers = two
    assert accept(router, order("S1")).broker == "alpha"
    brokers["alpha"].fails = BrokerUnavailableError("down")
    with pytest.raises(BrokerUnavailableError):
        router.working()  # a failed query is never read as flat
    assert accept(router, order("S2")).broker == "beta"
    assert router.cancel("S1").broker == "alpha"
    brokers["alpha"].fails = None
    assert accept(router, order("S3")).broker == "alpha"
    assert [each.order_id for each in router.working()] == ["S2", "S3"]


def test_an_order_that_may_have_arrived_goes_nowhere_else(two):
    router, brokers = two
    brokers["alpha"].fails = BrokerTimeoutError("no answer")
    with pytest.raises(BrokerTimeoutError):
        router.submit(order("S1"))
    assert accept(router, order("S2")).broker == "beta"
    assert router.cancel("S1").broker == "alpha"  # beta is not asked: it was never sent there
    assert router.query("S1") is None


def test_nobody_left_is_a_rejection_with_the_reason(two):
    router, brokers = two
    for broker in brokers.values():
        broker.fails = BrokerUnavailableError("down")
    for order_id in ("S1", "S2"):
        with pytest.raises(BrokerUnavailableError):
            router.submit(order(order_id))
    answer = router.submit(order("S3"))
    assert (answer.kind, answer.broker) == ("REJECTED", "router")
    assert "alpha: unavailable" in answer.reason


TWO = {"SYMA": ["beta", "alpha"], "equity": ["alpha", "beta"]}


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    made.core.apply(Output("ControlEvent", "controlroom", configure_event(routed_by(TWO))))
    made.core.reconcile()
    return made


def of(records, kind):
    return [msgspec.json.decode(r.payload, type=kind) for r in records if r.type == kind.__name__]


def test_two_paper_brokers_trade_what_one_would(bench, tmp_path):
    """The same orders, fills and equity as with one; each symbol at the first broker of its entry; books agree."""
    alone = Bench(tmp_path / "alone").configure().trade(MINUTES)
    records = bench.trade(MINUTES).records
    homes = {(each.symbol, each.broker) for each in of(records, FillEvent)}
    assert homes == {(symbol, "beta" if symbol == "SYMA" else "alpha") for symbol in SYMBOLS}
    assert {each.broker for each in of(records, BrokerEvent)} == {"alpha", "beta"}
    assert bench.digest == alone.digest
    assert bench.core.machine.engine.view()["account"] == alone.core.machine.engine.view()["account"]
    bench.core.reconcile()
    assert bench.core.machine.reconciled


def test_a_crash_finds_every_order_where_it_was(bench):
    bench.trade(MINUTES // 2)
    bench.core.snapshot()
    bench.trade(MINUTES - 50, first=MINUTES // 2)
    bench.crash()
    assert bench.done.exact
    assert bench.core.machine.reconciled
    bench.trade(MINUTES, first=MINUTES - 50)
    bench.core.reconcile()
    assert bench.core.machine.reconciled


def test_a_table_that_comes_later_takes_over_from_the_one_broker_at_the_next_start(tmp_path):
    bench = Bench(tmp_path).configure().trade(MINUTES // 2)
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(routed_by(TWO, version=2))))
    bench.core.snapshot()
    bench.crash()
    assert bench.core.machine.reconciled
    records = bench.trade(MINUTES, first=MINUTES // 2).records
    assert {each.broker for each in of(records, FillEvent)} == {"paper", "alpha", "beta"}
    bench.core.reconcile()
    assert bench.core.machine.reconciled


@pytest.mark.parametrize("cash", [1_500_000.0, 990_000.0])
@pytest.mark.parametrize("table", [{}, TWO])
def test_what_is_paid_in_or_out_leaves_the_station_reconciled(tmp_path, table, cash):
    """The money on paper lies at the first broker: the others' is nothing before and after."""
    bench = Bench(tmp_path)
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(routed_by(table))))
    bench.core.reconcile()
    bench.trade(3)
    given = routed_by(table, version=2)
    account = msgspec.structs.replace(given.settings.account, initial_cash=cash)
    paid = msgspec.structs.replace(given, settings=msgspec.structs.replace(given.settings, account=account))
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(paid)))
    assert bench.core.machine.configuration.version == 2
    bench.core.reconcile()
    assert bench.core.machine.reconciled
    assert bench.core.machine.broker.holdings().cash_micro == round(cash * 1e6)
    bench.core.snapshot()
    bench.crash()
    assert bench.core.machine.reconciled


def test_a_table_cannot_be_emptied(bench):
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(routed_by({}, version=2))))
    assert bench.core.machine.configuration.version == 1


@pytest.mark.parametrize("brokers", [[], ["a", "a"], ["Alpha"], ["rm -rf"]])
def test_a_table_that_names_no_brokers_is_refused_by_name(brokers):
    settings = msgspec.structs.replace(load_settings(), routing={"equity": brokers})
    with pytest.raises(SettingsError, match=r"routing\.equity = "):
        check_settings(settings, "of a test")

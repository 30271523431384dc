"""Ten thousand steps of orders' lives against a plain model: every impossible transition is refused, and said."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from engine.engine import Engine
from engine.orders import ImpossibleTransitionError
from events.types import BrokerEvent, Change, FillEvent
from tests.engine.desk import DAY_NS, FREE, MINUTE_NS, Desk, in_state, of_type
from tests.engine.test_order_transitions import ALIVE, FOLLOWERS, STATES

STEPS = 10_000
EXAMPLES, LENGTH = 230, 50
ANSWERS = st.sampled_from(
    ["ACCEPTED", "ACCEPTED", "REJECTED", "CANCELED", "EXPIRED", "UNKNOWN", "UPDATED", "UPDATE_REJECTED"]
)
FAST = settings(
    max_examples=EXAMPLES, stateful_step_count=LENGTH, database=None, report_multiple_bugs=False,
    phases=(Phase.generate,),
)  # fmt: skip
PICK = st.integers(0, 10**6)


@dataclass
class Model:
    """An order as a person would keep it on paper."""

    order_id: str
    side: str
    lots: int
    state: str = "INTENT"
    canceling: bool = False
    change: int | None = None
    fills: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    @property
    def filled(self) -> int:
        return sum(self.fills.values())

    @property
    def reserved(self) -> int:
        return max(self.lots, self.change or 0) - self.filled if self.state in ALIVE else 0

    def to(self, state: str) -> bool:
        """Go to a state; return False where that is impossible."""
        if state not in FOLLOWERS[self.state]:
            return False
        self.state = state
        if state not in ALIVE:
            self.change = None
        return True

    def answer(self, kind: str) -> bool:
        if self.state not in ALIVE:
            return True
        if kind in {"UPDATED", "UPDATE_REJECTED"}:
            return self._changed(kind)
        if kind == "ACCEPTED":
            return self._works()
        return kind == self.state or self.to(kind)

    def _works(self) -> bool:
        if self.canceling or self.change is not None:
            self.canceling = True
            return self.state == "PENDING_CANCEL" or self.to("PENDING_CANCEL")
        if self.filled:
            return self.state != "UNKNOWN" or self.to("PARTIALLY_FILLED")
        return self.state == "ACCEPTED" or self.to("ACCEPTED")

    def _changed(self, kind: str) -> bool:
        if self.change is None:
            return True
        if kind == "UPDATED":
            self.lots = max(self.change, self.filled)
        self.change = None
        if self.filled >= self.lots:
            return self.to("FILLED")
        return self.state != "PENDING_UPDATE" or self.to("PARTIALLY_FILLED" if self.filled else "ACCEPTED")

    def booked(self) -> bool:
        """Take what an execution or its bust makes of the state."""
        if self.filled >= max(self.lots, self.change or 0):
            return self.state == "FILLED" or self.to("FILLED")
        if self.state == "FILLED":
            return self.to("CANCELED")
        if self.state not in ALIVE:
            return True
        if self.filled:
            return self.to("PARTIALLY_FILLED")
        return self.state != "PARTIALLY_FILLED" or self.to("ACCEPTED")


class Lives(RuleBasedStateMachine):
    """Orders of one symbol whose broker says anything, in any order."""

    steps = 0
    refused = 0

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(
            "AAA", answers=False, costs=FREE, limits={"max_order_value": 1e9, "repeated_denials": 10**6},
            orders={"type": "LIMIT", "limit_bps": 10.0, "time_in_force": "GTC"},
        )  # fmt: skip
        self.orders: list[Model] = []
        self.executions = 0
        self.target = 0.0

    def one(self, pick: int) -> Model:
        """Choose among the youngest: the old ones have mostly ended."""
        return self.orders[-1 - pick % min(4, len(self.orders))]

    def took(self, outputs: list[Any], *, possible: bool) -> None:
        rules = [alert.rule for alert in of_type(outputs, "RiskAlert")]
        assert ("IMPOSSIBLE_TRANSITION" in rules) == (not possible)
        if not possible:
            Lives.refused += 1
            assert self.desk.row()["halted"] == 1
            self.desk.control("release", "symbol", "AAA")

    @rule(wanted=st.sampled_from([-0.8, -0.3, 0.3, 0.8]))
    def decide(self, wanted: float) -> None:
        self.desk.want("momentum", target=wanted)
        outputs = self.desk.slice({"AAA": 100.0})
        for order in in_state(outputs, "PENDING_CANCEL"):
            model = next(each for each in self.orders if each.order_id == order.order_id)
            model.canceling = True
            assert model.to("PENDING_CANCEL")
        self.orders += [Model(order.order_id, order.side, order.lots) for order in in_state(outputs, "INTENT")]

    @precondition(lambda self: self.orders)
    @rule(pick=PICK, kind=ANSWERS)
    def answer(self, pick: int, kind: str) -> None:
        model = self.one(pick)
        event = BrokerEvent(broker="paper", order_id=model.order_id, kind=kind, broker_ns=0)  # type: ignore[arg-type]
        self.took(self.desk.engine.on_order_event(event), possible=model.answer(kind))

    @precondition(lambda self: self.orders)
    @rule(pick=PICK, share=st.sampled_from([0.2, 0.5, 1.0]))
    def fill(self, pick: int, share: float) -> None:
        model = self.one(pick)
        lots = int((max(model.lots, model.change or 0) - model.filled) * share)
        if lots < 1:
            return
        self.executions += 1
        name = f"x{self.executions}"
        model.fills[name] = lots
        model.known.add(name)
        self.took(self.say(model, name, lots), possible=model.booked())

    @precondition(lambda self: any(order.fills for order in self.orders))
    @rule(pick=PICK)
    def bust(self, pick: int) -> None:
        having = [order for order in self.orders if order.fills]
        model = having[pick % len(having)]
        name, lots = list(model.fills.items())[pick % len(model.fills)]
        del model.fills[name]
        self.took(self.say(model, f"{name}/bust", lots, kind="BUST", amends=name), possible=model.booked())

    @precondition(lambda self: any(order.known for order in self.orders))
    @rule(pick=PICK)
    def repeat(self, pick: int) -> None:
        having = [order for order in self.orders if order.known]
        model = having[pick % len(having)]
        assert self.say(model, sorted(model.known)[pick % len(model.known)], 3) == []

    @precondition(lambda self: self.orders)
    @rule(pick=PICK, lots=st.sampled_from([0.5, 1.2]))
    def change(self, pick: int, lots: float) -> None:
        model = self.one(pick)
        wanted = int(model.lots * lots)
        self.minute()  # two decisions at one instant would be a duplicate
        said = Change(lots=wanted, limit_ticks=10_000, stop_ticks=None)
        refused, outputs = self.desk.engine.on_change(model.order_id, said)
        if not refused:
            model.change = wanted
            assert model.to("PENDING_UPDATE")
            assert len(outputs) == 1
        elif model.state in {"ACCEPTED", "PARTIALLY_FILLED"} and model.filled < wanted < model.lots:
            assert model.change is not None or model.canceling

    @rule()
    def halt_and_release(self) -> None:
        self.desk.control("halt")
        for model in self.orders:
            if model.state in ALIVE:
                model.canceling = True
                assert model.state == "PENDING_CANCEL" or model.to("PENDING_CANCEL")
        self.desk.control("release")

    @precondition(lambda self: self.orders)
    @rule(pick=PICK, state=st.sampled_from(STATES))
    def force(self, pick: int, state: str) -> None:
        """Somebody moves an order as the table does not allow."""
        model = self.one(pick)
        table = self.desk.engine.state
        order = table.orders.get(model.order_id) or table.closed_orders[model.order_id]
        if state not in FOLLOWERS[model.state]:
            with pytest.raises(ImpossibleTransitionError):
                order.move(state)
            Lives.refused += 1

    @rule()
    def restart(self) -> None:
        self.desk.engine = Engine.restore(self.desk.engine.snapshot())
        self.desk.silence()

    @rule()
    def next_day(self) -> None:
        self.minute(DAY_NS)  # GTC orders outlive it

    def minute(self, step_ns: int = MINUTE_NS) -> None:
        """Let a bar pass that decides nothing."""
        self.desk.control("maintenance")
        self.desk.slice({"AAA": 100.0}, step_ns=step_ns)
        self.desk.control("resume_maintenance")

    def say(self, model: Model, name: str, lots: int, **fields: Any) -> list[Any]:
        return self.desk.engine.on_fill(FillEvent(
            broker="paper", execution_id=name, order_id=model.order_id, broker_ns=0, symbol="AAA", side=model.side,  # type: ignore[arg-type]
            lots=lots, price_micro=100_000_000, fee_micro=7, reference_price=100.0, **fields,
        ))  # fmt: skip

    @invariant()
    def the_engine_is_as_the_model(self) -> None:
        Lives.steps += 1
        state = self.desk.engine.state
        for model in self.orders:
            order = state.orders.get(model.order_id) or state.closed_orders[model.order_id]
            assert (order.state, order.filled_lots) == (model.state, model.filled), model
            assert (model.order_id in state.orders) == (model.state in ALIVE)
        signs = {"BUY": 1, "SELL": -1}
        assert self.desk.lots() == sum(signs[each.side] * each.filled for each in self.orders)
        row = self.desk.row()
        for side, column in (("BUY", "working_buy"), ("SELL", "working_sell")):
            assert int(row[column]) == sum(each.reserved for each in self.orders if each.side == side)
        assert int(state.account[0]["fees_micro"]) == 7 * sum(len(each.fills) for each in self.orders)
        self.desk.check_books()


def test_ten_thousand_steps(capsys: pytest.CaptureFixture[str]) -> None:
    Lives.steps = Lives.refused = 0
    run_state_machine_as_test(Lives, settings=FAST)
    with capsys.disabled():
        print(f"\n{Lives.steps:,} steps, {Lives.refused:,} impossible transitions refused")
    assert Lives.steps >= STEPS
    assert Lives.refused > STEPS / 100

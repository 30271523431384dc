"""No order reaches a broker without the record of its checks: looked for in the source, and tried."""

import ast
from pathlib import Path

import msgspec
import pytest
from worker_station import FEED, ROOT

from engine import engine as engine_module
from engine import execution
from engine.engine import Engine
from engine.output import Output
from worker.orders import OrderDesk, UncheckedOrderError

PACKAGES = ("engine", "worker", "risk", "agents", "market", "recorder", "controlroom", "events")

ALLOWED = {
    "submit": {"worker/orders.py"},  # a broker is told of an order
    "INTENT": {"engine/execution.py"},  # an order becomes an intent
    "Checked": {"engine/execution.py"},  # the record of its checks is made
    "intend": {"engine/engine.py", "engine/flatten.py", "engine/algorithms.py"},  # behind the checks
}
"""What may stand in these files alone: each is a step that an order takes on its way out."""


def steps(source: str) -> set[str]:
    """Return the steps of ``ALLOWED`` that a module takes."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = [
            each.value for each in (*node.args, *(k.value for k in node.keywords)) if isinstance(each, ast.Constant)
        ]
        if name in {"submit", "Checked", "intend"}:
            found.add(name)
        if "INTENT" in given:
            found.add("INTENT")
    return found


def _allowed(name: str, step: str) -> bool:
    elsewhere = step == "submit" and not name.startswith(("worker", "engine"))  # forms and thread pools
    return elsewhere or name in ALLOWED[step]


def ways_round(tree: Path) -> list[str]:
    """Return where a source tree takes a step of an order's way out that is not taken there."""
    found = []
    for package in PACKAGES:
        for file in sorted((tree / package).rglob("*.py")):
            name = file.relative_to(tree).as_posix()
            found += [f"{name}: {step}" for step in sorted(steps(file.read_text())) if not _allowed(name, step)]
    return found


def test_the_source_has_no_way_round_the_checks() -> None:
    assert ways_round(ROOT) == []


@pytest.mark.parametrize(
    ("file", "planted", "says"),
    [
        ("worker/core.py", "broker.submit(order)", "submit"),
        ("engine/control.py", "order.move('INTENT')", "INTENT"),
        ("engine/external.py", "msgspec.structs.replace(event, state='INTENT')", "INTENT"),
        ("engine/modify.py", "execution.intend(state, 0, 0)", "intend"),
        ("worker/machine.py", "Checked(codes=['KILLED'], version=1)", "Checked"),
    ],
)
def test_a_planted_bypass_fails_the_build(tmp_path, file, planted, says) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / file).write_text(
        (ROOT / file).read_text() + f"\n\ndef bypass(broker, order, event, state):\n    {planted}\n"
    )
    assert ways_round(tmp_path) == [f"{file}: {says}"]


def trade(bench, minutes=400) -> None:
    for one in bench.slices(minutes):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))


def test_an_order_without_its_record_is_never_sent_and_ends_the_worker(bench, monkeypatch) -> None:
    """Somebody strips the record on the way: the desk refuses loudly."""
    bench.configure()
    sent = []
    monkeypatch.setattr(bench.core.machine.broker, "submit", sent.append)
    intend = execution.intend

    def stripped(*given, **named):
        return [
            Output(o.type, o.agent_id, msgspec.structs.replace(o.payload, checked=None), o.confidence)
            for o in intend(*given, **named)
        ]

    monkeypatch.setattr(execution, "intend", stripped)
    with pytest.raises(UncheckedOrderError, match="has no record of its checks: it is not sent"):
        trade(bench)
    assert sent == []


def test_an_order_that_the_checks_have_not_allowed_becomes_no_intent(bench, monkeypatch) -> None:
    """Somebody makes intents of what was denied: the engine refuses."""
    bench.configure(max_order_value=1.0)
    monkeypatch.setattr(execution, "deny", execution.intend)
    with pytest.raises(execution.UncheckedError, match="was not allowed by the checks"):
        trade(bench)


def test_the_checks_word_is_good_for_one_order(bench, monkeypatch) -> None:
    """Somebody sends an allowed order twice: there is one word of the checks for both."""
    bench.configure()
    order = Engine._order
    monkeypatch.setattr(
        engine_module.Engine,
        "_order",
        lambda self, i, now_ns: order(self, i, now_ns) + execution.intend(self.state, i, now_ns),
    )
    with pytest.raises(execution.UncheckedError):
        trade(bench)


def test_every_order_that_was_sent_has_its_record(bench, monkeypatch) -> None:
    bench.configure()
    sent = []
    submit = OrderDesk._submit
    monkeypatch.setattr(
        OrderDesk, "_submit", lambda self, broker, order, ns: (sent.append(order), submit(self, broker, order, ns))[1]
    )
    trade(bench)
    assert len(sent) > 10
    assert all(order.checked.codes == execution.CODES and order.checked.version == 1 for order in sent)

"""What loosens is signed by the approvals key, or it is refused and alarms; on a real bus and a real worker."""

import time

import msgspec
import pytest
from worker_station import configuration, configure_event

from audit.keys import create_missing, private_key, rotate
from audit.ring import KeyRing
from engine.allocation import Allocation, Override
from events.reader import JournalReader
from events.types import ControlEvent
from worker.approvals import START, TOURNAMENT, Approved, Gate, Used, sign
from worker.replay import replay

TWO = ("ada", "bob")


def signed(paths, event, version, approvers=TWO, issued_ns=None):
    key = private_key(paths, "approvals")
    issued_ns = time.time_ns() if issued_ns is None else issued_ns
    made = sign(event, key, approvers=approvers, version=version, issued_ns=issued_ns)
    return msgspec.structs.replace(event, signature=made)


def act(action, request_id="r1", **changes):
    given = {"scope": "all", "target": "", "actor": "ada", "reason": "all clear", **changes}
    return ControlEvent(action=action, request_id=request_id, **given)


@pytest.fixture(scope="module")
def ring_paths(tmp_path_factory):
    from events.paths import DataPaths  # noqa: PLC0415

    made = DataPaths(tmp_path_factory.mktemp("keys"))
    create_missing(made)
    return made


@pytest.fixture
def judge(ring_paths):
    gate, now_ns = Gate(lambda: KeyRing.read(ring_paths.keys)), time.time_ns()
    return lambda event, in_force=None: gate.refusal(event, in_force or configuration(), now_ns)


LOOSER = configuration(version=2, max_gross=1.5)


def test_a_tightening_needs_nobody(judge):
    assert judge(configure_event(configuration(version=2, max_gross=0.5, allow_short=False))) == ""


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"max_gross": 1.5}, "max_gross"),
        ({"allow_short": True}, "allow_short"),
        ({"stance_low": 0.1}, "stance_low"),
        ({"max_gross": 0.1, "daily_loss": 0.5}, "daily_loss"),  # one that is tighter makes up for nothing
    ],
)
def test_whatever_is_looser_needs_a_signature_and_is_named(judge, changes, name):
    in_force = configuration(allow_short=False)
    event = configure_event(configuration(version=2, **{"allow_short": False, **changes}))
    assert judge(event, in_force) == f"it loosens {name}, and nobody has signed it"


def test_fewer_operators_and_another_mode_are_looser(judge):
    two = msgspec.structs.replace(configuration(), operators=2)
    assert "operators" in judge(configure_event(configuration(version=2)), two)
    assert judge(configure_event(msgspec.structs.replace(two, version=2)), configuration()) == ""


def changed_settings(section, **fields):
    settings = configuration().settings
    made = msgspec.structs.replace(getattr(settings, section), **fields)
    return msgspec.structs.replace(
        configuration(version=2), settings=msgspec.structs.replace(settings, **{section: made})
    )


@pytest.mark.parametrize(
    ("section", "fields", "name"),
    [
        ("account", {"initial_cash": 5e6}, "account"),
        ("account", {"initial_cash": 5e5}, "account"),  # what is paid out makes no fraction of equity tighter
        ("black_swan", {"move": 50.0}, "black_swan"),
        ("disk", {"halted_bytes": 1}, "disk.halted_bytes"),
    ],
)
def test_what_limits_hang_on_needs_a_signature_as_they_do(judge, section, fields, name):
    event = configure_event(changed_settings(section, **fields))
    assert judge(event) == f"it loosens {name}, and nobody has signed it"


def test_a_higher_threshold_of_the_disk_needs_nobody(judge):
    assert judge(configure_event(changed_settings("disk", halted_bytes=300 * 2**20))) == ""


def filed_settings(version=2, **fields):
    given = configuration(version)
    return msgspec.structs.replace(given, settings=msgspec.structs.replace(given.settings, **fields))


def weights(**changes):
    return {**configuration().settings.weights, **changes}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"weights": weights(momentum=0.4)}, "weights.momentum"),
        ({"routing": {"*": ["paper", "other"]}}, "routing"),
        ({"costs": msgspec.structs.replace(configuration().settings.costs, fee_bps=0.0)}, "costs"),
        ({"costs": msgspec.structs.replace(configuration().settings.costs, symbol_budget=0.9)}, "costs"),
        ({"execution": msgspec.structs.replace(configuration().settings.execution, slices=9)}, "execution"),
        ({"strategies": {"momentum": {"entry": 0.2}}}, "strategies"),
    ],
)
def test_what_the_file_says_takes_the_starts_signature_and_never_the_buss_word(judge, ring_paths, fields, name):
    event = configure_event(filed_settings(**fields))
    assert judge(event) == f"it changes {name}, and nobody has signed it"
    assert judge(signed(ring_paths, event, 2, approvers=[START])) == ""
    assert judge(signed(ring_paths, event, 2, approvers=["ada"])) == ""
    two = msgspec.structs.replace(configuration(), operators=2)
    alone = msgspec.structs.replace(
        event, content=msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(filed_settings(**fields), operators=2)))
    )
    assert "1 of 2 people" in judge(signed(ring_paths, alone, 2, approvers=["ada"]), two)


def test_a_start_loosens_no_limit_whatever_it_changes_beside_it(judge, ring_paths):
    looser = msgspec.structs.replace(LOOSER, settings=msgspec.structs.replace(LOOSER.settings, routing={"*": ["b"]}))
    event = signed(ring_paths, configure_event(looser), 2, approvers=[START])
    assert judge(event) == "it loosens max_gross and changes routing, and 0 of 1 people have approved it"
    both = signed(ring_paths, configure_event(looser), 2, approvers=["ada", START])
    assert judge(both) == ""


def test_less_capital_and_a_further_currency_need_nobody(judge):
    assert judge(configure_event(filed_settings(weights=weights(momentum=0.1)))) == ""
    assert judge(configure_event(filed_settings(rates={"EUR": "EURUSD"}))) == ""
    known = filed_settings(1, rates={"EUR": "EURUSD"})
    other = configure_event(filed_settings(rates={"EUR": "EURGBP"}))
    assert judge(other, known) == "it changes rates.EUR, and nobody has signed it"
    label = msgspec.structs.replace(
        configuration(2), source=msgspec.structs.replace(configuration().source, label="LIVE")
    )
    assert judge(configure_event(label)) == "it changes source, and nobody has signed it"
    assert (
        judge(configure_event(with_first(2, currency="EUR"))) == "it changes instruments.SYMA, and nobody has signed it"
    )


def with_first(version=1, **fields):
    given = configuration(version)
    first, *rest = given.instruments
    return msgspec.structs.replace(given, instruments=[msgspec.structs.replace(first, **fields), *rest])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"restricted": True}, {"restricted": False}),
        ({"shortable": False}, {"shortable": True}),
        ({"tradable": False}, {"tradable": True}),
        ({"calendar": "XNYS"}, {"calendar": "24/7"}),
        ({"tick": 0.01}, {"tick": 1.0}),
    ],
)
def test_an_instrument_that_may_be_traded_as_it_might_not_needs_a_signature(judge, before, after):
    event = configure_event(with_first(2, **after))
    assert judge(event, with_first(**before)) == "it loosens instruments.SYMA, and nobody has signed it"
    if "calendar" not in before and "tick" not in before:
        assert judge(configure_event(with_first(2, **before)), with_first(**after)) == ""


def test_a_right_signature_lets_it_pass_and_only_exactly_it(judge, ring_paths):
    event = signed(ring_paths, configure_event(LOOSER), 2)
    assert judge(event) == ""
    assert judge(msgspec.structs.replace(event, request_id="hello-7", position="control.worker 9-0")) == ""
    looser = msgspec.Raw(msgspec.json.encode(configuration(version=2, max_gross=9.0)))
    for change in ({"content": looser}, {"scope": "account"}, {"target": "x"}, {"action": "release"}):
        assert "does not hold" in judge(msgspec.structs.replace(event, **change))
    later = msgspec.structs.replace(configuration(version=3, max_gross=1.5))
    assert judge(msgspec.structs.replace(event, content=msgspec.Raw(msgspec.json.encode(later)))) != ""
    approved = msgspec.json.decode(event.signature, type=Approved)
    for change in ({"approvers": ["ada", "eve"]}, {"version": 3}, {"issued_ns": 5}, {"request_id": "x"}):
        changed = msgspec.json.encode(msgspec.structs.replace(approved, **change)).decode()
        assert judge(msgspec.structs.replace(event, signature=changed)) != ""
    assert "0 of 1 people" in judge(signed(ring_paths, configure_event(LOOSER), 2, approvers=()))
    two = msgspec.structs.replace(configuration(), operators=2)
    alone = msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(LOOSER, operators=2)))
    alone = msgspec.structs.replace(configure_event(LOOSER), content=alone)
    assert "1 of 2 people" in judge(signed(ring_paths, alone, 2, approvers=("ada", "ada")), two)
    assert judge(signed(ring_paths, alone, 2), two) == ""
    assert "version 7" in judge(signed(ring_paths, configure_event(LOOSER), 7))


@pytest.mark.parametrize("signature", ["", "x", "{}", '{"key":"00"}', "\u2603" * 50])
def test_garbage_is_no_signature(judge, signature):
    assert judge(msgspec.structs.replace(configure_event(LOOSER), signature=signature)) != ""


def test_a_version_that_is_in_force_or_older_is_the_machines_to_refuse(judge):
    assert judge(configure_event(LOOSER), configuration(version=2)) == ""


@pytest.mark.parametrize("action", ["release", "resume_maintenance", "enable", "adopt", "flatten_external"])
def test_a_release_counts_for_its_own_request_and_ten_minutes(judge, ring_paths, action):
    assert "nobody" in judge(act(action))
    good = signed(ring_paths, act(action), 1, approvers=["ada"])
    assert judge(good) == ""
    approved = msgspec.json.decode(good.signature, type=Approved)
    assert approved.request_id == "r1"
    assert "request r1" in judge(msgspec.structs.replace(good, request_id="again"))
    assert "ten minutes" in judge(signed(ring_paths, act(action), 1, issued_ns=time.time_ns() - 601 * 10**9))


IN_USE = {"bullish": 0.2, "bearish": 0.2, "mean_reversion": 0.2, "momentum": 0.2}


def allocation(version=1, overrides=None, **weights):
    given = Allocation(version=version, round_id="r", weights=IN_USE | weights, overrides=overrides or {})
    return act("allocate", f"allocate-{version}", content=msgspec.Raw(msgspec.json.encode(given)))


def used(overrides=None, **weights):
    return Used(Allocation(version=0, round_id="", weights=IN_USE | weights, overrides=overrides or {}), 0)


@pytest.fixture
def judge_allocation(ring_paths):
    gate, two = Gate(lambda: KeyRing.read(ring_paths.keys)), msgspec.structs.replace(configuration(), operators=2)
    return lambda event: gate.refusal(event, two, time.time_ns(), used())


def test_the_tournament_alone_gives_a_strategy_a_small_step_more_and_nobody_signs_for_nothing(
    judge_allocation, ring_paths
):
    small, large = allocation(momentum=0.25), allocation(momentum=0.2501)
    assert judge_allocation(small) == "nobody has signed it"
    assert judge_allocation(allocation(momentum=0.0)) == "nobody has signed it"
    assert judge_allocation(signed(ring_paths, small, 1, approvers=[TOURNAMENT])) == ""
    assert judge_allocation(signed(ring_paths, allocation(momentum=0.0), 1, approvers=[TOURNAMENT])) == ""
    why = judge_allocation(signed(ring_paths, large, 1, approvers=[TOURNAMENT]))
    assert why == "it gives momentum more than one may give, and 0 of 2 people have approved it"
    assert "1 of 2 people" in judge_allocation(signed(ring_paths, large, 1, approvers=["ada", TOURNAMENT, START]))
    assert judge_allocation(signed(ring_paths, large, 1)) == ""


def test_an_override_counts_by_the_most_that_it_gives(judge_allocation, ring_paths):
    high = allocation(overrides={"momentum": Override(weight=0.3, until_ns=1)}, momentum=0.0)
    assert "momentum" in judge_allocation(signed(ring_paths, high, 1, approvers=[TOURNAMENT]))
    held = allocation(overrides={"momentum": Override(weight=0.1, until_ns=1)})
    assert judge_allocation(signed(ring_paths, held, 1, approvers=["ada"])) == ""


def test_to_end_an_override_that_holds_a_strategy_down_is_to_give_it_more(ring_paths):
    gate, two = Gate(lambda: KeyRing.read(ring_paths.keys)), msgspec.structs.replace(configuration(), operators=2)
    held = used(overrides={"momentum": Override(weight=0.0, until_ns=100)})

    def judged(override=None, approvers=("ada",), **weights):
        overrides = {} if override is None else {"momentum": override}
        event = signed(ring_paths, allocation(overrides=overrides, **weights), 1, approvers=approvers)
        return gate.refusal(event, two, time.time_ns(), held)

    assert judged(Override(weight=0.0, until_ns=100)) == ""
    assert judged(Override(weight=0.0, until_ns=100), [TOURNAMENT], momentum=0.21) == ""  # beneath it a round decides
    assert "gives momentum more" in judged()
    assert "gives momentum more" in judged(Override(weight=0.05, until_ns=100))  # nor in small steps
    assert "gives momentum more" in judged(Override(weight=0.0, until_ns=99))


def test_an_allocations_signature_is_for_its_version_and_request_and_does_not_age(judge_allocation, ring_paths):
    assert "version 2" in judge_allocation(signed(ring_paths, allocation(), 2, approvers=[TOURNAMENT]))
    good = signed(ring_paths, allocation(), 1, approvers=[TOURNAMENT], issued_ns=0)
    assert judge_allocation(good) == ""
    assert "request allocate-1" in judge_allocation(msgspec.structs.replace(good, request_id="again"))
    other = msgspec.structs.replace(good, content=allocation(momentum=0.25).content)
    assert "does not hold" in judge_allocation(other)


def test_ending_an_allocation_by_other_weights_counts_against_what_is_in_use(ring_paths):
    gate, before = Gate(lambda: KeyRing.read(ring_paths.keys)), configuration()
    settings = msgspec.structs.replace(before.settings, weights=before.settings.weights | {"bullish": 0.24})
    event = configure_event(msgspec.structs.replace(before, version=2, settings=settings))
    settled = before.settings.weights
    assert gate.refusal(event, before, 0, used(**settled)) == ""  # less than before, and no allocation
    why = gate.refusal(event, before, 0, used(**settled | {"momentum": 0.01}))
    assert why == "it changes weights.momentum, and nobody has signed it"


def test_the_key_before_a_rotation_approves_nothing_any_more(judge, ring_paths):
    old = signed(ring_paths, configure_event(LOOSER), 2)
    rotate(ring_paths, "approvals")
    assert "not the approvals key in force" in judge(old)
    assert judge(signed(ring_paths, configure_event(LOOSER), 2)) == ""


def test_without_a_ring_nothing_is_loosened(judge, tmp_path):
    gate = Gate(lambda: KeyRing.read(tmp_path))
    event = signed_by_nobody_known(configure_event(LOOSER))
    assert "not the approvals key in force" in gate.refusal(event, configuration(), 0)


def signed_by_nobody_known(event):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    return msgspec.structs.replace(event, signature=sign(event, key, approvers=TWO, version=2, issued_ns=0))


def alerts(paths):
    from events.codec import decode_payload  # noqa: PLC0415

    found = JournalReader(paths.journal / "execution").read()
    return [decode_payload(r.type, r.payload) for r in found if r.type == "RiskAlert"]


def test_forged_loosening_on_the_bus_is_refused_and_alarms_and_a_signed_one_is_taken(paths, bus, worker):
    create_missing(paths)
    worker.start()
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["configuration"] == 1)
    bus.control(configure_event(LOOSER, "forged"))
    bus.control(signed_by_nobody_known(configure_event(LOOSER, "forged-2")))
    bus.control(act("release", "forged-3"))
    bus.control(act("flatten", "forged-4"))
    bus.control(act("enable", "forged-5", scope="strategy", target="momentum"))
    bus.control(act("adopt", "forged-6", scope="account", target="X1"))
    rules = ["FORGED_CONTROL"] * 6
    view = worker.until(lambda view: [alert["rule"] for alert in view["alerts"]] == rules)
    assert view["configuration"] == 1
    assert {alert["severity"] for alert in view["alerts"]} == {"critical"}
    assert "it loosens max_gross" in view["alerts"][-1]["message"]

    bus.control(signed(paths, configure_event(LOOSER, "approved"), 2))
    worker.until(lambda view: view["configuration"] == 2)
    bus.control(configure_event(configuration(version=3, max_gross=0.5), "tighter"))
    worker.until(lambda view: view["configuration"] == 3)
    bus.control(signed(paths, configure_event(LOOSER, "again"), 2))  # its signature holds, its time is over
    time.sleep(0.2)
    assert worker.ask(op="status")["configuration"] == 3
    worker.stop()

    assert sum(alert.rule == "FORGED_CONTROL" for alert in alerts(paths)) == 6
    reader = JournalReader(paths.journal / "execution")
    found = replay(reader, reader.last_seq())
    assert found["ok"], found["first_difference"]


def test_a_signed_release_on_the_bus_lifts_the_kill_once(paths, bus, worker):
    create_missing(paths)
    worker.start()
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    worker.ask(op="kill", scope="all", target="", actor="a", reason="r")
    release = signed(paths, act("release", "r9"), 1, approvers=["ada"])
    bus.control(release)
    worker.until(lambda view: view["killed"] == [])
    assert not paths.kill_file.exists()
    worker.ask(op="kill", scope="all", target="", actor="a", reason="r")
    bus.control(release)
    time.sleep(0.3)
    assert worker.ask(op="status")["killed"] == ["all"]

"""A round goes step by step and each step counts once: through crashes, repetitions, forgeries and late starts."""

import hashlib
import itertools
from typing import ClassVar

import msgspec
import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from events.tournament import TYPES
from market.occurrences import by_hand, latest, pending
from tournaments.rounds import (
    STEPS,
    TERMINAL,
    Done,
    Move,
    RoundError,
    Voided,
    advance,
    decode,
    encode,
    event_id,
    missed_round,
    new_round,
    next_move,
)
from tournaments.rules import Rules, fingerprint, schedule_of

MINUTE = 60_000_000_000
RULES = Rules()
NAMES = [step.name for step in STEPS]
AGENTS = ("bullish", "bearish", "mean_reversion", "momentum")


def at(text):
    return pd.Timestamp(text, tz="America/New_York").value


OCCURRENCE = latest(schedule_of(RULES), at("2019-01-06 02:00"))


def a_round(started="2019-01-06 02:00", calendars=("XNYS",), **fields):
    rules = msgspec.structs.replace(RULES, **fields)
    return new_round(OCCURRENCE, rules, started_ns=at(started), calendars=calendars)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def done(held, step, agents=AGENTS, at_ns=None, sha256=None):
    agents = agents if step in {"open", "predict"} else ()
    late = held.settles_ns if step == "settle" else held.started_ns + NAMES.index(step) * MINUTE
    return Done(step, sha256 or digest(step), late if at_ns is None else at_ns, agents)


def up_to(step, held=None):
    held = held or a_round()
    for name in itertools.takewhile(lambda each: each != step, NAMES):
        held = advance(held, done(held, name))
    return held


def test_a_round_goes_through_its_steps_in_order_to_settled():
    held = a_round()
    assert (held.round_id, held.rules_sha256) == ("tournament:XNYS:2019-01-07", fingerprint(RULES))
    seen = []
    while held.state not in TERMINAL:
        seen.append(held.state)
        held = advance(held, done(held, held.state))
    assert seen == NAMES == [
        "open", "predict", "challenge", "defend", "rule", "score", "allocate", "settle",
    ]  # fmt: skip
    assert (held.state, held.ended_ns, held.late_steps) == ("settled", held.settles_ns, [])
    assert [held.result(step).sha256 for step in NAMES] == [digest(step) for step in NAMES]


def test_the_table_leads_from_each_step_to_the_next_and_ends():
    assert [step.following for step in STEPS] == [*NAMES[1:], "settled"]


@pytest.mark.parametrize("step", NAMES)
def test_from_any_step_it_resumes_and_the_same_result_again_changes_nothing(step):
    held = up_to(step)
    assert held.state == step
    again = decode(encode(held))
    assert again == held
    event = done(held, step)
    after = advance(again, event)
    assert after == advance(held, event)
    assert advance(after, event) is after
    assert advance(after, done(held, step, at_ns=event.at_ns + 1)) is after
    with pytest.raises(RoundError, match=f"{step} is done with result {digest(step)[:12]}, not {digest('x')[:12]}"):
        advance(after, done(held, step, sha256=digest("x")))


@pytest.mark.parametrize("step", NAMES)
def test_no_step_is_left_out(step):
    for other in NAMES:
        held = up_to(step)
        if NAMES.index(other) > NAMES.index(step):
            with pytest.raises(RoundError, match=f"waits for {step}; it cannot take {other}"):
                advance(held, done(held, other))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_round_with_too_few_entrants_is_void_with_the_reason(count):
    held = a_round()
    event = done(held, "open", AGENTS[:count])
    found = advance(held, event)
    assert found.state == "void"
    assert found.reason.startswith(f"{count} entrants")
    assert found.reason.endswith("are fewer than min_strategies = 4; allocations stay as they are")
    assert advance(found, event) is found
    assert next_move(found, held.started_ns) == Move("nothing", reason=found.reason)
    with pytest.raises(RoundError, match=r"is void: .* it takes no predict"):
        advance(found, done(held, "predict"))


def test_a_round_with_too_few_valid_entries_is_void_with_the_reason():
    held = up_to("predict")
    found = advance(held, done(held, "predict", AGENTS[1:]))
    assert found.state == "void"
    assert found.reason.startswith("3 valid entries (bearish, mean_reversion, momentum) are fewer")


@pytest.mark.parametrize(("wanted", "count"), [(2, 2), (3, 3), (8, 8)])
def test_just_enough_are_enough(wanted, count):
    agents = tuple(f"agent{n}" for n in range(count))
    held = a_round(min_strategies=wanted)
    for step in ("open", "predict"):
        held = advance(held, done(held, step, agents))
    assert held.state == "challenge"


@pytest.mark.parametrize(
    ("step", "event", "words"),
    [
        ("open", {"agents": ("a", "b", "c", "d", "a")}, "names an agent twice"),
        ("predict", {"agents": (*AGENTS, "stranger")}, "names stranger, not among the entrants"),
        ("open", {"sha256": "abc"}, "must be 64 hexadecimal letters"),
        ("score", {"sha256": digest("x").upper()}, "must be 64 hexadecimal letters"),
    ],
)
def test_a_malformed_event_is_refused(step, event, words):
    held = up_to(step)
    with pytest.raises(RoundError, match=words):
        advance(held, done(held, step, **event))


def test_only_open_and_predict_name_agents():
    held = up_to("score")
    with pytest.raises(RoundError, match="open and predict alone do"):
        advance(held, Done("score", digest("score"), held.started_ns, AGENTS))


def test_deadlines_count_from_the_start_and_end_before_the_session_opens():
    held = a_round()
    minutes = {step: (ns - held.started_ns) / MINUTE for step, ns in held.deadlines_ns.items() if step != "settle"}
    assert minutes == {
        "open": 5, "predict": 20, "challenge": 30, "defend": 40, "rule": 50, "score": 55, "allocate": 60,
    }  # fmt: skip
    assert held.deadlines_ns["settle"] == at("2019-01-10 16:00")
    late = a_round("2019-01-07 09:15")
    opening = at("2019-01-07 09:30")
    assert late.cutoff_ns == opening
    assert late.deadlines_ns["open"] == at("2019-01-07 09:20")
    assert {late.deadlines_ns[step] for step in NAMES[1:-1]} == {opening - 1}


def test_a_round_of_several_calendars_settles_when_the_last_session_has_closed():
    held = a_round(calendars=["XNYS", "24/7"])
    assert {name: each.date for name, each in held.sessions.items()} == {"XNYS": "2019-01-07", "24/7": "2019-01-07"}
    assert held.settles_ns == pd.Timestamp("2019-01-08", tz="UTC").value
    night = a_round("2019-01-06 18:50", calendars=["24/7"])  # entries may be sealed past midnight UTC
    assert night.sessions["24/7"].date == "2019-01-08"
    assert night.sessions["XNYS"].date == "2019-01-07"
    assert decode(encode(night)) == night


@pytest.mark.parametrize("started", ["2019-01-06 01:59", "2019-01-07 09:30", "2019-01-08 00:00"])
def test_a_round_starts_neither_before_its_hour_nor_in_its_session(started):
    with pytest.raises(RoundError, match="cannot start at"):
        a_round(started)


def test_a_round_by_hand_runs_like_any_other():
    occurrence = by_hand(schedule_of(RULES), at("2019-01-09 12:00"), "4f2c")
    held = new_round(occurrence, RULES, started_ns=at("2019-01-09 12:00"), calendars=["XNYS"])
    assert held.round_id == "tournament:hand:4f2c"
    assert up_to("settle", held).settles_ns == at("2019-01-10 16:00")


def test_a_missed_occurrence_becomes_a_void_round_with_its_reason():
    now = at("2019-01-07 10:00")
    found = pending(schedule_of(RULES), since_ns=at("2019-01-05 00:00"), now_ns=now, known=())[0]
    held = missed_round(found.occurrence, RULES, at_ns=now, reason=found.reason)
    assert (held.state, held.reason, held.ended_ns, held.results) == ("void", found.reason, now, ())


def test_a_step_that_overruns_its_deadline_is_marked_late_and_counts():
    held = up_to("score")
    held = advance(held, done(held, "score", at_ns=held.deadlines_ns["score"]))
    assert held.late_steps == []
    held = advance(held, done(held, "allocate", at_ns=held.deadlines_ns["allocate"] + 1))
    assert (held.late_steps, held.state) == (["allocate"], "settle")


def test_a_round_that_overruns_into_the_session_is_void_and_allocates_nothing():
    held = up_to("allocate")
    with pytest.raises(RoundError, match="comes too late: the predicted session opened before the step allocate"):
        advance(held, done(held, "allocate", at_ns=held.cutoff_ns))
    assert next_move(held, held.cutoff_ns - 1).kind == "run"
    move = next_move(held, held.cutoff_ns)
    assert (move.kind, move.step) == ("void", "allocate")
    found = advance(held, Voided(move.reason, held.cutoff_ns))
    assert (found.state, found.reason, found.ended_ns) == ("void", move.reason, held.cutoff_ns)
    assert advance(found, Voided(move.reason, held.cutoff_ns + 1)) is found
    with pytest.raises(RoundError, match=r"is void: .* it takes no allocate"):
        advance(found, done(held, "allocate"))
    with pytest.raises(RoundError, match="cannot be void for another reason"):
        advance(found, Voided("somebody else says so", held.cutoff_ns))


def test_settle_waits_for_the_close_and_is_not_voided_by_waiting():
    held = up_to("settle")
    assert next_move(held, held.settles_ns - 1) == Move("wait", "settle", held.settles_ns)
    with pytest.raises(RoundError, match="is before the predicted sessions' close"):
        advance(held, done(held, "settle", at_ns=held.settles_ns - 1))
    deadline = held.deadlines_ns["settle"]
    assert next_move(held, held.settles_ns) == Move("run", "settle", deadline)
    assert next_move(held, deadline + 1) == Move("close", "settle", deadline)
    assert advance(held, done(held, "settle", at_ns=deadline + 1)).late_steps == ["settle"]


@pytest.mark.parametrize("step", NAMES[:-1])
def test_up_to_its_deadline_a_step_runs_and_after_it_those_that_wait_are_closed(step):
    held = up_to(step)
    deadline = held.deadlines_ns[step]
    assert next_move(held, held.started_ns) == next_move(held, deadline) == Move("run", step, deadline)
    closes = step in {"predict", "challenge", "defend"}
    assert next_move(held, deadline + 1) == Move("close" if closes else "run", step, deadline)


@pytest.mark.parametrize("reason", ["", " \n"])
def test_nothing_is_void_without_a_reason(reason):
    with pytest.raises(RoundError, match="without a reason"):
        advance(a_round(), Voided(reason, 0))


def test_a_settled_round_stays_settled():
    held = a_round()
    while held.state not in TERMINAL:
        held = advance(held, done(held, held.state))
    with pytest.raises(RoundError, match="is settled; it cannot be void"):
        advance(held, Voided("too late", held.settles_ns))
    assert next_move(held, 2 * held.settles_ns).kind == "nothing"


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"round_id": 3}'])
def test_what_is_no_round_is_refused(raw):
    with pytest.raises(RoundError, match="the round cannot be read"):
        decode(raw)


def test_event_ids_are_one_a_round_step_type_and_item():
    ids = {
        event_id(round_, step, type_, *items)
        for round_ in ("a", "b")
        for step in NAMES
        for type_ in TYPES
        for items in ((), ("momentum",), ("bullish",), ("momentum", "1"))
    }
    assert len(ids) == 2 * 4 * len(TYPES) * len(NAMES)


class Rounds(RuleBasedStateMachine):
    """Two workers on one stored round; either may die before, in or after each step, and everything comes twice."""

    ends: ClassVar[set[str]] = set()  # what all examples together have reached

    @initialize(
        entrants=st.sampled_from([4, 5, 3]),
        valid=st.sampled_from([5, 4, 4, 3]),
        late=st.booleans(),
        begun=st.integers(0, 8),
    )
    def begin(self, entrants, valid, late, begun):
        self.agents = {"open": tuple("abcde"[:entrants]), "predict": tuple("abcde"[: min(valid, entrants)])}
        held = a_round("2019-01-07 09:00" if late else "2019-01-06 02:00")
        self.now = held.started_ns
        self.disk = encode(held)  # all that outlives a process
        self.journal, self.effects, self.sent = [], [], []
        self.work("", begun)

    def true_result(self, held, step, now):
        """A step's result depends on what was frozen and never on who computes it or when."""
        return Done(step, digest(f"{held.round_id} {step}"), now, self.agents.get(step, ()))

    def commit(self, event):
        """One transaction: read the stored round, advance it, write it and its events; return whether it was new."""
        before = decode(self.disk)
        after = advance(before, event)
        if after is not before:
            for result in after.results[len(before.results) :]:
                self.journal.append(event_id(after.round_id, result.step, "RoundEvent"))
                self.effects.append(result.step)
            self.disk = encode(after)
        self.sent.append(event)
        return after is not before

    @rule(minutes=st.sampled_from([0, 1, 5, 20]), long=st.integers(0, 9))
    def time_goes_on(self, minutes, long):
        held = decode(self.disk)
        self.now += minutes * MINUTE
        if held.state == "settle" or long == 7:
            self.now = max(self.now, held.settles_ns if held.state == "settle" else held.cutoff_ns)

    @rule()
    def work_on(self):
        self.work("", 1)

    @rule(crash=st.sampled_from(["computed", "committed", "before"]), steps=st.integers(1, 3))
    def work_and_die(self, crash, steps):
        self.work("", steps - 1)
        self.work(crash, 1)

    def work(self, crash, steps):
        for _ in range(steps):
            held = decode(self.disk)
            move = next_move(held, self.now)
            if move.kind in {"nothing", "wait"} or crash == "before":
                return
            event = self.true_result(held, held.state, self.now)
            if move.kind == "void":
                event = Voided(move.reason, self.now)
            if crash == "computed":
                return
            assert self.commit(event)
            if crash == "committed":
                return  # nobody was told: the next worker cannot know

    @rule(pick=st.integers(0, 30))
    def the_other_worker_repeats(self, pick):
        if self.sent:
            before, event = self.disk, self.sent[pick % len(self.sent)]
            assert not self.commit(event)
            assert self.disk == before

    @rule(step=st.sampled_from(NAMES), what=st.sampled_from(["result", "agents"]))
    def somebody_forges(self, step, what):
        held, before = decode(self.disk), self.disk
        event = self.true_result(held, step, self.now)
        if held.state == step and held.result(step) is None:
            return
        if what == "agents" and held.result(step) is not None:
            event = Done(step, event.sha256, self.now, ("mallory",))
        elif what == "result":
            event = Done(step, digest("forged"), self.now, event.agents)
        if what == "agents" and held.result(step) is None and step not in self.agents:
            return
        with pytest.raises(RoundError):
            self.commit(event)
        assert self.disk == before

    @rule(reason=st.sampled_from(["the rules were withdrawn", "a person stopped it"]), sure=st.integers(0, 19))
    def void(self, reason, sure):
        if sure != 7:
            return
        held = decode(self.disk)
        if held.state not in TERMINAL:
            assert self.commit(Voided(reason, self.now))
        elif (held.state, held.reason) != ("void", reason):
            with pytest.raises(RoundError, match="cannot be void"):
                self.commit(Voided(reason, self.now))

    @invariant()
    def every_step_counts_once_and_in_order(self):
        held = decode(self.disk)
        steps = [result.step for result in held.results]
        assert steps == NAMES[: len(steps)]
        assert self.effects == steps
        assert len(set(self.journal)) == len(self.journal) == len(steps)
        assert all(each.sha256 == digest(f"{held.round_id} {each.step}") for each in held.results)
        assert all(each.at_ns < held.cutoff_ns for each in held.results if each.step != "settle")
        assert all(each.at_ns >= held.settles_ns for each in held.results if each.step == "settle")

    @invariant()
    def an_end_has_its_reason_and_nothing_is_allocated_with_too_few(self):
        held = decode(self.disk)
        assert (held.ended_ns is not None) == (held.state in TERMINAL)
        assert bool(held.reason) == (held.state == "void")
        assert (held.state == "settled") == (len(held.results) == len(NAMES))
        if min(map(len, self.agents.values())) < 4:
            assert "allocate" not in self.effects

    def teardown(self):
        """Whatever was left behind, the next worker brings the round to its end."""
        if hasattr(self, "disk"):
            self.work("", len(NAMES))
            self.now = max(self.now, decode(self.disk).settles_ns)
            self.work("", 1)
            self.every_step_counts_once_and_in_order()
            self.an_end_has_its_reason_and_nothing_is_allocated_with_too_few()
            Rounds.ends.add(decode(self.disk).state)


def test_nothing_is_scored_twice_whatever_dies_and_whatever_is_repeated():
    run_state_machine_as_test(
        Rounds, settings=settings(max_examples=80, stateful_step_count=40, deadline=None, derandomize=True)
    )
    assert Rounds.ends == set(TERMINAL)


@pytest.mark.parametrize("crash", ["before", "computed", "committed"])
@pytest.mark.parametrize("step", NAMES)
def test_a_worker_that_dies_in_a_step_is_followed_by_one_that_goes_on_and_no_step_counts_twice(step, crash):
    station = Rounds()
    station.begin(4, 4, late=False, begun=NAMES.index(step))
    station.now = decode(station.disk).settles_ns if step == "settle" else station.now
    station.work(crash, 1)
    assert len(station.effects) == NAMES.index(step) + (crash == "committed")
    station.work("", len(NAMES))
    station.now = decode(station.disk).settles_ns
    station.work("", 1)
    for event in list(station.sent):
        assert not station.commit(event)
    assert station.effects == NAMES
    assert decode(station.disk).state == "settled"

"""Every rule has a unit, a range and a help, every bad value is refused by name, and a version has one fingerprint."""

import json
import math
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.rules import (
    DEADLINES,
    FIELDS,
    MOST_COMPETITIVE,
    WEIGHTS,
    Rules,
    RulesError,
    canonical_json,
    changed,
    field_problem,
    fingerprint,
    from_json,
    loosened,
    problems,
)

DEFAULT = Rules()
NUMBERS = [name for name, kind in Rules.__annotations__.items() if kind in {int, float} and name != "version"]
TEXTS = [name for name, kind in Rules.__annotations__.items() if kind is str]


def with_(**fields):
    return msgspec.structs.replace(DEFAULT, **fields)


def test_the_table_and_the_rules_have_the_same_fields_in_the_same_order():
    assert list(FIELDS) == [name for name in Rules.__struct_fields__ if name != "version"]


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_a_unit_and_a_help_and_a_default_within_its_range(name):
    assert FIELDS[name].unit
    assert FIELDS[name].help.endswith(".")
    assert FIELDS[name].help[0].isupper()
    assert field_problem(name, getattr(DEFAULT, name)) == ""


def test_the_defaults_are_those_of_the_design():
    assert problems(DEFAULT) == []
    assert [getattr(DEFAULT, name) for name in WEIGHTS] == [0.35, 0.30, 0.25, 0.10]
    assert (DEFAULT.min_strategies, DEFAULT.claims_per_entry, DEFAULT.flat_band) == (4, 3, 0.3)
    assert (DEFAULT.pool_minimum, DEFAULT.pool_maximum, DEFAULT.agent_cap, DEFAULT.pool_move_cap) == (
        0.02,
        0.1,
        0.05,
        0.01,
    )
    assert (DEFAULT.base_performance, DEFAULT.sharpe_offset) == (0.7, 0.25)
    assert (DEFAULT.strategy_cap, DEFAULT.base_move_cap, DEFAULT.evidence, DEFAULT.evidence_full) == (
        0.4,
        0.02,
        True,
        20,
    )
    assert (DEFAULT.stress_paths, DEFAULT.stress_sessions, DEFAULT.stress_symbols) == (200, 20, 8)


@pytest.mark.parametrize("name", NUMBERS)
def test_both_ends_of_a_range_are_allowed_and_nothing_beyond(name):
    field, kind = FIELDS[name], Rules.__annotations__[name]
    assert field_problem(name, kind(field.low)) == field_problem(name, kind(field.high)) == ""
    below = field.low - 1 if kind is int else math.nextafter(field.low, -math.inf)
    above = field.high + 1 if kind is int else math.nextafter(field.high, math.inf)
    for value in (kind(below), kind(above), math.nan, math.inf, -math.inf, True, "1", None):
        said = field_problem(name, value)
        assert said.startswith(f"{name} = {value!r} is ")
        assert f"{field.low:g} to {field.high:g} {field.unit}" in said


@pytest.mark.parametrize("name", [name for name in NUMBERS if Rules.__annotations__[name] is int])
def test_a_counted_thing_is_whole(name):
    assert "whole number" in field_problem(name, FIELDS[name].low + 0.5)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", ["nonsense", "", "../etc/passwd", 3, None])
def test_a_text_is_one_of_few_or_a_known_name(name, value):
    assert field_problem(name, value).startswith(f"{name} = {value!r} is ")


def test_a_switch_is_true_or_false():
    assert field_problem("evidence", value=False) == ""
    assert field_problem("evidence", 1) == "evidence = 1 is neither true nor false"


def test_an_unknown_field_is_named():
    assert field_problem("prize", 1).startswith("prize is no field of the rules")


@pytest.mark.parametrize("name", ["pool_minimum", "pool_maximum", "agent_cap"])
def test_no_rule_raises_the_competitive_part_above_a_tenth(name):
    assert MOST_COMPETITIVE == 0.10
    assert problems(with_(**{name: 0.11})) == [f"{name} = 0.11 is outside 0 to 0.1 of the capital"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weight_accuracy": 0.36}, "add up to 1.01; they must add up to 1"),
        ({"pool_minimum": 0.08, "pool_maximum": 0.05}, "pool_minimum = 0.08 is above pool_maximum = 0.05"),
        ({"drawdown_halved": 0.3}, "drawdown_halved = 0.3 is above drawdown_benched = 0.2"),
        ({"predict_by": 35}, "predict_by = 35 is after challenge_by = 30"),
        ({"duration": 59}, "allocate_by = 60 is after the round's duration = 59"),
        ({"version": 0}, "version = 0 is not a whole number from 1 on"),
        ({"min_strategies": 1}, "min_strategies = 1 is outside 2 to 64 strategies"),
        ({"claims_per_entry": 2}, "claims_per_entry = 2 is outside 3 to 20 claims"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_sentence(fields, words):
    found = problems(with_(**fields))
    assert len(found) == 1
    assert words in found[0]


def test_every_bad_field_has_its_own_sentence():
    found = problems(with_(hour=24, flat_band=math.nan, weekday="funday"))
    assert [text.split(" = ")[0] for text in found] == ["weekday", "hour", "flat_band"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[]", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b'{"prize": 1}', "prize"),
        (b'{"hour": "two"}', "hour"),
        (b'{"hour": 24}', "hour = 24 is outside 0 to 23 o'clock"),
        (b'{"hour": 24, "minute": 60}', "minute = 60"),
        (b'{"flat_band": null}', "flat_band"),
        (b'{"flat_band": 1e999}', "cannot be read"),
    ],
)
def test_bad_json_is_refused_with_the_field(raw, words):
    with pytest.raises(RulesError, match=re.escape(words)):
        from_json(raw)


def test_what_json_leaves_out_has_its_default():
    assert from_json(b'{"version": 7, "min_strategies": 3}') == with_(version=7, min_strategies=3)


@st.composite
def any_rules(draw):
    fields = {}
    for name, kind in Rules.__annotations__.items():
        field = FIELDS.get(name)
        if field is None or name in DEADLINES or name in {*WEIGHTS, "zone", "calendar", "duration"}:
            continue
        if kind is bool:
            fields[name] = draw(st.booleans())
        elif kind is str:
            fields[name] = draw(st.sampled_from(field.choices))
        elif kind is int:
            fields[name] = draw(st.integers(int(field.low), int(field.high)))
        else:
            fields[name] = draw(st.floats(field.low, field.high))
    for low, high in (("pool_minimum", "pool_maximum"), ("drawdown_halved", "drawdown_benched")):
        fields[low], fields[high] = sorted((fields[low], fields[high]))
    return with_(**fields)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rules=any_rules())
def test_rules_survive_their_json_and_keep_their_fingerprint(rules):
    assert problems(rules) == []
    again = from_json(canonical_json(rules))
    assert again == rules
    assert canonical_json(again) == canonical_json(rules)
    assert fingerprint(again) == fingerprint(rules)
    assert changed(rules, again) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(before=any_rules(), after=any_rules())
def test_the_changed_fields_turn_one_version_into_the_other_and_its_fingerprint(before, after):
    changes = changed(before, after)
    assert msgspec.structs.replace(before, **{each.field: each.after for each in changes}) == after
    assert (fingerprint(before) == fingerprint(after)) == (not changes)
    assert [(each.field, each.after, each.before) for each in changes] == [
        (each.field, each.before, each.after) for each in changed(after, before)
    ]


def test_one_rule_written_in_two_ways_is_one_version():
    whole, negative = with_(evidence_full=20, sharpe_offset=0), with_(evidence_full=20.0, sharpe_offset=-0.0)
    assert fingerprint(whole) == fingerprint(negative)
    assert fingerprint(with_(version=2)) != fingerprint(DEFAULT)


def test_the_canonical_json_has_the_declared_order_and_the_version():
    assert list(json.loads(canonical_json(DEFAULT))) == list(Rules.__struct_fields__)
    assert changed(DEFAULT, with_(version=2)) == []


@pytest.mark.parametrize(
    ("field", "looser"),
    [
        ("strategy_cap", 0.5),
        ("drawdown_benched", 0.9),
        ("pool_move_cap", 0.05),
        ("evidence", False),
        ("evidence_full", 5.0),
    ],
)
def test_what_lets_capital_move_farther_is_looser_and_its_opposite_is_not(field, looser):
    before = Rules()
    after = msgspec.structs.replace(before, **{field: looser})
    assert loosened(before, after) == [field]
    assert loosened(after, before) == []

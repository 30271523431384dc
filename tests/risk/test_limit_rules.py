"""Every limit has a unit, a range, a help and a direction; the range is the one that a start checks."""

import math

import msgspec
import pytest

from engine.configuration import _ranges, load_settings
from risk.limit_rules import LIMIT_RULES, is_looser, loosened, range_problem
from risk.limits import Limits

LIMITS = load_settings().limits
ADD = 'add LIMIT_RULES["{0}"] = LimitRule(unit, low, high, "lower"|"higher"|"false", help) to risk/limit_rules.py'


@pytest.mark.parametrize("field", Limits.__struct_fields__)
def test_every_limit_has_a_rule(field):
    assert field in LIMIT_RULES, ADD.format(field)
    rule = LIMIT_RULES[field]
    assert rule.help.endswith("."), f"{field}: a help is a sentence"
    assert rule.unit
    assert range_problem(field, float(getattr(LIMITS, field))) == "", f"{field}: its default is outside its range"


def test_no_rule_is_of_a_limit_that_is_gone():
    assert LIMIT_RULES.keys() - set(Limits.__struct_fields__) == set()


def test_the_ranges_are_those_that_a_start_checks():
    checked = {name.removeprefix("limits."): (low, high) for name, _, low, high in _ranges(load_settings())}
    ours = {field: (rule.low, rule.high) for field, rule in LIMIT_RULES.items() if field in checked}
    assert ours == {field: checked[field] for field in ours}
    assert LIMIT_RULES.keys() - ours.keys() == {"allow_short"}


@pytest.mark.parametrize("field", LIMIT_RULES)
def test_at_the_end_of_its_range_it_holds_and_beyond_it_does_not(field):
    rule = LIMIT_RULES[field]
    assert range_problem(field, rule.low) == range_problem(field, rule.high) == ""
    for value in (math.nextafter(rule.low, -math.inf), math.nextafter(rule.high, math.inf), math.nan, math.inf):
        assert range_problem(field, value).startswith(f"{field} = ")


@pytest.mark.parametrize("field", [field for field in LIMIT_RULES if field != "allow_short"])
def test_one_direction_is_looser_the_other_is_not_and_the_same_is_neither(field):
    rule, value = LIMIT_RULES[field], float(getattr(LIMITS, field))
    up = is_looser(field, value, value + 1)
    assert up == (rule.tighter == "lower")
    assert is_looser(field, value, value - 1) != up
    assert not is_looser(field, value, value)


def test_shorts_are_looser_and_an_unknown_limit_is_whatever_changes():
    assert is_looser("allow_short", before=False, after=True)
    assert not is_looser("allow_short", before=True, after=False)
    assert is_looser("of another version", 1, 2)
    assert is_looser("of another version", 2, 1)


def test_the_loosened_are_named_in_their_order():
    changed = msgspec.structs.replace(LIMITS, daily_loss=0.5, max_gross=0.5, max_order_value=600_000.0)
    assert loosened(LIMITS, changed) == ["max_order_value", "daily_loss"]

"""Parameters: defaults, overrides, one sentence for each thing that is wrong; the registry and its documentation."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agents.strategies import STRATEGIES, ParameterError, by_name, parameter_array

every_policy = pytest.mark.parametrize("policy", STRATEGIES, ids=lambda policy: policy.name)
FOLDER = Path(__file__).resolve().parents[2] / "agents" / "strategies"


def test_the_four_strategies_are_registered_under_their_names():
    assert [policy.name for policy in STRATEGIES] == ["bullish", "bearish", "mean_reversion", "momentum"]
    assert by_name("momentum") is STRATEGIES[3]
    with pytest.raises(KeyError, match="there is no strategy sideways; there are bullish, bearish"):
        by_name("sideways")


@every_policy
def test_defaults_lie_within_their_ranges_and_an_override_replaces_one(policy):
    defaults = parameter_array(policy, {})
    assert defaults.dtype == np.float64
    assert defaults.tolist() == [parameter.default for parameter in policy.parameters]
    for place, parameter in enumerate(policy.parameters):
        assert parameter.low <= parameter.default <= parameter.high
        for edge in (parameter.low, parameter.high):
            changed = parameter_array(policy, {parameter.name: edge})
            assert changed[place] == edge
            assert np.array_equal(np.delete(changed, place), np.delete(defaults, place))


@pytest.mark.parametrize(
    ("name", "overrides", "sentence"),
    [
        ("bullish", {"channel": 20}, "bullish: there is no parameter channel; it has channel_bars, exit_bars, "),
        ("bearish", {"window_bars": 61}, "bearish: parameter window_bars = 61 is outside 5 to 60 bars"),
        ("momentum", {"entry": 0.1}, "momentum: parameter entry = 0.1 is outside 0.2 to 2 deviations"),
        ("mean_reversion", {"window_bars": 10.5}, "parameter window_bars = 10.5 is not a whole number of bars"),
        (
            "mean_reversion",
            {"entry": float("nan")},
            "parameter entry = nan is not a number; allowed is 1 to 6 deviations",
        ),
        ("bullish", {"size": "big"}, "parameter size = 'big' is not a number"),
        ("bullish", {"size": True}, "parameter size = True is not a number"),
    ],
)
def test_a_wrong_parameter_gets_a_sentence_with_strategy_name_value_and_range(name, overrides, sentence):
    with pytest.raises(ParameterError) as caught:
        parameter_array(by_name(name), overrides)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@every_policy
def test_each_strategy_declares_what_the_engine_needs(policy):
    assert policy.interval_s in (300, 900, 3600)
    assert 1 <= policy.warm_up_bars <= 40
    assert policy.horizon_bars >= 1
    assert not np.zeros(1, policy.state_dtype)["target"].any()
    assert len(set(policy.features)) == len(policy.features)


@every_policy
def test_each_folder_documents_its_parameters_features_and_weaknesses(policy):
    text = (FOLDER / policy.name / "README.md").read_text()
    for word in (*(parameter.name for parameter in policy.parameters), *policy.features):
        assert f"`{word}`" in text
    assert "**Known weaknesses.**" in text
    assert "**Source.**" in text
    assert f"warm-up {policy.warm_up_bars} bars" in text
    assert f"settled after {policy.horizon_bars} bars" in text
    assert f"{policy.interval_s // 60} minutes" in text


def test_the_worker_carries_no_estimators():
    heavy = ("pandas", "scipy.optimize", "django", "exchange_calendars")
    code = f"import sys, agents.strategies, agents.calibration; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parents[1]
    )
    assert answer.stdout.strip() == "[]"


def test_compiled_code_uses_nothing_whose_last_bit_depends_on_the_machine():
    forbidden = (
        "fastmath",
        "np.dot",
        "np.sum",
        "np.mean",
        "np.std",
        "math.log",
        "math.exp",
        "tanh",
        "pow(",
        "**",
        "prange",
        "parallel",
    )
    for path in FOLDER.rglob("*.py"):
        code = path.read_text()
        assert not [word for word in forbidden if word in code.replace("**{", "")], path

"""The port of the brains: what is refused as a result, and how a brain that fails is recorded and replaced."""

import msgspec
import pytest

from agents.brains.port import (
    Answer,
    Brain,
    BrainError,
    Claim,
    Judgement,
    Outcome,
    Prediction,
    RefusedError,
    Reply,
    ask,
)
from agents.brains.quant import QuantBrain

PREDICTION = {
    "symbol": "SPY", "probabilities": (0.3, 0.3, 0.4), "expected_return": 0.001, "entry": 100.0, "take_profit": 101.0,
    "stop_loss": 99.0, "confidence": 0.4, "risk_factors": ("thin",), "rationale": "a trend",
}  # fmt: skip
CLAIM = {
    "family": "gap", "parameters": {"sigmas": 3.0}, "metric": "mean_loss", "threshold": 0.01, "statement": "It loses.",
    "probability": 0.5,
}  # fmt: skip
NAN, INFINITE = float("nan"), float("inf")


def test_the_quant_brain_is_one():
    brain: Brain = QuantBrain()
    assert brain.name == "quant"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"probabilities": (0.3, 0.3, 0.5)}, "prediction of SPY: probabilities .* with sum 1"),
        ({"probabilities": (-0.1, 0.6, 0.5)}, "three of 0 to 1"),
        ({"probabilities": (NAN, 0.5, 0.5)}, "three of 0 to 1"),
        ({"expected_return": INFINITE}, "expected_return inf must be a finite fraction above -1"),
        ({"expected_return": -1.0}, "above -1"),
        ({"entry": 0.0}, "entry 0.0 must be a finite price above 0"),
        ({"stop_loss": NAN}, "stop_loss nan"),
        ({"confidence": 1.1}, "confidence 1.1 must be within 0 to 1"),
        ({"confidence": NAN}, "confidence nan"),
        ({"rationale": " "}, "rationale has 1 characters"),
        ({"risk_factors": ("x" * 4001,)}, "risk_factors has 4001 characters; allowed are 1 to 4000"),
    ],
)
def test_a_prediction_that_is_none_is_refused_however_it_comes(changed, said):
    with pytest.raises(BrainError, match=said):
        Prediction(**{**PREDICTION, **changed})


def test_a_prediction_from_json_is_checked_too():
    right = msgspec.json.encode(Prediction(**PREDICTION))
    assert msgspec.json.decode(right, type=Prediction) == Prediction(**PREDICTION)
    for wrong in (right.replace(b"[0.3,", b"[0.4,"), right.replace(b'"SPY"', b"7"), right[:-1] + b',"more":1}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong, type=Prediction)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parameters": {"sigmas": NAN}}, "claim about gap: parameter sigmas nan must be a finite number"),
        ({"threshold": INFINITE}, "threshold inf must be a finite fraction"),
        ({"probability": -0.1}, "probability -0.1 must be within 0 to 1"),
        ({"statement": ""}, "statement has 0 characters"),
    ],
)
def test_a_claim_that_nothing_could_decide_is_refused(changed, said):
    with pytest.raises(BrainError, match=said):
        Claim(**{**CLAIM, **changed})


def test_replies_and_judgements_are_checked():
    with pytest.raises(BrainError, match=r"reply: probability 2\.0"):
        Reply(precedents="a", why_it_stands="b", changes_mind_when="c", probability=2.0)
    with pytest.raises(BrainError, match="reply: why_it_stands has 0"):
        Reply(precedents="a", why_it_stands="", changes_mind_when="c", probability=0.2)
    with pytest.raises(BrainError, match="judgement: item x 3"):
        Judgement(score=0.5, items={"x": 3.0})


def test_an_answer_in_time_is_used():
    assert ask(lambda: 1, lambda: 2) == Answer(Outcome.ANSWERED, 1, fallback=False)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (TimeoutError("after 30 ms"), Outcome.LATE, "after 30 ms"),
        (TimeoutError(), Outcome.LATE, "TimeoutError"),
        (ConnectionRefusedError("nobody there"), Outcome.LATE, "nobody there"),
        (RefusedError("I may not"), Outcome.REFUSED, "I may not"),
        (BrainError("confidence 7"), Outcome.INVALID, "confidence 7"),
        (msgspec.ValidationError("Expected `str`"), Outcome.INVALID, "Expected `str`"),
    ],
)
def test_on_anything_else_the_fallback_answers_and_the_reason_stays(error, outcome, reason):
    def fails():
        raise error

    assert ask(fails, lambda: 2) == Answer(outcome, 2, fallback=True, reason=reason)


def test_a_fault_of_the_station_itself_is_not_hidden():
    with pytest.raises(KeyError):
        ask(lambda: {}["missing"], lambda: 2)
    with pytest.raises(ZeroDivisionError):
        ask(lambda: int("x"), lambda: 1 // 0)

"""An entry that is late, unreadable or wrong anywhere is an abstention that says why; a right one is taken as it is."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.entries import (
    Abstention,
    Answer,
    Challenge,
    Claim,
    Defence,
    Entry,
    EntryError,
    Prediction,
    Probabilities,
    canonical_bytes,
    challenge_problems,
    defence_problems,
    problems,
    read,
    received,
    revised,
    ruling,
)

ROUND = "tournament:XNYS:2019-01-07"
UNIVERSE = ("AAPL", "MSFT")
RANGES = {"volatility": {"factor": (2.0, 4.0)}, "gap": {"sigmas": (3.0, 8.0), "side": (-1.0, 1.0)}, "stale": {}}


def prediction(symbol="AAPL", **fields):
    given_ = {
        "symbol": symbol, "down": 0.2, "flat": 0.3, "up": 0.5, "confidence": 0.6, "expected_return": 0.004,
        "entry_level": 100.0, "exit_level": 101.0, "risk_factors": ("earnings",), "rationale": "It rose on such days.",
    }  # fmt: skip
    return Prediction(**{**given_, **fields})


def entry(*predictions, **fields):
    return Entry(**{"round_id": ROUND, "agent": "momentum", "predictions": predictions, **fields})


WHOLE = entry(prediction("AAPL"), prediction("MSFT"))


def claim(**fields):
    given_ = {
        "family": "volatility", "parameters": {"factor": 3.0}, "statement": "It loses when the market is wild.",
        "threshold": 0.5, "probability": 0.7,
    }  # fmt: skip
    return Claim(**{**given_, **fields})


CLAIMS = (claim(), claim(parameters={"factor": 2.0}), claim(family="gap", parameters={"sigmas": 5.0, "side": -1.0}))


def challenge(*claims):
    return Challenge(round_id=ROUND, challenger="challenger", agent="momentum", claims=claims or CLAIMS)


def answer(**fields):
    given_ = {
        "precedents": ("2018-02-05",), "stands": "It was flat by then.", "changes_mind": "If it had not been.",
        "probability": 0.2,
    }  # fmt: skip
    return Answer(**{**given_, **fields})


def defence(*revisions, answers=3, **fields):
    given_ = {"round_id": ROUND, "agent": "momentum", "answers": (answer(),) * answers, "revisions": revisions}
    return Defence(**{**given_, **fields})


def take(raw, **fields):
    given_ = {
        "round_id": ROUND, "agent": "momentum", "universe": UNIVERSE, "received_ns": 100, "deadline_ns": 100,
    }  # fmt: skip
    return received(raw, **{**given_, **fields})


def test_a_right_entry_is_taken_even_at_the_deadline_itself():
    assert problems(WHOLE, UNIVERSE) == []
    assert take(canonical_bytes(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"down": -0.1}, "AAPL: down = -0.1 is outside 0 to 1"),
        ({"up": 1.5}, "AAPL: up = 1.5 is outside 0 to 1"),
        ({"flat": math.nan}, "AAPL: flat = nan is outside 0 to 1"),
        ({"up": 0.5 + 2e-6}, "AAPL: down + flat + up = 1.000002; they must add up to 1 within 1e-06"),
        ({"confidence": 1.01}, "AAPL: confidence = 1.01 is outside 0 to 1"),
        ({"confidence": math.inf}, "AAPL: confidence = inf is outside 0 to 1"),
        ({"expected_return": -1.01}, "AAPL: expected_return = -1.01 is outside -1 to 1"),
        ({"expected_return": math.nan}, "AAPL: expected_return = nan is outside -1 to 1"),
        ({"entry_level": 0.0}, "AAPL: entry_level = 0.0 is outside 1e-09 to 1e+12"),
        ({"exit_level": -1.0}, "AAPL: exit_level = -1.0 is outside 1e-09 to 1e+12"),
        ({"exit_level": math.inf}, "AAPL: exit_level = inf is outside 1e-09 to 1e+12"),
        ({"rationale": "  \n"}, "AAPL: rationale is empty; 1 to 4000 letters are needed"),
        ({"rationale": "x" * 4001}, "AAPL: rationale has 4001 letters; at most 4000 are allowed"),
        ({"risk_factors": ("x",) * 11}, "AAPL: risk_factors has 11 texts; at most 10 are allowed"),
        ({"risk_factors": ("",)}, "AAPL: each of risk_factors is empty; 1 to 200 letters are needed"),
    ],
)
def test_a_bad_prediction_is_named_by_symbol_and_field(fields, words):
    assert problems(entry(prediction(**fields), prediction("MSFT")), UNIVERSE) == [words]


def test_a_sum_within_a_millionth_is_one():
    assert problems(entry(prediction(up=0.5 + 9e-7), prediction("MSFT")), UNIVERSE) == []


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        (("AAPL",), "predictions have nothing for MSFT; every symbol of the round needs one"),
        ((), "predictions have nothing for AAPL, MSFT; every symbol of the round needs one"),
        (("AAPL", "MSFT", "TSLA"), "TSLA is not in the round's universe: AAPL, MSFT"),
        (("AAPL", "MSFT", "AAPL"), "AAPL is predicted 2 times; once is allowed"),
    ],
)
def test_an_entry_covers_the_universe_once(symbols, words):
    assert problems(entry(*(prediction(symbol) for symbol in symbols)), UNIVERSE) == [words]


@pytest.mark.parametrize(
    ("raw", "fields", "code", "words"),
    [
        (None, {}, "missing", "no entry came before the deadline"),
        (canonical_bytes(WHOLE), {"received_ns": 101}, "late", "the entry came 0.000 s after the deadline"),
        (canonical_bytes(WHOLE), {"received_ns": 2_000_000_100}, "late", "the entry came 2.000 s after the deadline"),
        (b"", {}, "unreadable", "the Entry cannot be read"),
        (b"\xff\xfe", {}, "unreadable", "the Entry cannot be read"),
        (b"[" * 5000, {}, "unreadable", "the Entry cannot be read"),
        (b" " * 1_000_001, {}, "unreadable", "the Entry has 1000001 bytes"),
        (canonical_bytes(WHOLE)[:-1] + b',"weight":1}', {}, "unreadable", "weight"),
        (canonical_bytes(entry(prediction(up=math.nan))), {}, "unreadable", "predictions[0].up"),
        (canonical_bytes(WHOLE), {"agent": "bullish"}, "invalid", "the entry is of momentum"),
        (canonical_bytes(WHOLE), {"round_id": "another"}, "invalid", f"in round {ROUND}"),
        (canonical_bytes(entry(prediction(up=0.4))), {}, "invalid", "add up to 1"),
    ],
)
def test_late_or_wrong_is_an_abstention_with_its_reason(raw, fields, code, words):
    found = take(raw, **fields)
    assert isinstance(found, Abstention)
    assert (found.agent, found.round_id) == (fields.get("agent", "momentum"), fields.get("round_id", ROUND))
    assert found.code == code
    assert words in found.reason


@settings(max_examples=200, deadline=None, derandomize=True)
@given(raw=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_whatever_bytes_come_nothing_is_raised(raw):
    assert isinstance(take(raw), Abstention)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(order=st.permutations(["A", "B", "C", "D"]), up=st.floats(0.0, 0.7))
def test_the_order_of_the_predictions_does_not_matter_and_every_number_does(order, up):
    def of(symbols):
        return entry(*(prediction(each, up=up, down=0.7 - up) for each in symbols))

    assert canonical_bytes(of(order)) == canonical_bytes(of("ABCD"))
    assert problems(of(order), "ABCD") == []
    again = read(canonical_bytes(of(order)), Entry)
    assert canonical_bytes(again) == canonical_bytes(of(order))
    moved = msgspec.structs.replace(again.predictions[0], up=math.nextafter(up, 2.0))
    assert canonical_bytes(entry(moved, *again.predictions[1:])) != canonical_bytes(again)


def test_a_right_challenge_has_enough_different_claims():
    assert challenge_problems(challenge(), least_claims=3, ranges=RANGES) == []
    assert challenge_problems(challenge(claim(family="stale", parameters={})), least_claims=1, ranges=RANGES) == []


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        (CLAIMS[:2], "claims = 2 is outside 3 to 20"),
        ((*CLAIMS, claim(statement="Said otherwise.", probability=0.1)), "claim 4 is claim 1 again"),
        ((*CLAIMS, claim(family="aliens")), "claim 4: family = 'aliens' is none of volatility, gap, stale"),
        ((*CLAIMS, claim(parameters={"factor": 4.1})), "claim 4: parameters.factor = 4.1 is outside 2 to 4"),
        ((*CLAIMS, claim(parameters={"factor": math.nan})), "claim 4: parameters.factor = nan is outside 2 to 4"),
        ((*CLAIMS, claim(parameters={})), "claim 4: parameters name nothing; volatility has factor"),
        ((*CLAIMS, claim(parameters={"factor": 3.0, "luck": 1.0})), "claim 4: parameters name factor, luck"),
        ((*CLAIMS, claim(threshold=math.nan)), "claim 4: threshold = nan is outside 0 to 1000"),
        ((*CLAIMS, claim(threshold=0.6, probability=1.1)), "claim 4: probability = 1.1 is outside 0 to 1"),
        ((*CLAIMS, claim(threshold=0.6, statement="")), "claim 4: statement is empty"),
    ],
)
def test_a_bad_claim_is_named_by_its_number(claims, words):
    found = challenge_problems(challenge(*claims), least_claims=3, ranges=RANGES)
    assert len(found) == 1
    assert found[0].startswith(words)


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        (defence(answers=2), "answers = 2; each of the 3 claims needs one"),
        (defence(answers=4), "answers = 4; each of the 3 claims needs one"),
        (defence(prediction("TSLA")), "TSLA is not in the round's universe"),
        (defence(prediction(), prediction()), "AAPL is predicted 2 times"),
        (defence(prediction(up=0.6)), "AAPL: down + flat + up = 1.1"),
        (defence(answers=0), "answers = 0"),
    ],
)
def test_a_bad_defence_is_named(given_, words):
    assert defence_problems(given_, claims=3, universe=UNIVERSE)[0].startswith(words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"probability": math.nan}, "answer 1: probability = nan is outside 0 to 1"),
        ({"stands": " "}, "answer 1: stands is empty"),
        ({"changes_mind": "x" * 2001}, "answer 1: changes_mind has 2001 letters"),
        ({"precedents": ("x",) * 11}, "answer 1: precedents has 11 texts"),
    ],
)
def test_a_bad_answer_is_named_by_its_number(fields, words):
    given_ = Defence(round_id=ROUND, agent="momentum", answers=(answer(**fields),))
    found = defence_problems(given_, claims=1, universe=UNIVERSE)
    assert len(found) == 1
    assert found[0].startswith(words)


def test_a_defence_revises_probabilities_and_confidence_and_nothing_else():
    new = Probabilities(symbol="MSFT", down=0.5, flat=0.25, up=0.25, confidence=0.1)
    found = revised(WHOLE, defence(new))
    assert defence_problems(defence(new), claims=3, universe=UNIVERSE) == []
    assert found.predictions[0] == WHOLE.predictions[0]
    assert found.predictions[1] == prediction("MSFT", down=0.5, flat=0.25, up=0.25, confidence=0.1)
    assert revised(WHOLE, defence()) == WHOLE


@pytest.mark.parametrize("fields", [{"agent": "bullish"}, {"round_id": "another"}])
def test_nobody_revises_anothers_entry(fields):
    with pytest.raises(EntryError, match="the defence is of"):
        revised(WHOLE, defence(**fields))


def test_nobody_revises_what_was_not_predicted():
    with pytest.raises(EntryError, match="revisions name TSLA"):
        revised(WHOLE, defence(Probabilities(symbol="TSLA", down=1.0, flat=0.0, up=0.0, confidence=1.0)))


@pytest.mark.parametrize(
    ("measured", "holds", "challenger", "defender"),
    [(0.51, True, 0.09, 0.64), (0.5, False, 0.49, 0.04), (-1.0, False, 0.49, 0.04)],
)
def test_the_measured_decides_and_both_are_scored_on_it(measured, holds, challenger, defender):
    found = ruling(challenge(), defence(), 0, measured)
    assert (found.holds, found.agent, found.claim, found.measured) == (holds, "momentum", 0, measured)
    assert (found.challenger_brier, found.defender_brier) == pytest.approx((challenger, defender))


def test_who_does_not_answer_is_scored_as_not_knowing():
    assert ruling(challenge(), None, 2, 1.0).defender_brier == 0.25
    assert ruling(challenge(), defence(answers=1), 2, 1.0).defender_brier == 0.25


@pytest.mark.parametrize(("claim_", "measured"), [(0, math.nan), (0, math.inf), (3, 1.0), (-1, 1.0)])
def test_a_measure_that_is_no_number_or_of_no_claim_decides_nothing(claim_, measured):
    with pytest.raises(EntryError, match=f"claim = {claim_}, measured = {measured}"):
        ruling(challenge(), None, claim_, measured)

"""Attack, defence and judgement by the quant brain: the costliest scenarios, precedents, completeness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.brains.port import (
    BrainError,
    ChallengeQuestion,
    Claim,
    DefendQuestion,
    JudgeQuestion,
    Precedent,
    Prediction,
    Reply,
    ScenarioLosses,
)
from agents.brains.quant import QuantBrain
from agents.brains.quant.challenge import RESAMPLES, holds_probability, measured
from agents.brains.quant.defend import own_probability, shrinkage
from agents.brains.quant.judge import blinded

BRAIN = QuantBrain()
FAMILIES = ("volatility", "regime flip", "overnight gap", "correlations", "liquidity drain", "stale data")


def scenario(family, mean, *, paths=200, deviation=0.01, seed=0, **parameters):
    noise = np.random.default_rng([seed, *family.encode()]).normal(mean, deviation, paths)
    return ScenarioLosses(family, parameters, noise)


def attack(*table, seed=0, claims=3):
    return BRAIN.challenge(ChallengeQuestion((), lambda: table, seed, claims))


def prediction(symbol="SPY", probabilities=(0.2, 0.2, 0.6)):
    return Prediction(
        symbol=symbol, probabilities=probabilities, expected_return=0.002, entry=100.0, take_profit=101.0,
        stop_loss=99.0, confidence=max(probabilities), risk_factors=("none that is known",), rationale="a trend of 2",
    )  # fmt: skip


def claim(family="overnight gap", probability=0.6, **parameters):
    return Claim(
        family=family, parameters=parameters or {"sigmas": 5.0}, metric="mean_loss", threshold=0.02,
        statement="It loses more than 2 %.", probability=probability,
    )  # fmt: skip


def precedent(family="overnight gap", *, held, ruled_ns=5, sigmas=4.0, name="2019-01-06"):
    return Precedent(name, ruled_ns, family, {"sigmas": sigmas}, "mean_loss", 0.015, held)


def defence(*precedents, claims=None, as_of_ns=10):
    usual = {"SPY": (0.4, 0.2, 0.4)}
    return BRAIN.defend(DefendQuestion((prediction(),), usual, claims or (claim(),), precedents, as_of_ns))


def test_the_costliest_scenario_of_the_three_costliest_families_is_attacked():
    table = [scenario(family, 0.001 * k, level=1.0) for k, family in enumerate(FAMILIES)]
    table += [scenario("overnight gap", 0.05, sigmas=8.0), scenario("volatility", 0.03, times=4.0)]
    found = attack(*table)
    assert [each.family for each in found] == ["overnight gap", "volatility", "stale data"]
    assert found[0].parameters == {"sigmas": 8.0}
    assert found[0].threshold == pytest.approx(0.75 * measured(table[6].losses, "mean_loss"), rel=0.06)
    assert f"{100 * found[0].threshold:.4g} %" in found[0].statement
    assert "overnight gap" in found[0].statement
    assert "sigmas 8" in found[0].statement
    assert attack(*table[::-1]) == found
    assert attack(*table, seed=1)[0].threshold == found[0].threshold


def test_one_scenario_alone_still_gives_three_claims_that_differ():
    found = attack(scenario("volatility", 0.04, times=2.0))
    assert len({each.threshold for each in found}) == 3
    assert found[1].threshold < found[0].threshold < found[2].threshold
    assert found[1].probability >= found[0].probability >= found[2].probability


@pytest.mark.parametrize("mean", [-0.05, 0.0, 0.05])
def test_gains_everywhere_leave_claims_about_the_worst_paths(mean):
    found = attack(*(scenario(family, mean, deviation=0.005) for family in FAMILIES))
    assert all(each.threshold >= 1e-4 for each in found)
    assert {each.metric for each in found} <= {"mean_loss", "tail_loss"}
    if mean < 0.0:
        assert all(each.metric == "tail_loss" and each.probability < 0.01 for each in found)


def test_stated_probabilities_come_true():
    """Thresholds around the mean that was seen: the next 200 paths are above as often as was said, to 5 points."""
    generator = np.random.default_rng(0)
    for shift in (-1.5, -0.5, 0.5):
        said, held = [], []
        for _ in range(400):
            seen, ruled = generator.standard_t(4, (2, 200)) * 0.01
            threshold = seen.mean() + shift * 0.01 * np.sqrt(2.0 / 200)
            said.append(holds_probability(seen, "mean_loss", threshold, generator))
            held.append(ruled.mean() > threshold)
        assert np.mean(said) == pytest.approx(np.mean(held), abs=0.05)


@given(
    losses=st.lists(st.floats(-10, 10), min_size=1, max_size=40), threshold=st.floats(-10, 10), seed=st.integers(0, 99)
)  # fmt: skip
@settings(max_examples=60, derandomize=True)
def test_a_probability_is_never_nought_nor_one_and_falls_with_the_threshold(losses, threshold, seed):
    values = np.array(losses)
    low, high = (
        holds_probability(values, "tail_loss", level, np.random.default_rng(seed))
        for level in (threshold, threshold + 1)
    )
    assert 1 / (RESAMPLES + 2) - 1e-4 <= high <= low <= 1 - 1 / (RESAMPLES + 2) + 1e-4


def test_the_tail_is_the_mean_of_the_worst_twentieth():
    losses = np.arange(200.0)
    assert measured(losses, "tail_loss") == np.arange(190.0, 200.0).mean()
    assert measured(losses[:3], "tail_loss") == 2.0
    assert measured(losses, "mean_loss") == 99.5


@pytest.mark.parametrize(
    ("table", "claims", "said"),
    [
        ([], 3, "losses has no scenario"),
        ([scenario("gap", 0.1)], 2, "claims 2 must be at least 3"),
        ([ScenarioLosses("gap", {"sigmas": 3.0}, np.array([0.1, np.nan]))], 3, "losses of gap with sigmas 3"),
        ([ScenarioLosses("gap", {}, np.empty(0))], 3, r"losses of gap with no parameters have shape \(0,\)"),
    ],
)
def test_a_table_that_decides_nothing_is_refused(table, claims, said):
    with pytest.raises(BrainError, match=said):
        attack(*table, claims=claims)


def test_without_precedents_the_entry_stands_as_it_was():
    found = defence()
    assert found.revised == (prediction(),)
    assert found.replies[0].probability == 0.6
    assert "no precedent" in found.replies[0].precedents


def test_where_such_claims_held_the_entry_is_drawn_a_little_to_climatology():
    found = defence(*(precedent(held=True) for _ in range(6)))
    share = 0.3 * 6 / 10
    revised = found.revised[0]
    assert revised.probabilities == pytest.approx((0.2 + 0.2 * share, 0.2, 0.6 - 0.2 * share))
    assert revised.expected_return == pytest.approx(0.002 * (1 - share))
    assert revised.confidence == max(revised.probabilities)
    assert found.replies[0].probability == pytest.approx((4 * 0.6 + 6) / 10)
    assert "6 held" in found.replies[0].precedents


def test_only_rulings_of_the_family_and_of_the_past_count():
    other = precedent("volatility", held=True)
    later = precedent(held=True, ruled_ns=11)
    assert defence(other, later) == defence()
    assert defence(later, as_of_ns=11) != defence(as_of_ns=11)


def test_the_nearest_precedents_are_named_first():
    rounds = [precedent(held=False, sigmas=sigmas, name=f"round {sigmas:g}") for sigmas in (3.0, 8.0, 5.0, 6.0)]
    text = defence(*rounds).replies[0].precedents
    assert text.index("round 5") < text.index("round 6") < text.index("round 8")
    assert "round 3" not in text
    assert defence(*rounds[::-1]) == defence(*rounds)


@given(
    rulings=st.lists(st.lists(st.booleans(), min_size=1, max_size=30), max_size=5), probability=st.floats(0.0, 1.0)
)  # fmt: skip
@settings(max_examples=200, derandomize=True)
def test_a_revision_is_small_and_a_defenders_probability_lies_between_claim_and_record(rulings, probability):
    alike = [[precedent(held=held) for held in family] for family in rulings]
    assert 0.0 <= shrinkage(alike) < 0.3
    for family in alike:
        own = own_probability(claim(probability=probability), family)
        rate = sum(each.held for each in family) / len(family)
        assert min(rate, probability) - 1e-4 <= own <= max(rate, probability) + 1e-4


def test_an_entry_whose_symbol_has_no_climatology_is_refused():
    with pytest.raises(BrainError, match="climatology has no SPY"):
        BRAIN.defend(DefendQuestion((prediction(),), {}, (claim(),), (), 10))


@pytest.mark.parametrize("precedents", [(), (precedent(held=True), precedent(held=False))])
@pytest.mark.parametrize("probability", [0.0025, 0.0123, 0.5, 0.987])
def test_the_quant_brains_own_defence_is_complete(precedents, probability):
    asked = claim(probability=probability)
    reply = defence(*precedents, claims=(asked,)).replies[0]
    found = BRAIN.judge(JudgeQuestion(asked, reply, len(precedents), sum(each.held for each in precedents)))
    assert found.score == 1.0, found.items


def judged(**changed):
    whole = {
        "precedents": "Of 3 earlier claims about an overnight gap 1 held, at 4 sigmas.",
        "why_it_stands": "A loss above 2 % of capital needs a gap that one session in 200 has shown.",
        "changes_mind_when": "If 2 more such claims hold, it will be withdrawn in the next round.",
        "probability": 0.02,
    }
    reply = Reply(**{**whole, **changed})
    return BRAIN.judge(JudgeQuestion(claim(), reply, 3, 1))


def test_a_complete_reply_has_every_item():
    assert judged().score == 1.0


@pytest.mark.parametrize(
    ("item", "changed"),
    [
        ("names_the_scenario", {"precedents": "Of 3 earlier claims of the kind 1 held, at 4 sigmas."}),
        ("names_the_threshold", {"why_it_stands": "A loss that large needs a jump that one in 200 has shown.",
                                 "changes_mind_when": "If 9 more such claims hold, it will be withdrawn after that.",
                                 "probability": 0.04}),
        ("precedents_are_right", {"precedents": "Of 7 earlier claims about an overnight gap 1 held, at 4 sigmas."}),
        ("precedents_are_right", {"precedents": "Of 3 earlier claims about an overnight gap 0 held, at 4 sigmas."}),
        ("gives_a_reason", {"why_it_stands": "It simply stands because it has always been quite right before."}),
        ("changes_its_mind", {"changes_mind_when": "Nothing will make it change its mind, not even 2 % losses."}),
        ("agrees_with_itself", {"probability": 0.7}),
        ("is_readable", {"changes_mind_when": "If 2 hold."}),
        ("is_readable", {"why_it_stands": "A loss above 2 % is rare. " * 60}),
    ],
)  # fmt: skip
def test_each_item_is_lost_by_what_it_asks_for(item, changed):
    found = judged(**changed)
    assert found.items[item] == 0.0
    assert found.score == pytest.approx(6 / 7) or item in {"names_the_threshold", "gives_a_reason"}


def test_repeating_one_part_is_not_readable():
    text = "If 2 % above, 3 claims about an overnight gap, 1 held, then it ends."
    found = judged(precedents=text, why_it_stands=text, changes_mind_when=text)
    assert found.items["is_readable"] == 0.0


def test_false_claims_of_having_no_precedent_are_seen():
    assert (
        judged(precedents="There is no precedent for an overnight gap at all so far.").items["precedents_are_right"]
        == 0
    )


def test_names_are_taken_out_of_a_text():
    text = "Mean-Reversion and mean_reversion and the momentum agent; momentums stay."
    assert blinded(text, ["momentum", "mean_reversion"]) == (
        "the agent and the agent and the the agent agent; momentums stay."
    )
    assert blinded(text, ["", "-"]) == text

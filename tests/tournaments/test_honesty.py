"""The tournament's statistics at reduced size; `./station bench tournament_honesty` asks the same of many more."""

import json

import numpy as np
import pytest

from bench import tournament_honesty as honesty
from tournaments.rules import Rules

RULES = Rules()


def test_equal_agents_win_alike_and_none_is_believed_in():
    found = honesty.equals(RULES, 80, seed=3)
    assert found["honest"]
    assert sum(found["shares"]) == pytest.approx(1.0, abs=1e-3)
    assert found["false_winner_rate_at_90"] == 0.0


def test_what_is_reported_of_the_first_comes_true_over_seasons_of_the_prior():
    found = honesty.reliability(150, seed=1, same=0.5)
    assert found["honest"]
    assert abs(found["reported"] - found["observed"]) < 3.0 * found["error"]
    assert sum(row["seasons"] for row in found["bins"]) == 150


def test_the_first_of_equals_is_hardly_oversold():
    found = honesty.reliability(80, seed=2, same=1.0)
    assert 0.25 <= found["reported"] < honesty.MOST_OF_EQUALS


def test_a_reliability_table_tells_the_oversold_from_the_honest():
    chance = np.random.default_rng(5)
    said = chance.uniform(0.3, 0.8, 2000)
    honest = honesty.rows(said, chance.random(2000) < said)
    bold = honesty.rows(said, chance.random(2000) < said - 0.15)
    assert not any(row["oversold"] for row in honest)
    assert all(row["oversold"] for row in bold)


def test_luck_moves_the_base_weights_of_four_without_skill_but_little():
    found = honesty.base_weights(12, seed=1)
    assert found["honest"]
    for row in found["table"]:
        assert 0.225 <= row["deployed_mean"] <= row["wished_mean"] < 0.32
        assert row["deployed_95"] <= 0.40


def test_the_pool_stays_shut_where_nobody_knows_anything():
    found = honesty.opened(RULES, 100, seed=5)
    assert found["honest"]
    assert found["ever_fully_open"] <= 0.05
    assert found["above_bound"] == 0


def test_a_planted_forecaster_is_found_the_sooner_the_more_it_knows():
    found = honesty.found_after(RULES, 3, seed=1)
    assert found["honest"]
    assert found["table"][-1]["misnamed"] == 0.0


def test_the_luckiest_of_a_hundred_books_is_not_believed_in():
    found = honesty.luckiest(60, seed=1)
    assert found["believed_undeflated"] > 0.9, "without deflation luck is taken for skill"
    assert found["believed_deflated"] <= 0.05
    assert found["honest"]


def test_climatology_scores_nothing():
    found = honesty.scored_climatology(60, seed=1)
    assert found["honest"]
    assert found["itself_largest"] == 0.0
    assert found["true_chances_mean"] == pytest.approx(0.0, abs=1.0 / 252 + 3.0 * found["error"])


def test_a_dishonest_figure_makes_the_benchmark_fail(monkeypatch, capsys):
    monkeypatch.setattr(honesty, "MOST_OF_EQUALS", 0.0)
    assert honesty.main(["--size", "0.001", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["four identical agents"]["honest"]
    assert not told["reported against observed, equals"]["honest"]

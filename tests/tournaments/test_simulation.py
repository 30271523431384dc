"""Simulated tournaments: the same for a seed, fair to equals, and a better agent is found."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.strategies import BEARISH, MOMENTUM, parameter_array
from engine.configuration import load_settings
from market.instruments import Instrument
from tests.agents.quant_brain_histories import daily
from tournaments.market import Market
from tournaments.rules import Rules
from tournaments.season import Season
from tournaments.simulation import SimulationError, Trials, paired, simulate
from tournaments.simulation.histories import SESSIONS, SYMBOLS, blocks, resampled, source
from tournaments.simulation.honesty import binomial_error, evidence, identical, planted
from tournaments.simulation.inputs import entrants
from tournaments.simulation.synthetic import AGENTS, draw
from tournaments.simulation.whole import _span, histories
from tournaments.stress.policies import Entrant

FEW = Trials(identical=2, planted=1, evidence=2)
RULES = Rules(min_strategies=2, stress_paths=20, calendar="24/7")
TWO = tuple(Entrant(each.name, each, parameter_array(each, {})) for each in (BEARISH, MOMENTUM))


def market(days=90, symbols=3, present=None, seed=1, calendars=("24/7",)):
    moves = 0.02 * np.random.default_rng(seed).standard_normal((days, symbols))
    opens = 50.0 * np.exp(np.cumsum(moves, axis=0) - moves)
    made = daily(opens, opens * np.exp(0.8 * moves), present)
    listed = tuple(
        Instrument(
            symbol=name, asset_class="crypto", exchange="TEST", calendar=calendars[k % len(calendars)], currency="USD",
            tick=0.01,
        )
        for k, name in enumerate(made.symbols)
    )  # fmt: skip
    return Market(listed, tuple(made.sessions), made.history)


def season(**fields):
    given = {"market": market(), "entrants": TWO, "rules": RULES, "costs": load_settings().costs, "capital": 1e6}
    return Season(**{**given, "seed": 3, **fields})


def outcomes(found):
    return [record.settlement.returns for each in found for record in each.settled]


def scored(found):
    return [[(row.agent, row.total) for row in record.scores] for each in found for record in each.settled]


@pytest.fixture(scope="module")
def simulated():
    return simulate(season(), RULES, agents=2, iterations=6, trials=FEW)


def test_the_same_seed_gives_the_same_and_wins_add_up_to_the_rounds(simulated):
    again = simulate(season(), RULES, agents=2, iterations=6, trials=FEW)
    assert msgspec.json.encode(again) == msgspec.json.encode(simulated)
    assert simulated.rounds == 6
    assert simulated.void == 0
    assert simulated.histories == 2  # five rounds and one
    assert list(simulated.wins) == ["bearish", "momentum"]
    assert sum(simulated.wins.values()) == simulated.rounds
    assert 0.0 <= simulated.regret <= simulated.regret_bound
    assert all(error is None or error > 0.0 for error in simulated.wins_error.values())
    assert simulated.false_winner_rate == simulated.identical.false_winner_rate


def test_another_seed_gives_other_histories(simulated):
    other = list(histories(season(seed=4), 2))
    assert outcomes(other) != outcomes(list(histories(season(), 2)))


def test_permuted_entrants_win_as_often(simulated):
    turned = simulate(season(entrants=TWO[::-1]), RULES, agents=2, iterations=6, trials=FEW)
    assert list(turned.wins) == ["momentum", "bearish"]
    assert turned.wins == simulated.wins


def test_versions_of_the_rules_see_the_same_histories_and_differ_in_what_they_make_of_them():
    other = msgspec.structs.replace(
        RULES, version=2, stress_symbols=2, scoring_window=40, weight_accuracy=1.0, weight_resilience=0.0,
        weight_return=0.0, weight_contribution=0.0,
    )  # fmt: skip
    one, two = (list(histories(season(rules=rules), 6)) for rules in (RULES, other))
    assert outcomes(one) == outcomes(two)
    assert len({str(each) for each in outcomes(one)}) == 6
    assert scored(one) != scored(two)


def test_a_smaller_pool_changes_no_winner(simulated):
    lower = msgspec.structs.replace(RULES, version=2, pool_maximum=0.03, pool_minimum=0.0, agent_cap=0.01)
    found = simulate(season(), lower, agents=2, iterations=6, trials=FEW)
    assert found.wins == simulated.wins
    assert found.identical == simulated.identical
    assert (found.rules_version, found.rules_sha256) != (simulated.rules_version, simulated.rules_sha256)


def test_two_versions_are_compared_history_by_history(simulated):
    same = paired(simulated, simulated)
    assert {(each.mean, each.error) for each in same.values()} == {(0.0, 0.0)}
    assert [each.rounds for each in simulated.by_history] == [5, 1]
    won = np.array([each.won for each in simulated.by_history])
    assert dict(zip(simulated.wins, [5, 1] @ won, strict=True)) == pytest.approx(simulated.wins)
    moved = tuple(
        msgspec.structs.replace(each, delta=each.delta + change)
        for each, change in zip(simulated.by_history, (0.01, 0.03), strict=True)
    )
    told = paired(msgspec.structs.replace(simulated, by_history=moved), simulated)
    assert list(told) == ["bearish", "momentum", "first_is_best", "regret", "diversity", "delta"]
    assert told["delta"].mean == pytest.approx((5 * 0.01 + 0.03) / 6)  # a round counts once, whichever history it is of
    assert told["delta"].error == pytest.approx(math.sqrt(2.0 * (0.05 - 5 * 0.08 / 6) ** 2 * 2.0) / 6)
    others = msgspec.structs.replace(simulated.by_history[0], rounds=2)
    assert paired(simulated, msgspec.structs.replace(simulated, by_history=(others, simulated.by_history[1]))) == {}


def test_without_pairs_nothing_is_compared(simulated):
    old = msgspec.structs.replace(simulated, by_history=())  # as an earlier version kept it
    assert paired(simulated, old) == paired(old, simulated) == {}
    others = msgspec.structs.replace(simulated, wins={"momentum": 3.0, "bullish": 3.0})
    assert paired(simulated, others) == {}


@pytest.mark.parametrize(
    ("agents", "iterations", "said"),
    [
        (1, 5, "agents = 1 must be a whole number from 2 to 16"),
        (17, 5, "agents = 17 must be a whole number from 2 to 16"),
        (2, 0, "iterations = 0 must be a whole number from 1 to 10,000"),
        (2, 10**6, "iterations = 1000000 must be a whole number from 1 to 10,000"),
        (2, True, "iterations = True must be"),
    ],
)
def test_a_bad_number_is_refused_in_one_sentence(agents, iterations, said):
    with pytest.raises(SimulationError, match=said) as caught:
        simulate(season(), RULES, agents=agents, iterations=iterations)
    assert "\n" not in str(caught.value)


def test_what_no_round_can_be_held_on_is_refused():
    with pytest.raises(SimulationError, match=r"agents = 2 is fewer than min_strategies = 4"):
        simulate(season(), Rules(), agents=2, iterations=1)
    with pytest.raises(SimulationError, match="identical = 0"):
        simulate(season(), RULES, agents=2, iterations=1, trials=Trials(identical=0))
    with pytest.raises(SimulationError, match="entrants = "):
        simulate(season(entrants=()), RULES, agents=2, iterations=1, trials=FEW)
    with pytest.raises(SimulationError, match="59 sessions of daily bars"):
        source(market(days=60))
    with pytest.raises(SimulationError, match="calendars = 24/7, XNYS"):
        source(market(calendars=("24/7", "XNYS")))
    with pytest.raises(SimulationError, match="none has a bar in 90%"):
        source(market(present=np.random.default_rng(1).random((90, 3)) < 0.5))
    short = source(market(days=90)).market
    with pytest.raises(SimulationError, match="41 sessions of daily bars hold no weekly round"):
        _span(RULES, replace(short, daily=short.daily.until(41)))


def test_further_agents_are_variants_within_the_parameters_ranges():
    found = entrants(TWO, 7, 1)
    assert [each.name for each in found] == [
        "bearish", "momentum", "bearish-2", "momentum-2", "bearish-3", "momentum-3", "bearish-4"
    ]  # fmt: skip
    for each in found:
        values = {p.name: float(v) for p, v in zip(each.policy.parameters, each.parameters, strict=True)}
        assert np.array_equal(parameter_array(each.policy, values), each.parameters)  # which refuses any outside
    assert len({each.parameters.tobytes() for each in found}) == 7
    turned = {each.name: each.parameters.tobytes() for each in entrants(TWO[::-1], 6, 1)}
    assert turned == {each.name: each.parameters.tobytes() for each in found[:6]}
    namesakes = entrants((TWO[0], replace(TWO[0], name="other")), 4, 1)
    assert namesakes[2].parameters.tobytes() != namesakes[3].parameters.tobytes()
    assert entrants(TWO, 3, 2)[2].parameters.tobytes() != found[2].parameters.tobytes()


def test_a_variant_competes_beside_what_it_came_from():
    found = simulate(season(), RULES, agents=3, iterations=1, trials=FEW)
    assert set(found.wins) == {"bearish", "momentum", "bearish-2"}
    assert sum(found.wins.values()) == 1
    assert found.wins_error == dict.fromkeys(found.wins)  # one history shows no spread between histories


def test_two_of_the_same_share_every_win():
    same = (TWO[1], replace(TWO[1], name="copy"))
    found = simulate(season(entrants=same), RULES, agents=2, iterations=2, trials=FEW)
    assert found.wins == {"momentum": 1.0, "copy": 1.0}


@given(count=st.integers(1, 300), length=st.integers(1, 300), seed=st.integers(0, 2**31))
@settings(derandomize=True, max_examples=200)
def test_blocks_are_runs_of_sessions_that_exist(count, length, seed):
    drawn = blocks(count, length, np.random.default_rng(seed))
    assert drawn.shape == (length,)
    assert drawn.min() >= 0
    assert drawn.max() < count


def test_blocks_have_the_mean_length_and_take_every_session_as_often():
    drawn = blocks(100, 200_000, np.random.default_rng(1))
    going_on = np.mean((drawn[:-1] + 1) % 100 == drawn[1:])
    assert going_on == pytest.approx(0.9 + 0.1 / 100, abs=0.003)
    assert np.bincount(drawn).std() < 0.1 * 2000


def test_a_history_moves_all_symbols_as_one_session_did_and_keeps_the_calendar():
    given = market(days=120)
    drawn = source(given)
    made = resampled(drawn, np.random.default_rng(5))
    bars = made.daily.bars
    assert np.array_equal(made.daily.now_ns, given.daily.now_ns)
    assert np.array_equal(made.daily.session_open_ns, given.daily.session_open_ns)
    assert bars["present"].all()
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    real = given.daily.bars["close"]
    known = {tuple(np.round(row, 9)) for row in real[1:] / real[:-1]}
    assert {tuple(np.round(row, 9)) for row in bars["close"][1:] / bars["close"][:-1]} <= known
    again = resampled(drawn, np.random.default_rng(5))
    assert np.array_equal(again.daily.bars, bars)
    assert made.fine is None


def test_holes_long_histories_and_many_symbols_are_cut_to_what_can_be_drawn():
    present = np.random.default_rng(2).random((400, 12)) >= 0.02
    present[:300, 3] = False  # listed lately
    drawn = source(market(days=400, symbols=12, present=present))
    assert len(drawn.market.instruments) == SYMBOLS
    assert "S3" not in drawn.market.symbols
    assert len(drawn.market.daily.now_ns) == SESSIONS
    assert np.isfinite(drawn.moves).all()
    assert 200 < len(drawn.moves) < 400


def test_identical_agents_win_alike_within_the_binomial_error():
    found = identical(Rules(), 60, seed=1)
    assert sum(found.wins) == pytest.approx(60)
    expected = found.rounds / AGENTS
    chi_square = sum((count - expected) ** 2 / expected for count in found.wins)
    assert chi_square < 16.3  # three degrees: 0.1 % beyond
    assert found.share_error == pytest.approx(math.sqrt(0.25 * 0.75 / 60))
    assert found.first_is_best > 0.25


def test_a_planted_better_agent_is_found_and_the_better_the_sooner():
    good, better = (planted(Rules(), 3, 1, edge) for edge in (0.2, 0.5))
    assert good.found == better.found == 1.0
    assert better.rounds is not None
    assert good.rounds is not None
    assert better.rounds < good.rounds <= good.horizon
    assert better.misnamed == 0.0


def test_nobody_is_found_where_nobody_is_better():
    found = planted(Rules(), 2, 3, edge=0.0)
    assert found.found < 1.0


def test_without_skill_the_pool_stays_shut_and_the_regret_below_its_bound():
    found = evidence(Rules(), 40, seed=1)
    assert found.fully_open <= 0.05
    assert found.above_bound == 0
    assert 0.0 < found.regret < found.regret_bound
    assert evidence(Rules(evidence=False), 2, seed=1).fully_open == 1.0
    assert evidence(Rules(evidence_full=2.0), 40, seed=1).fully_open >= found.fully_open


def test_the_binomial_error_is_never_nothing():
    assert binomial_error(0, 100) == pytest.approx(math.sqrt((2 / 104) * (102 / 104) / 104))
    assert binomial_error(500, 1000) == pytest.approx(0.0158, abs=1e-4)
    assert binomial_error(0, 1) == binomial_error(1, 1) > 0.1


def test_views_have_the_correlation_that_was_planted_and_noise_of_their_own():
    drawn = draw(np.random.default_rng(1), 5000, np.array([0.1, 0.0]))
    moves = drawn.moves.ravel()
    assert np.corrcoef(drawn.views[0].ravel(), moves)[0, 1] == pytest.approx(0.1, abs=0.02)
    assert np.corrcoef(drawn.views[1].ravel(), moves)[0, 1] == pytest.approx(0.0, abs=0.02)
    assert np.allclose(drawn.chances.sum(axis=-1), 1.0)
    assert (drawn.chances > 0.0).all()
    assert np.bincount(drawn.classes.ravel()) / drawn.classes.size == pytest.approx([0.382, 0.236, 0.382], abs=0.01)

"""The source document's own test: a high, a medium and a low performer under ``min_strategies`` = 3, in whole rounds.

Each session's volume whispers which way the next one goes. The high performer follows what it hears, the medium one
follows and opposes it by turns and so knows nothing, the low one opposes it in three sessions of four. Each reads bars
alone, as every policy does.
"""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from numba import njit

from agents.strategies.policy import Parameter, Policy
from tests.tournaments.seasons import QUICK, days, season
from tournaments.season import rounds
from tournaments.simulation.histories import resampled, source
from tournaments.stress.policies import Entrant

RULES = msgspec.structs.replace(QUICK, min_strategies=3, stress_paths=30)
HIGH, MEDIUM, LOW = "high", "medium", "low"
HEARD = {HIGH: 0.0, MEDIUM: 1.0, LOW: 2.0}
USUAL_VOLUME, HONEST = 2e6, 0.7  # of the whispers are true
SESSIONS, FIRST = 84, 42


@njit
def loop(state, parameters, bars, closed, targets, scores, features):  # noqa: PLR0917 - as every policy's
    for i in range(closed.shape[0]):
        if closed[i]:
            state[i].count += 1
            side = 1.0 if bars[i].volume > USUAL_VOLUME else -1.0
            turn = state[i].count
            if (parameters[0] == 1.0 and turn % 2 == 0) or (parameters[0] == 2.0 and turn % 4 != 0):
                side = -side
            targets[i] = 0.5 * side
            scores[i] = side
            features[i, 0] = side


LISTENER = Policy(
    name="listener", title="Listener", idea="", source="", interval_s=900, warm_up_bars=1, horizon_bars=1,
    parameters=(Parameter("heard", 0, 0, 2, "", ""),), features=("score",),
    state_dtype=np.dtype([("count", "i8")], align=True), loop=loop,
)  # fmt: skip


def performers(*names):
    return tuple(Entrant(name, LISTENER, np.array([HEARD[name]])) for name in names)


def whispering(seed):
    """Return drawn days whose volume is high before most rises and low before most falls."""
    market = days(SESSIONS, seed=seed)
    bars = market.daily.bars
    rises = np.sign(bars["close"][1:] / bars["open"][1:] - 1.0)
    honest = np.where(np.random.default_rng(seed).random(rises.shape) < HONEST, 1.0, -1.0)
    bars["volume"][:-1] = USUAL_VOLUME * (1.0 + 0.5 * rises * honest)
    return market


def again(seed):
    """Return another history of the same kind, resampled from it in blocks."""
    return resampled(source(whispering(seed)), np.random.default_rng(seed))


ALL = performers(HIGH, MEDIUM, LOW)


def held(market, entrants=ALL):
    known_ns = market.daily.now_ns
    given = season(market, RULES, entrants=entrants)
    return list(rounds(given, after_ns=int(known_ns[FIRST]), until_ns=int(known_ns[-6])))


def resilience(record):
    return {row.agent: row.resilience.resilience for row in record.scores}


def capital(record):
    made = record.allocated
    return {name: made.base[name] + made.competitive[name] for name in made.base}


@pytest.fixture(scope="module")
def seasons():
    """Return the rounds of each season, drawn and resampled."""
    return [held(make(seed)) for make in (whispering, again) for seed in (1, 2, 3)]


def mean(values):
    """Return the mean of each performer's number over seasons."""
    return {name: np.mean([each[name] for each in values]) for name in HEARD}


def test_every_round_is_held_with_three(seasons):
    assert min(map(len, seasons)) >= 6
    assert {each.round.state for results in seasons for each in results} == {"settled"}


def test_capital_favours_the_high_performer_over_the_medium_and_the_medium_over_the_low(seasons):
    for results in seasons:
        first, last, base = capital(results[0]), capital(results[-1]), results[-1].allocated.base
        assert last[HIGH] > last[MEDIUM] > last[LOW]
        assert base[HIGH] > base[MEDIUM] > base[LOW]
        assert last[HIGH] > first[HIGH]
        assert last[LOW] < first[LOW]


def test_resilience_and_risk_adjusted_return_are_in_the_same_order(seasons):
    """Each stress is of few paths: the high one is told from the low one in each season, all three over all."""
    found = [mean([resilience(each) for each in results]) for results in seasons]
    assert all(each[HIGH] > each[LOW] for each in found)
    over_all = mean(found)
    assert over_all[HIGH] > over_all[MEDIUM] > over_all[LOW]
    for results in seasons:
        ratio = {row.agent: row.sharpe for row in results[-1].scores}
        assert ratio[HIGH] > ratio[MEDIUM] > ratio[LOW]


def test_the_high_performer_is_first_and_its_lead_is_told_with_its_doubt(seasons):
    for results in seasons:
        first = next(row for row in results[-1].scores if row.rank == 1)
        assert first.agent == HIGH
        assert 1.0 / 3.0 <= results[-1].first_is_best < 1.0


def test_more_than_one_specialisation_is_left(seasons):
    """Diversity is preserved: nobody takes all, and who loses keeps what the rules take slowly."""
    for each in (record for results in seasons for record in results):
        shares = capital(each)
        assert max(shares.values()) <= RULES.strategy_cap + 1e-9
        assert sum(share > 0.0 for share in shares.values()) > 1
        assert 1.0 / 3.0 <= each.allocated.diversity_index <= 1.0


def test_names_are_nobodys_advantage():
    turned = {HIGH: LOW, MEDIUM: MEDIUM, LOW: HIGH}
    entrants = tuple(replace(performers(turned[name])[0], name=name) for name in turned)
    last = capital(held(whispering(1), entrants)[-1])
    assert last[LOW] > max(last[MEDIUM], last[HIGH])


def test_two_entrants_make_the_round_void_and_the_weights_stay():
    found = held(whispering(1), performers(HIGH, LOW))
    assert {each.round.state for each in found} == {"void"}
    assert not any(each.allocated for each in found)
    assert found[0].round.reason.startswith("2 entrants")

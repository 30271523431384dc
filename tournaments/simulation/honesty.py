"""Whether the statistics are honest: the real scores, posterior, hedge and evidence on agents of known skill."""

import math

import msgspec
import numpy as np

from tournaments.allocation import hedge
from tournaments.allocation.evidence import least_difference, log_evidence
from tournaments.rules import Rules
from tournaments.scores.accuracy import ranked_probability_score, unit_score
from tournaments.simulation.inputs import EVIDENCE, IDENTICAL, PLANTED, Progress, chance, silent
from tournaments.simulation.synthetic import AGENTS, SYMBOLS, Drawn, Float64Array, Table, draw, usual

NAMED = 0.90
IDENTICAL_SESSIONS = 20
YEAR = 52  # rounds
EDGE = 0.2  # of the planted agent: its view's correlation with each move
ROUND_SESSIONS = {"weekly": 5, "daily": 1}
LOOKS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 52)  # after so many rounds one asks who is best


class Plain(msgspec.Struct, frozen=True, kw_only=True):
    """Base: immutable, keyword-only."""


class Identical(Plain, frozen=True):
    """Rounds of equally good agents, each round on a season of its own.

    ``wins`` of each agent, ``share_error`` the binomial error of a share of 1 / agents, ``first_is_best`` the mean
    reported probability (1 / agents is true), ``false_winner_rate`` how often it was above ``threshold``.
    """

    rounds: int
    wins: list[float]
    share_error: float
    first_is_best: float
    threshold: float
    false_winner_rate: float
    false_winner_error: float


class Planted(Plain, frozen=True):
    """Seasons in which the first agent alone knows something: its view's correlation with each move is ``edge``.

    ``found`` is the share of seasons in which it was named best with probability ``threshold`` or more by the
    ``horizon``-th round, ``rounds`` the median number of rounds until then, None where half the seasons do not name it
    in time; ``misnamed`` the share in which another was named first.
    """

    seasons: int
    edge: float
    threshold: float
    horizon: int
    rounds: float | None
    found: float
    found_error: float
    misnamed: float
    misnamed_error: float


class Evidence(Plain, frozen=True):
    """Seasons of ``rounds`` rounds of agents without skill.

    ``fully_open`` is the share in which the pool was ever fully open (1 where the rules do not ask for evidence);
    ``regret`` and ``regret_bound`` are of the raw weights, mean losses a round; ``above_bound`` counts the seasons in
    which the bound was broken.
    """

    seasons: int
    rounds: int
    fully_open: float
    fully_open_error: float
    regret: float
    regret_bound: float
    above_bound: int


def binomial_error(successes: float, trials: int) -> float:
    """Return the standard error of successes / trials, drawn to a half so that it is not 0 where none was seen.

    Agresti and Coull 1998, "Approximate is better than exact for interval estimation of binomial proportions".
    """
    share = (successes + 2.0) / (trials + 4.0)
    return math.sqrt(share * (1.0 - share) / (trials + 4.0))


def identical(rules: Rules, rounds: int, seed: int, progress: Progress = silent) -> Identical:
    """Return who wins among four agents of the same skill, none, whose noise is independent."""
    wins, sure = np.zeros(AGENTS), np.empty(rounds)
    for k in range(rounds):
        drawn = draw(chance(seed, IDENTICAL, k), IDENTICAL_SESSIONS, np.zeros(AGENTS))
        scores, sure[k] = Table(drawn).scored(IDENTICAL_SESSIONS, rules)
        first = np.array([row.rank == 1 for row in scores])
        wins += first / first.sum()
        progress("identical", k + 1, rounds)
    above = int((sure > NAMED).sum())
    return Identical(
        rounds=rounds, wins=wins.tolist(), share_error=math.sqrt((1.0 - 1.0 / AGENTS) / AGENTS / rounds),
        first_is_best=float(sure.mean()), threshold=NAMED, false_winner_rate=above / rounds,
        false_winner_error=binomial_error(above, rounds),
    )  # fmt: skip


def planted(rules: Rules, seasons: int, seed: int, edge: float = EDGE, progress: Progress = silent) -> Planted:
    """Return how many rounds it takes to find one good forecaster among four."""
    after, misnamed = np.full(seasons, np.inf), 0
    edges = np.array([edge, *(0.0,) * (AGENTS - 1)])
    length = ROUND_SESSIONS[rules.interval]
    for k in range(seasons):
        table = Table(draw(chance(seed, PLANTED, k), LOOKS[-1] * length, edges))
        named, after[k] = _named(table, rules, length)
        misnamed += named > 0
        progress("planted", k + 1, seasons)
    found, median = int(np.isfinite(after).sum()), float(np.median(after))
    return Planted(
        seasons=seasons, edge=edge, threshold=NAMED, horizon=LOOKS[-1],
        rounds=median if math.isfinite(median) else None, found=found / seasons,
        found_error=binomial_error(found, seasons), misnamed=misnamed / seasons,
        misnamed_error=binomial_error(misnamed, seasons),
    )  # fmt: skip


def _named(table: Table, rules: Rules, length: int) -> tuple[int, float]:
    """Return who was named first (-1: nobody), and after how many rounds the first agent was (infinite: never)."""
    earliest = -1
    for rounds in LOOKS:
        scores, _ = table.scored(rounds * length, rules)
        best = int(np.argmax([row.best for row in scores]))
        if scores[best].best >= NAMED:
            earliest = best if earliest < 0 else earliest
            if best == 0:
                return earliest, float(rounds)
    return earliest, math.inf


def evidence(rules: Rules, seasons: int, seed: int, progress: Progress = silent) -> Evidence:
    """Return how often agents without skill open the pool, and what AdaHedge's weights lose to the luckiest."""
    opened, above, regrets, bounds = 0, 0, np.empty(seasons), np.empty(seasons)
    for k in range(seasons):
        drawn = draw(chance(seed, EVIDENCE, k), YEAR, np.zeros(AGENTS))
        opened += not rules.evidence or _opens(drawn, rules)
        state = hedge.run(_losses(drawn)).state
        regrets[k], bounds[k] = hedge.regret(state), hedge.regret_bound(state)
        above += bool(regrets[k] > bounds[k])
        progress("evidence", k + 1, seasons)
    return Evidence(
        seasons=seasons, rounds=YEAR, fully_open=opened / seasons, fully_open_error=binomial_error(opened, seasons),
        regret=float(regrets.mean()) / YEAR, regret_bound=float(bounds.mean()) / YEAR, above_bound=above,
    )  # fmt: skip


def _opens(drawn: Drawn, rules: Rules) -> bool:
    """Return whether the evidence for the equal-weight ensemble ever opens the pool in full."""
    mixed = drawn.chances.mean(axis=0)
    reference = np.broadcast_to(usual(), (SYMBOLS, 3))
    better = ranked_probability_score(np.tile(reference, (YEAR, 1)), drawn.classes.ravel())
    better = better - ranked_probability_score(mixed.reshape(-1, 3), drawn.classes.ravel())
    floors = [least_difference(said, reference) for said in mixed]
    told = log_evidence(better.reshape(YEAR, SYMBOLS).mean(axis=1), floors)
    return bool(told.max() >= math.log(rules.evidence_full))


def _losses(drawn: Drawn) -> Float64Array:
    """Return each agent's loss [round, agent]: 1 less the affine score of its mean skill."""
    every = np.tile(drawn.classes.ravel(), len(drawn.chances))
    scores = ranked_probability_score(drawn.chances.reshape(-1, 3), every).reshape(len(drawn.chances), YEAR, SYMBOLS)
    base = ranked_probability_score(np.tile(usual(), (YEAR * SYMBOLS, 1)), drawn.classes.ravel())
    skills = (base.reshape(YEAR, SYMBOLS) - scores).mean(axis=2)
    return np.asarray(1.0 - unit_score(skills.T))

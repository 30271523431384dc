"""Step 6 of a round: every entrant's parts from what had settled before it, total, ranks and how sure they are."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from agents.brains.observations import Observations
from agents.brains.quant.forecasts import Forecasts, deviations, newest_sessions
from tournaments.record import Score
from tournaments.rules import Rules
from tournaments.scores.accuracy import accuracy, hit_rate, skill
from tournaments.scores.clustered import NOTHING, Estimate
from tournaments.scores.contribution import OUTCOME_LIMIT, contribution, contributions, signal
from tournaments.scores.performance import Performance, effective_trials, performance, sharpe
from tournaments.scores.posterior import posterior
from tournaments.scores.standing import Parts, Weights, standings
from tournaments.stress.marks import Resilience
from tournaments.unit_book import UnitBook

LEAST_FOR_TRIALS = 20  # sessions in common before the books' correlation says how many trials they are

BoolArray = npt.NDArray[np.bool_]


def score(
    observations: Mapping[str, Observations],
    forecasts: Mapping[str, Forecasts],
    books: Mapping[str, UnitBook],
    resilience: Mapping[str, Resilience],
    *,
    rules: Rules,
    as_of_ns: int,
    challengers: Mapping[str, str] | None = None,
) -> tuple[list[Score], float]:
    """Return a row for each entrant, in the order of ``observations``, and the probability that the first is best.

    Accuracy and contribution are of the walk-forward predictions of the frozen policies whose sessions had closed by
    ``as_of_ns``, in the rules' scoring window; each session is a cluster. All observations are of the same bars.

    Parameters
    ----------
    challengers : entrants that would take a strategy's place, by name to that strategy's: none of them changes what
        the strategies contribute or how far luck goes, and each contributes beside the other strategies.
    """
    challengers = challengers or {}
    agents = list(observations)
    rows = _scored(observations[agents[0]], rules.scoring_window, as_of_ns)
    figures = _performances(books, rules.scoring_window, as_of_ns, challengers)
    added = _contributions(observations, forecasts, rows, challengers)
    parts = [
        Parts(
            accuracy=_accuracy(observations[agent], forecasts[agent], rows),
            resilience=resilience[agent].resilience,
            performance=figures[agent],
            contribution=added[agent],
            resilience_error=resilience[agent].error,
        )
        for agent in agents
    ]
    table = standings(parts, _weights(rules))
    errors = [np.inf if row.error is None else row.error for row in table]
    belief = posterior([row.total for row in table], errors)
    scores = [
        Score(
            agent=agent, accuracy=part.accuracy.mean, accuracy_error=part.accuracy.error,
            hit_rate=_hits(observations[agent], forecasts[agent], rows), contribution=part.contribution.mean,
            contribution_error=part.contribution.error, resilience=resilience[agent], sharpe=part.performance.sharpe,
            sharpe_error=part.performance.sharpe_error, deflated=part.performance.deflated,
            drawdown=part.performance.drawdown, sessions=part.performance.observations, total=row.total,
            error=row.error, rank=row.rank, low=_bound(belief.low[k]), high=_bound(belief.high[k]),
            best=float(belief.best[k]),
        )
        for k, (agent, part, row) in enumerate(zip(agents, parts, table, strict=True))
    ]  # fmt: skip
    return scores, float(belief.first_is_best)


def _bound(value: float) -> float:
    """Return an interval's end within what a total may be; nothing known is everything between 0 and 1."""
    return float(np.clip(value, 0.0, 1.0))


def _weights(rules: Rules) -> Weights:
    return Weights(rules.weight_accuracy, rules.weight_resilience, rules.weight_return, rules.weight_contribution)


def _scored(observations: Observations, sessions: int, as_of_ns: int) -> BoolArray:
    """Return which rows count: settled by the instant, of the newest sessions."""
    return newest_sessions(observations, observations.settled_by(as_of_ns), sessions)


def _accuracy(observations: Observations, forecasts: Forecasts, rows: BoolArray) -> Estimate:
    if not rows.any():
        return NOTHING
    skills = skill(forecasts.probabilities[rows], observations.next_class[rows], forecasts.climatology[rows])
    return accuracy(skills, observations.known_ns[rows])


def _hits(observations: Observations, forecasts: Forecasts, rows: BoolArray) -> float | None:
    return hit_rate(forecasts.probabilities[rows], observations.next_class[rows]) if rows.any() else None


def _contributions(
    observations: Mapping[str, Observations],
    forecasts: Mapping[str, Forecasts],
    rows: BoolArray,
    challengers: Mapping[str, str],
) -> dict[str, Estimate]:
    if not rows.any():
        return dict.fromkeys(observations, NOTHING)
    one = next(iter(observations.values()))
    moves = np.clip(deviations(one)[rows], -OUTCOME_LIMIT, OUTCOME_LIMIT)  # any move of what never moved is infinite

    def among(agents: list[str]) -> dict[str, Estimate]:
        signals = np.array([signal(forecasts[agent].probabilities[rows]) for agent in agents])
        by_round = contributions(signals, moves, one.known_ns[rows])
        return {agent: contribution(by_round[k]) for k, agent in enumerate(agents)}

    strategies = [agent for agent in observations if agent not in challengers]
    found = among(strategies)
    for name, parent in challengers.items():
        found[name] = among([*(agent for agent in strategies if agent != parent), name])[name]
    return found


def _performances(
    books: Mapping[str, UnitBook], sessions: int, as_of_ns: int, challengers: Mapping[str, str]
) -> dict[str, Performance]:
    returns = {name: book.returns[book.known_ns <= as_of_ns][-sessions:] for name, book in books.items()}
    table: Sequence[npt.NDArray[np.float64]] = [row for name, row in returns.items() if name not in challengers]
    trials, variance = 1, 0.0
    if len(table) > 1 and len(table[0]) >= LEAST_FOR_TRIALS:
        ratios = [sharpe(each) for each in table]
        variance = float(np.var(ratios, ddof=1))
        trials = effective_trials(_correlation(np.array(table)))
    return {name: performance(each, trials=trials, trial_variance=variance) for name, each in returns.items()}


def _correlation(returns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the books' correlation; one that never moved is like no other."""
    centred = returns - returns.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(centred).sum(axis=1))
    scaled = centred / np.where(size > 0.0, size, 1.0)[:, np.newaxis]
    found = np.clip(scaled @ scaled.T, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)

"""Attack an entry where its policy lost most on bootstrapped paths: claims with numbers, and how likely each holds."""

from collections.abc import Mapping, Sequence

import numpy as np

from agents.brains.observations import Float64Array
from agents.brains.port import (
    FEWEST_CLAIMS,
    BrainError,
    ChallengeQuestion,
    Claim,
    Metric,
    ScenarioLosses,
)

TAIL_SHARE = 0.05
THRESHOLDS = (0.75, 0.5, 0.9)  # of the loss that was measured; a claim too many takes the next of them
LEAST_THRESHOLD = 1e-4  # of capital: what costs less is no weakness
RESAMPLES = 400
SIGNIFICANT_DIGITS = 2
DECIMALS = 4
WORDS: dict[Metric, str] = {"mean_loss": "mean loss", "tail_loss": "mean loss of the worst twentieth of paths"}


def challenge(question: ChallengeQuestion) -> tuple[Claim, ...]:
    """Return ``question.claims`` claims: the costliest scenario of each family, the costliest family first.

    Where there are fewer families than claims, further scenarios follow, the costliest first, then the same ones with
    other thresholds. What costs most is judged by the worst twentieth of paths, since a shock to either side costs
    little on average; the claim is about the mean loss where that is certain.

    Raises
    ------
    BrainError
        with fewer than 3 claims asked for, no scenario, a scenario without paths, or a loss that is not finite.
    """
    if question.claims < FEWEST_CLAIMS:
        raise BrainError(f"claims {question.claims} must be at least {FEWEST_CLAIMS}")
    table = list(question.losses())
    _check(table)
    chosen = _ranked(table)
    generator = np.random.Generator(np.random.Philox(question.seed))
    return tuple(
        _claim(chosen[k % len(chosen)], THRESHOLDS[k // len(chosen) % len(THRESHOLDS)], generator)
        for k in range(question.claims)
    )


def measured(losses: Float64Array, metric: Metric) -> float:
    """Return a metric of the losses (paths,): their mean, or the mean of the worst twentieth, one path at least.

    The latter is the empirical expected shortfall at 95 % (Acerbi and Tasche, "On the coherence of expected shortfall",
    Journal of Banking & Finance 26(7), 2002).
    """
    return float(_measured(np.asarray(losses, dtype=np.float64)[None, :], metric)[0])


def _measured(samples: Float64Array, metric: Metric) -> Float64Array:
    if metric == "mean_loss":
        return np.asarray(samples.mean(axis=1))
    worst = max(1, round(TAIL_SHARE * samples.shape[1]))
    return np.asarray(np.partition(samples, samples.shape[1] - worst, axis=1)[:, -worst:].mean(axis=1))


def holds_probability(losses: Float64Array, metric: Metric, threshold: float, generator: np.random.Generator) -> float:
    """Return how often the metric of other paths would be above the threshold.

    The frequency over 400 pairs of bootstrap samples: the difference within a pair carries the error of these paths and
    that of the ruling's, which are as many (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 6).
    Smoothed by Laplace's rule of succession, so that it is never 0 or 1.
    """
    values = np.asarray(losses, dtype=np.float64)
    draws = generator.integers(0, len(values), (2, RESAMPLES, len(values)))
    apart = _measured(values[draws[0]], metric) - _measured(values[draws[1]], metric)
    held = int(np.count_nonzero(measured(values, metric) + apart > threshold))
    return round((held + 1) / (RESAMPLES + 2), DECIMALS)


def _check(table: Sequence[ScenarioLosses]) -> None:
    if not table:
        raise BrainError("losses has no scenario; it must have at least one")
    for each in table:
        values = np.asarray(each.losses)
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise BrainError(
                f"losses of {each.family} with {_named(each.parameters)} have shape {values.shape}; allowed is "
                "(paths,) with at least one path and finite numbers alone"
            )


def _ranked(table: Sequence[ScenarioLosses]) -> list[ScenarioLosses]:
    """Return the scenarios in the order of attack; ties go by name, so that the table's order does not matter."""
    order = sorted(table, key=lambda each: (-_cost(each), each.family, sorted(each.parameters.items())))
    worst: dict[str, ScenarioLosses] = {}
    for each in order:
        worst.setdefault(each.family, each)
    return [*worst.values(), *(each for each in order if each is not worst[each.family])]


def _cost(each: ScenarioLosses) -> float:
    return measured(each.losses, "tail_loss")


def _certain(losses: Float64Array) -> bool:
    """Whether policies lose on average, by more than two errors of the mean: a shock to either side does not."""
    error = float(losses.std() / np.sqrt(len(losses)))
    return float(losses.mean()) > max(LEAST_THRESHOLD, 2.0 * error)


def _claim(scenario: ScenarioLosses, share: float, generator: np.random.Generator) -> Claim:
    metric: Metric = "mean_loss" if _certain(scenario.losses) else "tail_loss"
    loss = measured(scenario.losses, metric)
    threshold = max(float(f"{share * loss:.{SIGNIFICANT_DIGITS - 1}e}"), LEAST_THRESHOLD)
    return Claim(
        family=scenario.family,
        parameters=dict(scenario.parameters),
        metric=metric,
        threshold=threshold,
        statement=(
            f"Under {scenario.family} with {_named(scenario.parameters)} the policy's {WORDS[metric]} is above "
            f"{100.0 * threshold:.4g} % of its capital; on {len(scenario.losses)} bootstrapped paths it was "
            f"{100.0 * loss:.4g} %."
        ),
        probability=holds_probability(scenario.losses, metric, threshold, generator),
    )


def _named(parameters: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(parameters.items())) or "no parameters"

"""Confidence as a calibrated probability: how often signals as strong as this one turned out right.

The sign of a score says the side, its size how strong the signal was, so the map goes from the absolute score to the
probability that the price moved the signal's way within the policy's horizon. It is isotonic: a stronger signal is
never less probable. Where strength told nothing, it is flat at the base rate.

A calibrator is a versioned artefact: fitted after the session from settled outcomes alone, read by the engine as plain
numbers. scipy is loaded by ``fit`` only.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

NEEDED_OUTCOMES = 200
UNCALIBRATED = "uncalibrated"

GROUPS = 20  # the outcomes are put into about so many groups of like scores before they are fitted
PRIOR_OUTCOMES = 20.0  # each group starts with so many outcomes at the base rate: a few lucky ones prove little
LOWEST, HIGHEST = 0.02, 0.98  # nothing on a market is sure
DECIMALS = 6  # of scores and probabilities, so that another processor's last bit makes no other artefact


class CalibrationError(ValueError):
    """One sentence: which strategy's calibrator, and what is wrong."""


class Calibrator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An isotonic map from absolute score to the probability of a hit; linear between its points, flat outside.

    ``x`` rises strictly, ``y`` never falls and lies within 0.02 to 0.98; ``outcomes`` were settled at or before
    ``fitted_through_ns``, ``base_rate`` of them hits.
    """

    name: str
    version: int
    strategy: str
    x: list[float]
    y: list[float]
    outcomes: int
    base_rate: float
    fitted_through_ns: int


def fit(
    strategy: str, version: int, outcomes: Sequence[tuple[float, bool]], *, fitted_through_ns: int = 0
) -> Calibrator:
    """Fit a calibrator on settled (score, hit) pairs; the order of the pairs does not matter.

    Scores of like strength are grouped, each group's hit rate is drawn to the base rate by twenty outcomes' weight, and
    the groups are fitted by isotonic regression (Barlow et al. 1972: pool adjacent violators), weighted by outcomes.

    Raises
    ------
    CalibrationError
        with fewer than 200 outcomes, or a score that is not finite.
    """
    if len(outcomes) < NEEDED_OUTCOMES:
        raise CalibrationError(
            f"{strategy}: {len(outcomes)} settled outcomes are too few for a calibrator; it needs {NEEDED_OUTCOMES}"
        )
    if not all(math.isfinite(score) for score, _ in outcomes):
        raise CalibrationError(f"{strategy}: an outcome's score is not a finite number")
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - a worker that never fits must not carry scipy

    base_rate = sum(bool(hit) for _, hit in outcomes) / len(outcomes)
    groups = _groups(outcomes)
    weights = [count for _, _, count in groups]
    rates = [(hits + PRIOR_OUTCOMES * base_rate) / (count + PRIOR_OUTCOMES) for _, hits, count in groups]
    fitted = isotonic_regression(rates, weights=weights, increasing=True).x
    return Calibrator(
        name=f"calibrator.{strategy}",
        version=version,
        strategy=strategy,
        x=[total for total, _, _ in groups],
        y=[round(min(max(float(rate), LOWEST), HIGHEST), DECIMALS) for rate in fitted],
        outcomes=len(outcomes),
        base_rate=round(base_rate, DECIMALS),
        fitted_through_ns=fitted_through_ns,
    )


def _groups(outcomes: Sequence[tuple[float, bool]]) -> list[tuple[float, int, int]]:
    """Return (mean absolute score, hits, outcomes) by rising score; equal scores always share a group."""
    by_strength: dict[float, list[int]] = {}
    for score, hit in outcomes:
        tally = by_strength.setdefault(round(abs(score), DECIMALS), [0, 0])
        tally[0] += bool(hit)
        tally[1] += 1
    least = len(outcomes) / GROUPS
    groups: list[tuple[float, int, int]] = []
    total, hits, count = 0.0, 0, 0
    for strength in sorted(by_strength):
        total += strength * by_strength[strength][1]
        hits += by_strength[strength][0]
        count += by_strength[strength][1]
        if count >= least:
            groups.append((total / count, hits, count))
            total, hits, count = 0.0, 0, 0
    if count:
        groups.append((total / count, hits, count))
    return groups


def probability(calibrator: Calibrator, score: float) -> float:
    """Return the probability of a hit of a signal with this score."""
    x, y = calibrator.x, calibrator.y
    strength = abs(score)
    place = bisect_right(x, strength)
    if place == 0:
        return y[0]
    if place == len(x):
        return y[-1]
    share = (strength - x[place - 1]) / (x[place] - x[place - 1])
    return y[place - 1] + (y[place] - y[place - 1]) * share


def confidence(calibrator: Calibrator | None, score: float, hits: int, outcomes: int) -> tuple[float | None, str]:
    """Return a signal's confidence and its source.

    Parameters
    ----------
    calibrator
        the one in force, or None.
    score
        of the signal; its sign does not matter.
    hits, outcomes
        of the strategy's signals settled so far.

    Returns
    -------
    tuple
        the calibrated probability and ``NAME@VERSION``; without a calibrator the base rate so far and "uncalibrated",
        None in place of the rate when nothing has been settled.
    """
    if calibrator is not None and calibrator.outcomes >= NEEDED_OUTCOMES:
        return probability(calibrator, score), f"{calibrator.name}@{calibrator.version}"
    return (hits / outcomes if outcomes else None), UNCALIBRATED


def encode(calibrator: Calibrator) -> bytes:
    """Return the canonical JSON: fields in declared order, no spaces."""
    return msgspec.json.encode(calibrator)


def sha256(calibrator: Calibrator) -> str:
    """Return the hash of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(encode(calibrator)).hexdigest()


def decode(content: bytes) -> Calibrator:
    """Return the calibrator that ``content`` holds.

    Raises
    ------
    CalibrationError
        if it is not a calibrator, or its map is empty, not rising or outside 0 to 1.
    """
    try:
        calibrator = msgspec.json.decode(content, type=Calibrator)
    except msgspec.MsgspecError as error:
        raise CalibrationError(f"this is no calibrator: {error}") from error
    x, y = calibrator.x, calibrator.y
    rising = all(low < high for low, high in pairwise(x))
    steady = all(low <= high for low, high in pairwise(y))
    if not x or len(x) != len(y) or not rising or not steady or not 0.0 < y[0] <= y[-1] < 1.0:
        raise CalibrationError(
            f"{calibrator.name}@{calibrator.version}: its map must have as many probabilities as scores, scores that "
            "rise and probabilities within 0 to 1 that never fall"
        )
    return calibrator

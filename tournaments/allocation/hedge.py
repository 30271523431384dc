"""The raw competitive weights: AdaHedge, a mixture of experts that needs no tuning and whose regret has a bound.

Source: de Rooij, van Erven, Grunwald and Koolen 2014, "Follow the leader if you can, hedge if you must", Journal of
Machine Learning Research 15. An entrant that is not there in a round is an expert that sleeps (Chernov and Vovk 2009,
"Prediction with expert evaluators' advice"): its loss is taken to be the mixture's own, so that an absence neither
gains nor loses ground. A newcomer slept in all rounds before its first; one that is benched goes on in shadow and
keeps its standing, or sleeps where no entry of it was settled.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.allocation.inputs import AllocationError, BoolArray, FloatArray, flags, matrix

LEAST_GAP = 1e-12  # a smaller mixability gap is the rounding of its two sums
MOST_SLOTS = 1000


@dataclass(frozen=True)
class Hedge:
    """AdaHedge after some rounds.

    ``cumulative`` [slot] are the losses so far, of a slot that slept with the mixture's own; ``gap`` is the cumulative
    mixability gap, ``variance`` the cumulative variance of a loss drawn by the weights, ``loss`` the mixture's own.
    ``rounds`` counts those in which anybody was awake.
    """

    cumulative: FloatArray
    gap: float = 0.0
    variance: float = 0.0
    loss: float = 0.0
    rounds: int = 0


@dataclass(frozen=True)
class HedgeRun:
    """All rounds: weights before each [round, entrant], losses with the sleepers' filled in, and where it stands."""

    weights: FloatArray
    filled: FloatArray
    state: Hedge


def start(slots: int) -> Hedge:
    """Return AdaHedge before its first round.

    ``slots`` is for how many entrants there is room, newcomers included: it must be set once, for the bound holds with
    ln(slots) whoever comes later.

    Raises
    ------
    AllocationError
        if it is outside 1 to 1000.
    """
    if not 1 <= slots <= MOST_SLOTS:
        raise AllocationError(f"slots = {slots} is outside 1 to {MOST_SLOTS}")
    return Hedge(cumulative=np.zeros(slots))


def weights(state: Hedge, awake: npt.ArrayLike | None = None) -> FloatArray:
    """Return the weights [slot] for the next round: they sum to 1 over those awake, all 0 when nobody is.

    exp(-rate x loss so far) with rate = ln(slots) / gap; an infinite rate (nothing lost to mixing yet) follows the
    leaders, equally.

    Raises
    ------
    AllocationError
        if ``awake`` is not true or false for each slot.
    """
    slots = len(state.cumulative)
    here = np.ones(slots, dtype=np.bool_) if awake is None else flags("awake", awake, slots)
    shares = np.zeros(slots)
    if here.any():
        lost = state.cumulative[here]
        shares[here] = np.exp(_log_weights(lost, _rate(state)))
    return shares


def update(state: Hedge, losses: npt.ArrayLike) -> Hedge:
    """Return the state after a round with ``losses`` [slot] within 0 to 1, NaN for who slept.

    A round in which everybody slept changes nothing.

    Raises
    ------
    AllocationError
        if the shape is another or a loss is outside.
    """
    slots = len(state.cumulative)
    told = np.asarray(losses, dtype=np.float64)
    if told.shape != (slots,):
        raise AllocationError(f"losses has shape {told.shape}; it needs one number for each of {slots} slots")
    told = matrix("losses", told[None, :], 0.0, 1.0, missing=True)[0]
    awake = ~np.isnan(told)
    if not awake.any():
        return state
    return _updated(state, told, awake)


def run(losses: npt.ArrayLike, slots: int | None = None) -> HedgeRun:
    """Return AdaHedge over ``losses`` [round, entrant] within 0 to 1, NaN for who slept.

    ``slots``, at least the number of entrants, is as in ``start``; left out it is that number, right where nobody will
    join. In a round in which all slept the weights are 0 and the filled losses are NaN.

    Raises
    ------
    AllocationError
        if a loss is outside 0 to 1, or there are fewer slots than entrants.
    """
    table = matrix("losses", losses, 0.0, 1.0, missing=True)
    rounds, entrants = table.shape
    room = entrants if slots is None else slots
    if room < entrants:
        raise AllocationError(f"slots = {room} is less than the {entrants} entrants")
    state = start(room)
    padded = np.full((rounds, room), np.nan)
    padded[:, :entrants] = table
    before, filled = np.zeros((rounds, entrants)), table.copy()
    for index, told in enumerate(padded):
        awake = ~np.isnan(told)
        before[index] = weights(state, awake)[:entrants]
        if awake.any():
            later = _updated(state, told, awake)
            filled[index, ~awake[:entrants]] = later.loss - state.loss
            state = later
    return HedgeRun(weights=before, filled=filled, state=state)


def regret(state: Hedge, entrants: int | None = None) -> float:
    """Return the mixture's loss less the best entrant's; an entrant's in its sleep is the mixture's own.

    ``entrants`` leaves out the slots after it, that nobody has taken yet.
    """
    return state.loss - float(state.cumulative[:entrants].min())


def regret_bound(state: Hedge) -> float:
    """Return what the regret cannot exceed, whatever the losses were: 2 sqrt(V ln K) + (4/3) ln K + 2.

    Theorem 6 of the paper, for losses within 0 to 1: V is the cumulative variance of a loss drawn by the weights and
    K the number of slots. It holds for the raw weights only.
    """
    spread = math.log(len(state.cumulative))
    return 2.0 * math.sqrt(state.variance * spread) + 4.0 / 3.0 * spread + 2.0


def worst_case_bound(rounds: int, slots: int) -> float:
    """Return the bound that is known beforehand: sqrt(T ln K) + (4/3) ln K + 2, as no variance is above 1/4."""
    return math.sqrt(rounds * math.log(slots)) + 4.0 / 3.0 * math.log(slots) + 2.0


def losses_of(scores: npt.ArrayLike) -> FloatArray:
    """Return 1 - affine settled score: scores [round, entrant] within 0 to 1, NaN where nothing was settled.

    Raises
    ------
    AllocationError
        if a score is outside 0 to 1.
    """
    result: FloatArray = 1.0 - matrix("scores", scores, 0.0, 1.0, missing=True)
    return result


def _rate(state: Hedge) -> float:
    return math.log(len(state.cumulative)) / state.gap if state.gap > 0.0 else math.inf


def _log_weights(lost: FloatArray, rate: float) -> FloatArray:
    behind = lost - lost.min()
    if math.isinf(rate):
        leads = behind == 0.0
        return np.where(leads, -math.log(int(leads.sum())), -math.inf)
    scaled = -rate * behind
    result: FloatArray = scaled - np.logaddexp.reduce(scaled)
    return result


def _updated(state: Hedge, told: FloatArray, awake: BoolArray) -> Hedge:
    shares = weights(state, awake)[awake]
    mixed = float(shares @ told[awake])
    losses = np.where(awake, told, mixed)
    gap = mixed - _mix_loss(state, losses)
    # of all slots: with sleepers at the mixture's own loss the mean is the same, and their part of the variance is 0
    everyone = weights(state)
    return Hedge(
        cumulative=state.cumulative + losses,
        gap=state.gap + (gap if gap > LEAST_GAP else 0.0),
        variance=state.variance + float(everyone @ (losses - mixed) ** 2),
        loss=state.loss + mixed,
        rounds=state.rounds + 1,
    )


def _mix_loss(state: Hedge, losses: FloatArray) -> float:
    rate, before = _rate(state), state.cumulative
    if math.isinf(rate):
        return float((before + losses).min() - before.min())
    return float(-np.logaddexp.reduce(_log_weights(before, rate) - rate * losses) / rate)

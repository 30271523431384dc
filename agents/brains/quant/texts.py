"""The words of a prediction: they name the features and the numbers that made it, and what speaks against it."""

import numpy as np

from agents.brains.observations import CLASSES, Float64Array, Observations
from agents.brains.quant.forecasts import LEAST_WEIGHT, Basis

NAMED_FEATURES = 3
RESTLESS = 1.5  # times the usual sigma
USUAL_SESSIONS = 250


def percent(value: float, digits: int = 1) -> str:
    """Return a fraction as a percentage: "12.5 %"."""
    return f"{100.0 * value:.{digits}f} %"


def triple(probabilities: Float64Array | tuple[float, float, float]) -> str:
    """Return three probabilities: "down 0.31, flat 0.24, up 0.45"."""
    return ", ".join(f"{name} {float(value):.2f}" for name, value in zip(CLASSES, probabilities, strict=True))


def rationale(
    observations: Observations, basis: Basis, row: int, push: Float64Array, shares: tuple[Float64Array, Float64Array]
) -> str:
    """Return why: the probabilities, and the features that moved them most away from climatology.

    ``push`` (F + 1,) is what each feature and the target add to the log odds of up against down; empty where no model
    spoke. ``shares`` are the prediction's and the climatology's.
    """
    chances, usual = shares
    said = f"{triple(chances)}; climatology {triple(usual)}, from {basis.settled_sessions} settled sessions."
    if not len(push):
        return f"{said} It is the climatology: no model could be asked."
    names = (*observations.feature_names, "target")
    values = (*observations.features[row].tolist(), float(observations.target[row]))
    order = np.argsort(-np.abs(push), kind="stable")[:NAMED_FEATURES].tolist()
    moved = ", ".join(f"{names[k]} {values[k]:+.3g} adds {push[k]:+.3f}" for k in order)
    share = percent(basis.weight, 0)
    return f"{said} Log odds of up against down: {moved}; {share} of the model is let in, the rest is climatology."


def risk_factors(
    observations: Observations, basis: Basis, row: int, *, current: bool, modelled: bool
) -> tuple[str, ...]:
    """Return what could make the prediction wrong, each with its number."""
    found = []
    if not current:
        found.append("no bar in the last session: the features are older than that")
    if not modelled:
        found.append(f"no model: {basis.settled_sessions} settled sessions, or a policy still warming up")
    elif basis.weight <= LEAST_WEIGHT:
        found.append(f"no proven skill over climatology: {percent(basis.weight, 0)} of the model is let in")
    sigma = float(observations.sigma[row])
    if not np.isfinite(sigma):
        return (*found, "sigma is unknown: too few sessions")
    mine = observations.sigma[: row + 1][observations.symbol[: row + 1] == observations.symbol[row]]
    usual = float(np.nanmedian(mine[-USUAL_SESSIONS:]))
    if sigma > RESTLESS * usual:
        found.append(f"restless: sigma {percent(sigma, 2)} against a usual {percent(usual, 2)}")
    return (*found, f"a usual session moves it {percent(sigma, 2)} either way")

"""A multinomial logistic regression of the next session's class on a policy's own features.

It is fitted on all symbols together, since features are free of units, and tells only the likelihood of the features in
each class: the prior is each symbol's climatology.
"""

from dataclasses import dataclass

import numpy as np

from agents.brains.observations import Float64Array, Int64Array

TRAINING_ROWS = 20_000  # newest settled rows that a fit reads
FEWEST_SESSIONS = 30
FEWEST_OF_A_CLASS = 10
CLIPPED_DEVIATIONS = 3.0
PRIOR_DEVIATION = 0.2  # of a coefficient, in log odds for one deviation of a feature: real edges are small
SMALLEST = 1e-6  # a likelihood below this counts as this


@dataclass(frozen=True)
class Fit:
    """Standardisation (F,) of the features, coefficients (3, F), intercepts (3,) and the shares fitted to (3,)."""

    centre: Float64Array
    scale: Float64Array
    coefficients: Float64Array
    intercepts: Float64Array
    shares: Float64Array
    sessions: int

    def standardised(self, features: Float64Array) -> Float64Array:
        """Return the features in deviations, held within +-3; the shape (rows, F) is theirs."""
        deviations = (features - self.centre) / self.scale
        return np.asarray(np.clip(deviations, -CLIPPED_DEVIATIONS, CLIPPED_DEVIATIONS))

    def tilted(self, features: Float64Array, prior: Float64Array) -> Float64Array:
        """Return probabilities (rows, 3): ``prior`` (rows, 3) times the likelihood of the features (Bayes' rule)."""
        logits = self.standardised(features) @ self.coefficients.T + self.intercepts
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        posterior = odds / odds.sum(axis=1, keepdims=True)
        joint = prior * np.maximum(posterior / self.shares, SMALLEST)
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    def push(self, features: Float64Array) -> Float64Array:
        """Return what each feature adds to the log odds of up against down; (rows, F)."""
        return np.asarray(self.standardised(features) * (self.coefficients[2] - self.coefficients[0]))


def fit(features: Float64Array, classes: Int64Array, known_ns: Int64Array) -> Fit | None:
    """Return the fit of settled rows in time order, or None where there are too few for one.

    Coefficients have a normal prior (ridge penalty). Symbols of one session move together, so a session with n rows
    weighs like sqrt(n) independent ones: between 1, if they were copies, and n.

    Parameters
    ----------
    features, classes, known_ns
        (rows, F) finite, (rows,) in 0 to 2, (rows,): the session that a row belongs to.
    """
    features, classes, known_ns = features[-TRAINING_ROWS:], classes[-TRAINING_ROWS:], known_ns[-TRAINING_ROWS:]
    _, session, count = np.unique(known_ns, return_inverse=True, return_counts=True)
    if len(count) < FEWEST_SESSIONS or np.bincount(classes, minlength=3).min() < FEWEST_OF_A_CLASS:
        return None
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes a second; only a fit needs it

    weight = 1.0 / np.sqrt(count[session])
    spread = features.std(axis=0)
    empty = Fit(features.mean(axis=0), np.where(spread > 0.0, spread, 1.0), np.empty(0), np.empty(0), np.empty(0), 0)
    model = LogisticRegression(C=PRIOR_DEVIATION**2, solver="newton-cholesky", tol=1e-8).fit(
        empty.standardised(features), classes, sample_weight=weight
    )
    shares = np.bincount(classes, weights=weight, minlength=3) / weight.sum()
    return Fit(empty.centre, empty.scale, model.coef_, model.intercept_, shares, len(count))

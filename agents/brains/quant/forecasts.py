"""Walk-forward probabilities for every session of a history, refitted weekly on what had been settled by then."""

from dataclasses import dataclass

import numpy as np

from agents.brains.observations import FLAT_SIGMAS, BoolArray, Float64Array, Int64Array, Observations, ObservationsError
from agents.brains.quant.climatology import Climatology, climatology, outcome_steps, steps
from agents.brains.quant.model import Fit, fit
from market.calendars import DAY_NS

WEEK_NS = 7 * DAY_NS
FRIDAY_NS = DAY_NS  # 1970-01-02: weeks end with their last sessions, so that Sunday's entry comes from a fresh fit
LEAST_WEIGHT = 0.1  # of a model without proven skill: enough for entries to differ, too little to cost anything
FEWEST_TRIED_SESSIONS = 10
DECIMALS = 6  # of probabilities, so that another processor's last bit makes no other entry


@dataclass(frozen=True)
class Basis:
    """What one week's forecasts rest on: settled sessions until ``fitted_ns``, the fit if there was enough for one."""

    fitted_ns: int
    settled_sessions: int
    climatology: Climatology
    fit: Fit | None
    weight: float


@dataclass(frozen=True)
class Forecasts:
    """For each row of the observations.

    Attributes
    ----------
    probabilities, climatology
        (rows, 3): of down, flat and up of the next session, and of each symbol's climatology then.
    expected_return
        (rows,): fraction; 0 where sigma is unknown.
    basis, bases
        (rows,): index into ``bases``.
    """

    probabilities: Float64Array
    climatology: Float64Array
    expected_return: Float64Array
    basis: Int64Array
    bases: tuple[Basis, ...]


@dataclass
class _Series:
    """Forecasts so far: ``model`` of unmixed fits, NaN where there was none, to be tried against ``prior``.

    ``reads`` is what a fit reads, ``moved`` the next session's return in deviations.
    """

    reads: Float64Array
    moved: Float64Array
    model: Float64Array
    prior: Float64Array
    mixed: Float64Array
    expected: Float64Array

    def weight(self, observations: Observations, instant_ns: int) -> float:
        """Return the share of the model in a mixture with climatology that past forecasts speak for.

        The gain in ranked probability score by a share w is 2 w a - w^2 b; its best share a / b is taken at the lower
        end of a's standard error, clustered by session, so that luck alone seldom opens it.
        """
        tried = np.flatnonzero(observations.settled_by(instant_ns) & ~np.isnan(self.model[:, 0]))
        sessions, where = np.unique(observations.known_ns[tried], return_inverse=True)
        count = len(sessions)
        if count < FEWEST_TRIED_SESSIONS:
            return LEAST_WEIGHT
        apart = steps(self.model[tried]) - steps(self.prior[tried])
        missed = outcome_steps(observations.next_class[tried]) - steps(self.prior[tried])
        rows = np.bincount(where)
        gain = np.bincount(where, weights=(apart * missed).sum(axis=1)) / rows
        size = np.bincount(where, weights=(apart * apart).sum(axis=1)) / rows
        sure = gain.sum() - np.sqrt(count) * gain.std(ddof=1)
        share = sure / size.sum() if size.sum() > 0.0 else 0.0
        return float(np.clip(share, LEAST_WEIGHT, 1.0))


def walk_forward(
    observations: Observations, *, climatology_sessions: int | None = None, flat_sigmas: float = FLAT_SIGMAS
) -> Forecasts:
    """Return forecasts for every row, each from sessions that were settled before the row's week began.

    With fewer than 30 settled sessions, before the policy's warm-up and where a class has hardly been seen, a forecast
    is the climatology. The same observations give the same numbers, and later ones change no earlier number.

    Parameters
    ----------
    climatology_sessions
        newest settled sessions that the climatology is counted from; None is all.
    flat_sigmas
        the band by which the observations were classed.

    Raises
    ------
    ObservationsError
        if a feature or a target is not a finite number.
    """
    series = _blank(observations)
    weeks, first = np.unique((observations.known_ns - FRIDAY_NS) // WEEK_NS, return_index=True)
    ends = np.append(first, len(observations))[1:]
    bases = []
    for begin, end in zip(first.tolist(), ends.tolist(), strict=True):
        basis = _basis(observations, series, int(observations.known_ns[begin]), climatology_sessions, flat_sigmas)
        bases.append(basis)
        _forecast(observations, basis, slice(begin, end), series)
    basis_of = np.repeat(np.arange(len(weeks)), ends - first)
    return Forecasts(series.mixed, series.prior, series.expected, basis_of, tuple(bases))


def _blank(observations: Observations) -> _Series:
    rows = len(observations)
    reads = design(observations)
    wrong = np.argwhere(~np.isfinite(reads))
    if len(wrong):
        row, column = wrong[0].tolist()
        name = (*observations.feature_names, "target")[column]
        raise ObservationsError(
            f"features: {name} of {observations.symbols[int(observations.symbol[row])]} at "
            f"{int(observations.known_ns[row])} is {reads[row, column]}; allowed are finite numbers"
        )
    return _Series(
        reads=reads,
        moved=deviations(observations),
        model=np.full((rows, 3), np.nan),
        prior=np.empty((rows, 3)),
        mixed=np.empty((rows, 3)),
        expected=np.zeros(rows),
    )


def newest_sessions(observations: Observations, rows: BoolArray, sessions: int) -> BoolArray:
    """Return those of the rows that are of their newest sessions, shape (rows,)."""
    known = np.unique(observations.known_ns[rows])
    first = known[-sessions] if len(known) > sessions else 0
    return np.asarray(rows & (observations.known_ns >= first))


def design(observations: Observations) -> Float64Array:
    """Return what a fit reads (rows, F + 1): the policy's features and its target."""
    return np.column_stack((observations.features, observations.target))


def deviations(observations: Observations) -> Float64Array:
    """Return the next session's return over sigma (rows,); 0 over 0 is 0, NaN where it is unknown."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = observations.next_return / observations.sigma
    return np.where(observations.next_return == 0.0, 0.0, found)


def _basis(
    observations: Observations, series: _Series, instant_ns: int, window: int | None, flat_sigmas: float
) -> Basis:
    settled = observations.settled_by(instant_ns)
    counted = settled if window is None else newest_sessions(observations, settled, window)
    usual = climatology(
        len(observations.symbols),
        observations.symbol[counted],
        observations.next_class[counted],
        series.moved[counted],
        flat_sigmas,
    )
    use = settled & observations.warm
    found = fit(series.reads[use], observations.next_class[use], observations.known_ns[use])
    sessions = len(np.unique(observations.known_ns[settled]))
    weight = 0.0 if found is None else series.weight(observations, instant_ns)
    return Basis(instant_ns, sessions, usual, found, weight)


def _forecast(observations: Observations, basis: Basis, part: slice, series: _Series) -> None:
    prior = basis.climatology.shares[observations.symbol[part]]
    series.prior[part] = rounded(prior)
    series.mixed[part] = series.prior[part]
    warm = observations.warm[part]
    if basis.fit is not None and warm.any():
        model = basis.fit.tilted(series.reads[part][warm], prior[warm])
        series.model[part][warm] = model
        series.mixed[part][warm] = rounded(prior[warm] + basis.weight * (model - prior[warm]))
    sigma = np.nan_to_num(observations.sigma[part], nan=0.0)
    series.expected[part] = np.round(sigma * (series.mixed[part] @ basis.climatology.class_means), DECIMALS + 2)


def rounded(probabilities: Float64Array) -> Float64Array:
    """Return them with six decimals and sum 1: the middle class takes what rounding leaves."""
    found = np.round(probabilities, DECIMALS)
    found[:, 2] = np.minimum(found[:, 2], np.round(1.0 - found[:, 0], DECIMALS))
    found[:, 1] = np.maximum(np.round(1.0 - found[:, 0] - found[:, 2], DECIMALS), 0.0)
    return found

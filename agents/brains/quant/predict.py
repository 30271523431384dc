"""One entry: each symbol's next session with probabilities, levels and reasons, from what was known at an instant."""

from dataclasses import dataclass

import numpy as np

from agents.brains.observations import Float64Array, Observations, ObservationsError
from agents.brains.port import Prediction
from agents.brains.quant.forecasts import Forecasts, design
from agents.brains.quant.texts import rationale, risk_factors
from market.calendars import Session

ENTRY_SIGMAS = 0.1  # a limit so much better than the last price
EXIT_SIGMAS = 1.0  # both exits lie so far from the entry: what a session moves
SIGMA_LIMIT = 0.5
PRICE_DECIMALS = 6


@dataclass(frozen=True)
class Place:
    """Where a symbol stands at an instant: its newest row, whether it is of the last closed session, what comes next.

    ``row`` is -1 before its first session.
    """

    row: int
    current: bool
    coming: Session


def places(observations: Observations, as_of_ns: int) -> tuple[Place, ...]:
    """Return each symbol's place at the instant (n,).

    Raises
    ------
    ObservationsError
        if ``as_of_ns`` is later than the observations', or a calendar's sessions end before it.
    """
    if as_of_ns > observations.as_of_ns:
        raise ObservationsError(
            f"as_of_ns {as_of_ns} is later than the observations, which end at {observations.as_of_ns}"
        )
    known = int(np.searchsorted(observations.known_ns, as_of_ns, side="right"))
    return tuple(_place(observations, index, known, as_of_ns) for index in range(len(observations.symbols)))


def _place(observations: Observations, index: int, known: int, as_of_ns: int) -> Place:
    calendar = observations.sessions[index]
    coming = int(np.searchsorted(calendar.opens_ns, as_of_ns))
    if coming == len(calendar):
        raise ObservationsError(
            f"sessions of {observations.symbols[index]} end before as_of_ns {as_of_ns}; they must hold the next session"
        )
    mine = np.flatnonzero(observations.symbol[:known] == index)
    row = int(mine[-1]) if len(mine) else -1
    closed = int(np.searchsorted(calendar.closes_ns, as_of_ns, side="right")) - 1
    current = row >= 0 and closed >= 0 and int(observations.known_ns[row]) >= int(calendar.closes_ns[closed])
    return Place(row, current, calendar.session(coming))


def predictions(observations: Observations, forecasts: Forecasts, as_of_ns: int) -> tuple[Prediction, ...]:
    """Return the entry as of an instant: one prediction for each symbol that ever closed a session.

    A symbol whose last session had no bar gets its climatology, and says so. The class edges are those of the newest
    sigma; entry and exits are limits in sigmas around the last close, on the side of the expected return.

    Raises
    ------
    ObservationsError
        as ``places``.
    """
    found = zip(range(len(observations.symbols)), places(observations, as_of_ns), strict=True)
    return tuple(_prediction(observations, forecasts, index, place) for index, place in found if place.row >= 0)


def climatologies(
    observations: Observations, forecasts: Forecasts, as_of_ns: int
) -> dict[str, tuple[float, float, float]]:
    """Return the climatology behind each symbol's prediction as of an instant."""
    return {
        name: _triple(forecasts.climatology[place.row])
        for name, place in zip(observations.symbols, places(observations, as_of_ns), strict=True)
        if place.row >= 0
    }


def levels(close: float, sigma: float, expected_return: float) -> tuple[float, float, float]:
    """Return entry, take-profit and stop-loss as prices; all of them ``close`` where there is no side or no sigma.

    They lie a tenth of a sigma better than the close, and one sigma either way of the entry, in logarithms, so that no
    price can come out below zero.
    """
    side = float(np.sign(expected_return))
    step = side * min(sigma, SIGMA_LIMIT) if sigma > 0.0 else 0.0
    entry = close * float(np.exp(-ENTRY_SIGMAS * step))
    profit, stop = (entry * float(np.exp(way * EXIT_SIGMAS * step)) for way in (1.0, -1.0))
    return _price(entry), _price(profit), _price(stop)


def _price(value: float) -> float:
    """Return six decimals of a price; all of it where that would leave nothing."""
    return round(value, PRICE_DECIMALS) or value


def _triple(row: Float64Array) -> tuple[float, float, float]:
    down, flat, up = row.tolist()
    return down, flat, up


def _prediction(observations: Observations, forecasts: Forecasts, index: int, place: Place) -> Prediction:
    row, basis = place.row, forecasts.bases[int(forecasts.basis[place.row])]
    usual = forecasts.climatology[row]
    chances = forecasts.probabilities[row] if place.current else usual
    sigma = float(observations.sigma[row])
    expected = float(forecasts.expected_return[row])
    if not place.current:
        expected = float(np.nan_to_num(sigma) * (usual @ basis.climatology.class_means))
    entry, profit, stop = levels(float(observations.close[row]), sigma, expected)
    model = basis.fit if place.current and observations.warm[row] else None
    push = model.push(design(observations)[row : row + 1])[0] if model else np.empty(0)
    return Prediction(
        symbol=observations.symbols[index],
        probabilities=_triple(chances),
        expected_return=expected,
        entry=entry,
        take_profit=profit,
        stop_loss=stop,
        confidence=float(chances.max()),
        risk_factors=risk_factors(observations, basis, place.row, current=place.current, modelled=model is not None),
        rationale=rationale(observations, basis, place.row, push, (chances, usual)),
    )

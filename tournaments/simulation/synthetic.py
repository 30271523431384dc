"""Agents of known skill on drawn sessions, as the plain data that the tournament's own scoring reads."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from agents.brains.observations import FLAT_SIGMAS, Observations, classify
from agents.brains.quant.forecasts import Forecasts
from market.calendars import DAY_NS
from tournaments.record import Score
from tournaments.rules import Rules
from tournaments.scores.accuracy import climatology
from tournaments.scoring import score
from tournaments.stress.marks import Resilience
from tournaments.unit_book import UnitBook

AGENTS = 4
SYMBOLS = 8
TOLD = 0.10  # correlation between its view and the move that every agent believes in
COMMON = 0.3  # correlation between two symbols' moves
SIGMA = 0.01
RESILIENCE, RESILIENCE_ERROR = 0.85, 0.01

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """``moves`` f8 [sessions, symbols] in deviations, ``views`` f8 [agents, sessions, symbols], ``classes`` of moves.

    ``chances`` f8 [agents, sessions, symbols, 3] is what the agents say: all as if their views were worth ``TOLD``, so
    that nothing but the truth in it tells them apart. ``resilience`` f8 [agents], of agents that are equally hard to
    hurt, with the error of having been measured.
    """

    moves: Float64Array
    views: Float64Array
    classes: Int64Array
    chances: Float64Array
    resilience: Float64Array


def draw(generator: np.random.Generator, sessions: int, edges: Float64Array) -> Drawn:
    """Return sessions of standard normal moves, and views with the correlations ``edges`` [agents] with them.

    The noise in the views is independent between agents, sessions and symbols.
    """
    shape = (sessions, SYMBOLS)
    shared = generator.standard_normal((sessions, 1))
    moves = math.sqrt(COMMON) * shared + math.sqrt(1.0 - COMMON) * generator.standard_normal(shape)
    noise = generator.standard_normal((len(edges), *shape))
    worth = edges[:, np.newaxis, np.newaxis]
    views = worth * moves + np.sqrt(1.0 - np.square(worth)) * noise
    errors = RESILIENCE_ERROR * generator.standard_normal(len(edges))
    return Drawn(moves, views, classify(moves, np.ones(shape)), _chances(views), np.clip(RESILIENCE + errors, 0.0, 1.0))


def usual() -> Float64Array:
    """Return the chances of a standard normal move to be down, flat or up [3]."""
    return climatology(np.zeros(3))


class Table:
    """Drawn seasons as observations, forecasts and unit books; scored as of any of their sessions."""

    def __init__(self, drawn: Drawn) -> None:
        sessions = len(drawn.moves)
        names = [f"agent-{k + 1}" for k in range(len(drawn.views))]
        said = _observations(drawn, (np.arange(sessions) + 1) * DAY_NS)
        every = np.broadcast_to(usual(), (sessions * SYMBOLS, 3))
        self._observations = dict.fromkeys(names, said)
        self._forecasts = {
            name: Forecasts(
                drawn.chances[k].reshape(-1, 3), every, np.zeros(len(said)), np.zeros(len(said), dtype=np.int64), ()
            )
            for k, name in enumerate(names)
        }
        held = np.clip(drawn.views, -1.0, 1.0)
        earned = SIGMA * (held * drawn.moves).mean(axis=2)
        known = (np.arange(sessions) + 2) * DAY_NS
        self._books = {
            name: UnitBook(known, earned[k], np.abs(held[k]).mean(axis=1)) for k, name in enumerate(names)
        }  # fmt: skip
        self._resilience = {name: _resilience(name, float(drawn.resilience[k])) for k, name in enumerate(names)}

    def scored(self, sessions: int, rules: Rules) -> tuple[list[Score], float]:
        """Return the scores once so many sessions are settled, and the probability that the first is best."""
        return score(
            self._observations, self._forecasts, self._books, self._resilience, rules=rules,
            as_of_ns=(sessions + 1) * DAY_NS,
        )  # fmt: skip


def _chances(views: Float64Array) -> Float64Array:
    """Return P(down), P(flat) and P(up) [..., 3] of a normal move with mean TOLD x view and what variance is left."""
    left = math.sqrt(1.0 - TOLD**2)
    down = ndtr((-FLAT_SIGMAS - TOLD * views) / left)
    up = ndtr((TOLD * views - FLAT_SIGMAS) / left)
    return np.stack((down, 1.0 - down - up, up), axis=-1)


def _observations(drawn: Drawn, known_ns: Int64Array) -> Observations:
    sessions, symbols = drawn.moves.shape
    rows = sessions * symbols
    return Observations(
        strategy="synthetic", symbols=tuple(f"S{k + 1}" for k in range(symbols)), feature_names=(),
        as_of_ns=int(known_ns[-1]) + DAY_NS, sessions=(), symbol=np.tile(np.arange(symbols), sessions),
        known_ns=np.repeat(known_ns, symbols), features=np.zeros((rows, 0)), target=np.zeros(rows),
        score=np.zeros(rows), warm=np.ones(rows, dtype=np.bool_), close=np.ones(rows), sigma=np.full(rows, SIGMA),
        next_return=SIGMA * drawn.moves.ravel(), next_class=drawn.classes.ravel(),
        settled_ns=np.repeat(known_ns + DAY_NS, symbols),
    )  # fmt: skip


def _resilience(name: str, value: float) -> Resilience:
    return Resilience(
        entrant=name, resilience=value, error=RESILIENCE_ERROR, worst="", cvar95=0.0, flat_bars=0.0, regained=None,
        regain_bars=None, gross=1.0, idle=False, weight=1.0, families=[],
    )  # fmt: skip

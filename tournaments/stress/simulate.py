"""Runs frozen policies over stressed paths, in chunks of paths over threads.

A policy sees bars and nothing else, so its targets are found first and its book traded afterwards. Each path is its
own: neither the number of threads nor the other entrants change a byte of the result.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.layout import ACCOUNT
from market.bars import BarArray, empty_bars
from tournaments.stress.book import RESULTS, dense_closes, run_paths
from tournaments.stress.families import (
    FAKE_HEADLINE,
    LIQUIDITY_DRAIN,
    OVERNIGHT_GAP,
    STALE_DATA,
    UNSTRESSED,
    Plan,
    mislead,
    plan,
    shock,
    spoil,
)
from tournaments.stress.paths import HISTORY, SECOND_NS, PathsError, lay_moves, to_prices
from tournaments.stress.policies import Entrant, Warm, decisions, opens_of, targets_of, to_bars, warm_up
from tournaments.stress.scenarios import BATTERY, Scenario
from tournaments.stress.stage import Stage

CHUNK = 25
MICRO = 1_000_000
SAME_BARS = frozenset({UNSTRESSED, LIQUIDITY_DRAIN, FAKE_HEADLINE})

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """What came of each entrant.

    Attributes
    ----------
    stage : where it happened.
    scenarios : those asked for; the unstressed market is not among them.
    names, weights : of the entrants, in their order; weights [entrants].
    results : f8 [entrants, 1 + scenarios, paths, 8], the unstressed market first; columns as in book.py.
    equity : f8 [entrants, 1 + scenarios, paths, bars] where asked for, else of no paths.
    """

    stage: Stage
    scenarios: tuple[Scenario, ...]
    names: tuple[str, ...]
    weights: Float64Array
    results: Float64Array
    equity: Float64Array


@njit(cache=True, nogil=True)
def lay_paths(  # noqa: PLR0917 - compiled code is called with positions
    code: int,
    event: int,
    size: Float64Array,
    turned: Int64Array,
    first: float,
    second: float,
    sessions: Int64Array,
    moves: Float64Array,
    start: Float64Array,
    sigma: Float64Array,
    daily_sigma: Float64Array,
    out: Float64Array,
) -> None:
    """Write stressed paths [p, bars, n, 5] into ``out``."""
    for p in range(len(out)):
        lay_moves(sessions[p], moves, out[p])
        shock(code, out[p], event, size[p], turned[p], first, second, sigma, daily_sigma)
        to_prices(start, out[p])


def simulate(
    given: Stage, entrants: Sequence[Entrant], scenarios: Sequence[Scenario] = BATTERY, *, threads: int = 1,
    curves: bool = False,
) -> Outcomes:  # fmt: skip
    """Run every entrant over every path of the unstressed market and of each scenario.

    Parameters
    ----------
    given : the round's stage.
    entrants : any number, of different names.
    scenarios : by default the common battery.
    threads : how many; the result is the same bytes for any.
    curves : whether to keep every bar's equity (8 bytes a bar, path, scenario and entrant).

    Raises
    ------
    PathsError
        if names repeat, parameters are not finite, threads are not 1 to 64, or a policy says no finite target.
    """
    names = tuple(entrant.name for entrant in entrants)
    if len(set(names)) < len(names):
        raise PathsError(f"entrants = {', '.join(names)} must have different names")
    if not 1 <= threads <= 64:
        raise PathsError(f"threads = {threads} must be 1 to 64")
    for entrant in entrants:
        if not np.isfinite(entrant.parameters).all():
            raise PathsError(f"{entrant.name}: parameters {entrant.parameters.tolist()} must be finite")
    warm = [warm_up(given, entrant) for entrant in entrants]
    plans = [plan(scenario, given.pool, given.draws) for scenario in (None, *scenarios)]
    paths, bars = given.draws.sessions.shape
    results = np.zeros((len(warm), len(plans), paths, RESULTS))
    equity = np.zeros((len(warm), len(plans), paths if curves else 0, bars))
    chunks = [_Chunk(given, warm, plans, start, (results, equity)) for start in range(0, paths, CHUNK)]
    if threads == 1:
        for chunk in chunks:
            chunk.run()
    else:
        with ThreadPoolExecutor(threads) as workers:
            list(workers.map(_Chunk.run, chunks))
    weights = np.array([each.weight for each in warm])
    return Outcomes(given, tuple(scenarios), names, weights, results, equity)


class _Market(NamedTuple):
    """Paths as they are and as they are seen, f8 [p, bars, n, 5], and the closes of both, those before them first."""

    paths: Float64Array
    closes: Float64Array
    seen: Float64Array
    believed: Float64Array


class _Chunk:
    """Some paths through all scenarios and entrants."""

    def __init__(
        self, given: Stage, warm: list[Warm], plans: list[Plan], start: int, into: tuple[Float64Array, Float64Array]
    ) -> None:  # fmt: skip
        self.given, self.warm, self.plans = given, warm, plans
        self.mine = slice(start, start + CHUNK)
        self.results, self.curves = into

    def run(self) -> None:
        """Fill this chunk's rows of the results."""
        terms, pool = self.given.terms, self.given.pool
        shape = (len(self.given.draws.sessions[self.mine]), pool.length, len(pool.start), 5)
        self.account = np.zeros(1, dtype=ACCOUNT)
        self.account["cash_micro"] = round(terms.capital * MICRO)
        self.scratch, other, spoilt = np.empty(shape[:2]), np.empty(shape), np.empty(shape)
        base = self._market(self.plans[0], np.empty(shape))
        said = self._targets(self.plans[0], base)
        for s, scenario in enumerate(self.plans):
            market, targets = base, said
            if scenario.code == STALE_DATA:
                market = self._spoilt(scenario, base, spoilt)
            elif scenario.code not in SAME_BARS:
                market = self._market(scenario, other)
            if market is not base:
                targets = self._targets(scenario, market)
            for k, each in enumerate(self.warm):
                self._trade(s, k, each, scenario, market, targets[k])

    def _market(self, scenario: Plan, out: Float64Array) -> _Market:
        pool = self.given.pool
        lay_paths(
            scenario.code, scenario.event, scenario.size[self.mine], scenario.turned[self.mine], scenario.first,
            scenario.second, self.given.draws.sessions[self.mine], pool.moves, pool.start, pool.sigma,
            pool.daily_sigma, out,
        )  # fmt: skip
        closes = self._closes(out)
        return _Market(out, closes, out, closes)

    def _closes(self, paths: Float64Array) -> Float64Array:
        closes = np.empty((len(paths), HISTORY + paths.shape[1], paths.shape[2]))
        dense_closes(paths, self.given.pool.closes, closes)
        return closes

    def _spoilt(self, scenario: Plan, true: _Market, out: Float64Array) -> _Market:
        out[:] = true.paths
        pool, uniform = self.given.pool, self.given.draws.bars[self.mine]
        for p, begins in enumerate(scenario.turned[self.mine]):
            size = scenario.size[self.mine][p]
            spoil(out[p], pool.start, begins, scenario.event, scenario.first, size, uniform[p], pool.daily_sigma)
        return _Market(true.paths, true.closes, out, self._closes(out))

    def _targets(self, scenario: Plan, market: _Market) -> list[Float64Array]:
        """Return each entrant's targets [decisions, paths x symbols] over what it sees."""
        window, seen = self.given.pool.window, market.seen
        night = scenario.event if scenario.code == OVERNIGHT_GAP else 0
        opens = opens_of(self.given, night, len(window.bars), seen.shape[1])
        bars: dict[int, BarArray] = {}
        for group in {each.group for each in self.warm}:
            bars[group] = empty_bars(decisions(seen.shape[1], group), seen.shape[0] * seen.shape[2])
            to_bars(seen, group, opens, window.interval_s * SECOND_NS, bars[group])
        return [
            targets_of(each.entrant, np.tile(each.state, len(seen)), np.tile(each.held, len(seen)), bars[each.group])
            for each in self.warm
        ]

    def _trade(  # noqa: PLR0917 - one book and what it meets
        self, s: int, k: int, each: Warm, scenario: Plan, market: _Market, said: Float64Array
    ) -> None:
        given, paths = self.given, market.paths
        targets = said.reshape(len(said), len(paths), -1)
        spread, depth = (scenario.first, scenario.second) if scenario.code == LIQUIDITY_DRAIN else (1.0, 1.0)
        if scenario.code == FAKE_HEADLINE:
            targets = targets.copy()
            for p, path in enumerate(paths):
                mislead(targets[:, p], path, scenario.event, each.group, scenario.first, scenario.second)
        event = 0 if scenario.code == STALE_DATA else scenario.event
        equity = self.curves[k, s, self.mine] if self.curves.shape[2] else self.scratch
        run_paths(
            given.terms.symbols, self.account, paths, market.closes, market.believed, scenario.code == STALE_DATA,
            each.held, targets, each.group, given.budgets, each.weight, given.terms.band, given.terms.costs, event,
            spread, depth, equity, self.results[k, s, self.mine],
        )  # fmt: skip

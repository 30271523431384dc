"""Runs frozen policies over stressed paths, in chunks of paths over threads.

A policy sees bars and nothing else, so its targets are found first and its book traded afterwards. Each path is its
own: neither the number of threads nor the other entrants change a byte of the result.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.layout import ACCOUNT
from market.bars import empty_bars
from tournaments.stress.book import RESULTS, dense_closes, room_of, run_paths
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
from tournaments.stress.paths import HISTORY, SECOND_NS, PathsError, Pool, lay_moves, to_prices
from tournaments.stress.policies import Entrant, Warm, decisions, opens_of, targets_of, to_bars, warm_up
from tournaments.stress.scenarios import BATTERY, Scenario
from tournaments.stress.stage import Stage

CHUNK = 10  # paths that stay in a core's own cache
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
    closes: Float64Array,
) -> None:
    """Write stressed paths [p, bars, n, 5] into ``out``, their closes into ``closes`` [p, n, room]."""
    for p in range(len(out)):
        lay_moves(sessions[p], moves, out[p])
        shock(code, out[p], event, size[p], turned[p], first, second, sigma, daily_sigma)
        to_prices(start, out[p])
        dense_closes(out[p], closes[p])


@njit(cache=True, nogil=True)
def spoil_paths(  # noqa: PLR0917 - compiled code is called with positions
    true: Float64Array,
    begins: Int64Array,
    frozen: int,
    corrupt: float,
    size: Float64Array,
    uniform: Float64Array,
    start: Float64Array,
    daily_sigma: Float64Array,
    out: Float64Array,
    closes: Float64Array,
) -> None:
    """Write what is seen of true paths [p, bars, n, 5] where data are stale and misprinted; else as ``lay_paths``."""
    for p in range(len(out)):
        out[p] = true[p]
        spoil(out[p], start, begins[p], frozen, corrupt, size[p], uniform[p], daily_sigma)
        dense_closes(out[p], closes[p])


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
    plans = [plan(scenario, given.pool, given.draws) for scenario in (None, *scenarios)]
    paths, bars = given.draws.sessions.shape
    results = np.zeros((len(entrants), len(plans), paths, RESULTS))
    equity = np.zeros((len(entrants), len(plans), paths if curves else 0, bars))
    starts = iter(range(0, paths, CHUNK))  # of all workers: who is done takes the next
    with ThreadPoolExecutor(threads) as pool:
        warm = list(pool.map(warm_up, repeat(given), entrants))
        workers = [_Worker(given, warm, plans, (results, equity)) for _ in range(min(threads, -(-paths // CHUNK)))]
        list(pool.map(_Worker.run, workers, repeat(starts)))
    weights = np.array([each.weight for each in warm])
    return Outcomes(given, tuple(scenarios), names, weights, results, equity)


class _Market(NamedTuple):
    """Paths f8 [p, bars, n, 5] and their closes f8 [p, n, room_of(bars)], those before them first."""

    paths: Float64Array
    closes: Float64Array

    def part(self, count: int) -> "_Market":
        """Return room for the first ``count`` paths."""
        return _Market(self.paths[:count], self.closes[:count])


def _market(pool: Pool) -> _Market:
    """Return room for a chunk of paths; the closes before them are the same for all."""
    n = len(pool.start)
    closes = np.zeros((CHUNK, n, room_of(pool.length)))
    closes[:, :, :HISTORY] = pool.closes.T
    return _Market(np.empty((CHUNK, pool.length, n, 5)), closes)


class _Worker:
    """Takes some paths after others through all scenarios and entrants, in room of its own."""

    def __init__(
        self, given: Stage, warm: list[Warm], plans: list[Plan], into: tuple[Float64Array, Float64Array]
    ) -> None:  # fmt: skip
        self.given, self.warm, self.plans = given, warm, plans
        self.results, self.curves = into
        bars, n = given.pool.length, len(given.pool.start)
        self.account = np.zeros(1, dtype=ACCOUNT)
        self.account["cash_micro"] = round(given.terms.capital * MICRO)
        self.rooms = [_market(given.pool) for _ in range(3)]
        self.bars = {each.group: empty_bars(decisions(bars, each.group), CHUNK * n) for each in warm}
        self.scratch = np.empty((CHUNK, bars))

    def run(self, starts: Iterator[int]) -> None:
        """Fill the rows of the results that begin at each start."""
        for start in starts:
            self.mine = slice(start, start + CHUNK)
            self._chunk(len(self.given.draws.sessions[self.mine]))

    def _chunk(self, count: int) -> None:
        base, other, spoilt = (room.part(count) for room in self.rooms)
        self._lay(self.plans[0], base)
        said = self._targets(self.plans[0], base.paths)
        for s, scenario in enumerate(self.plans):
            true = seen = base
            targets = said
            if scenario.code == STALE_DATA:
                seen = spoilt
                self._spoil(scenario, base, spoilt)
            elif scenario.code not in SAME_BARS:
                true = seen = other
                self._lay(scenario, other)
            if seen is not base:
                targets = self._targets(scenario, seen.paths)
            for k, each in enumerate(self.warm):
                self._trade(s, k, each, scenario, (true, seen), targets[k])

    def _lay(self, scenario: Plan, out: _Market) -> None:
        pool = self.given.pool
        lay_paths(
            scenario.code, scenario.event, scenario.size[self.mine], scenario.turned[self.mine], scenario.first,
            scenario.second, self.given.draws.sessions[self.mine], pool.moves, pool.start, pool.sigma,
            pool.daily_sigma, out.paths, out.closes,
        )  # fmt: skip

    def _spoil(self, scenario: Plan, true: _Market, out: _Market) -> None:
        pool = self.given.pool
        spoil_paths(
            true.paths, scenario.turned[self.mine], scenario.event, scenario.first, scenario.size[self.mine],
            self.given.draws.bars[self.mine], pool.start, pool.daily_sigma, out.paths, out.closes,
        )  # fmt: skip

    def _targets(self, scenario: Plan, seen: Float64Array) -> list[Float64Array]:
        """Return each entrant's targets [decisions, paths x symbols] over what it sees."""
        window = self.given.pool.window
        night = scenario.event if scenario.code == OVERNIGHT_GAP else 0
        opens = opens_of(self.given, night, len(window.bars), seen.shape[1])
        rows = seen.shape[0] * seen.shape[2]
        for group, bars in self.bars.items():
            to_bars(seen, group, opens, window.interval_s * SECOND_NS, bars[:, :rows])
        return [
            targets_of(
                each.entrant, np.tile(each.state, len(seen)), np.tile(each.held, len(seen)),
                self.bars[each.group][:, :rows],
            )
            for each in self.warm
        ]  # fmt: skip

    def _trade(  # noqa: PLR0917 - one book and what it meets
        self, s: int, k: int, each: Warm, scenario: Plan, markets: tuple[_Market, _Market], said: Float64Array
    ) -> None:
        given, (true, seen) = self.given, markets
        targets = said.reshape(len(said), len(true.paths), -1)
        spread, depth = (scenario.first, scenario.second) if scenario.code == LIQUIDITY_DRAIN else (1.0, 1.0)
        if scenario.code == FAKE_HEADLINE:
            targets = targets.copy()
            for p, path in enumerate(true.paths):
                mislead(targets[:, p], path, scenario.event, each.group, scenario.first, scenario.second)
        event = 0 if scenario.code == STALE_DATA else scenario.event
        equity = self.curves[k, s, self.mine] if self.curves.shape[2] else self.scratch
        run_paths(
            given.terms.symbols, self.account, true.paths, true.closes, seen.closes, scenario.code == STALE_DATA,
            each.held, targets, each.group, given.budgets, each.weight, given.terms.band, given.terms.costs, event,
            spread, depth, equity, self.results[k, s, self.mine],
        )  # fmt: skip

"""`./station bench tournament_stress`: the stress of one round, K strategies x 6 scenarios x 200 paths x 390 bars x 8.

K = 2, 4 and 8 at three volatilities, warm; the reference of the same run is the unstressed paths alone, made by NumPy
in one go from the same draws. "cpu ms" is the processor time of all threads: it tells how long it takes where nothing
else runs. Prices are seeded random walks with a common factor. "ready" is what a process waits for once: compiled code
loaded or made. Making the stage (window and draws) is timed beside.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from agents.strategies import STRATEGIES, parameter_array
from engine.configuration import load_settings
from market.instruments import Instrument
from tournaments.stress.paths import VOLUME, Window, window
from tournaments.stress.policies import Entrant
from tournaments.stress.resilience import score
from tournaments.stress.scenarios import BATTERY
from tournaments.stress.simulate import simulate
from tournaments.stress.stage import Stage, stage, terms

REACH_MS = 200.0
SESSIONS, BARS, SYMBOLS, PATHS = 20, 390, 8, 200
VOLATILITIES = (0.005, 0.01, 0.02)  # of a day
ENTRANTS = (2, 4, 8)


def main(argv: list[str]) -> int:
    """Measure and print; return 0 if four strategies are within reach at every volatility."""
    parser = argparse.ArgumentParser(prog="bench tournament_stress", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    given = parser.parse_args(argv)
    figures = measure(max(1, given.repeat), min(64, max(1, given.threads)))
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures)
    return 0 if all(row["ms"] <= REACH_MS for row in figures["rows"] if row["entrants"] == 4) else 1


def measure(repeat: int, threads: int) -> dict[str, Any]:
    """Return milliseconds and the ratio to bare paths for each number of entrants and volatility; resident memory."""
    began = time.perf_counter()
    simulate(make_stage(0.01, 2, 1), entrants(4), threads=1)
    ready = time.perf_counter() - began
    before = _peak_mb()
    rows = []
    for volatility in VOLATILITIES:
        staged = make_stage(volatility, PATHS, 1)
        bare = _median_ms(lambda staged=staged: bare_paths(staged), repeat)
        for count in ENTRANTS:
            took = _median_ms(lambda n=count, s=staged: score(simulate(s, entrants(n), threads=threads)), repeat)
            began = time.process_time()
            score(simulate(staged, entrants(count), threads=threads))
            rows.append({
                "entrants": count, "volatility": volatility, "ms": round(took, 1),
                "cpu_ms": round((time.process_time() - began) * 1e3, 1), "bare_paths_ms": round(bare, 1),
                "ratio": round(took / bare, 1),
            })  # fmt: skip
    made = _median_ms(lambda: make_stage(0.01, PATHS, 1), 3)
    return {
        "scenarios": len(BATTERY), "paths": PATHS, "bars": BARS, "symbols": SYMBOLS, "threads": threads,
        "rows": rows, "stage_ms": round(made, 1), "ready_s": round(ready, 1), "peak_mb": round(_peak_mb(), 1),
        "grown_mb": round(_peak_mb() - before, 1), "reach_ms_of_4": REACH_MS,
    }  # fmt: skip


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    print(f"{'strategies':>10} {'volatility':>10} {'ms':>9} {'cpu ms':>8} {'bare paths ms':>14} {'ratio':>7}")
    for row in figures["rows"]:
        print(
            f"{row['entrants']:>10} {row['volatility']:>10.1%} {row['ms']:>9.1f} {row['cpu_ms']:>8.1f} "
            f"{row['bare_paths_ms']:>14.1f} {row['ratio']:>7.1f}"
        )
    print(", ".join(f"{name} {value}" for name, value in figures.items() if name != "rows"))


def entrants(count: int) -> list[Entrant]:
    """Return so many entrants: the station's strategies, again under other names after the fourth."""
    chosen = (STRATEGIES * (count // len(STRATEGIES) + 1))[:count]
    return [Entrant(f"{policy.name}-{k}", policy, parameter_array(policy, {})) for k, policy in enumerate(chosen)]


def make_stage(volatility: float, paths: int, seed: int) -> Stage:
    """Return a stage of walking prices: deviation a day, correlation a half."""
    settings = load_settings()
    names = tuple(f"S{i}" for i in range(SYMBOLS))
    instruments = [
        Instrument(symbol=n, asset_class="equity", exchange="BENCH", calendar="XNYS", currency="USD", tick=0.01)
        for n in names
    ]
    conditions = terms(instruments, settings.costs, capital=settings.account.initial_cash)
    return stage(walk(names, volatility, seed), conditions, seed=seed, paths=paths)


def walk(names: tuple[str, ...], volatility: float, seed: int) -> Window:
    """Return twenty sessions of minutes."""
    chance = np.random.default_rng(seed)
    shape = (SESSIONS, BARS, len(names))
    shocks = np.sqrt(0.5) * (chance.standard_normal((*shape[:2], 1)) + chance.standard_normal(shape))
    closes = 100.0 * np.cumprod(1.0 + volatility / np.sqrt(BARS) * shocks.reshape(-1, len(names)), axis=0)
    opens = np.concatenate((np.full((1, len(names)), 100.0), closes[:-1]))
    reach = 1.0 + volatility / np.sqrt(BARS) * np.abs(chance.standard_normal(closes.shape)) * 0.5
    highs, lows = np.maximum(opens, closes) * reach, np.minimum(opens, closes) / reach
    volumes = chance.gamma(2.0, 25_000.0, closes.shape)
    return window(names, 60, np.stack((opens, highs, lows, closes, volumes), axis=-1).reshape(*shape, 5))


def bare_paths(staged: Stage) -> np.ndarray:
    """Return the unstressed paths as NumPy makes them: one gather, one cumulative product."""
    moves = staged.pool.moves[staged.draws.sessions, np.arange(staged.pool.length) % BARS]
    before = np.cumprod(moves[..., 3], axis=1) / moves[..., 3] * staged.pool.start
    moves[..., :VOLUME] *= before[..., np.newaxis]
    return moves


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _median_ms(call: Callable[[], object], repeat: int) -> float:
    call()
    took = []
    for _ in range(repeat):
        began = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 1e6

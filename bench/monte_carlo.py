"""`./station bench monte_carlo`: value at risk of 100,000 simulated paths by 8 assets, by one matrix product's time.

The draws are made beforehand, as the station makes them; making them is timed beside.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

from risk.measures.monte_carlo import draw, simulate, tail

PATHS, ASSETS, REACH = 100_000, 8, 3.0
LEVELS = (0.95, 0.99)


def main(argv: list[str]) -> int:
    """Measure and print; return 0 if the ratio is within reach."""
    parser = argparse.ArgumentParser(prog="bench monte_carlo", description=__doc__)
    parser.add_argument("--repeat", type=int, default=51)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    figures = measure(max(3, given.repeat))
    print(json.dumps(figures, indent=None if given.json else 2))
    return 0 if figures["ratio"] <= REACH else 1


def measure(repeat: int) -> dict[str, float]:
    """Return milliseconds of the product [paths, n] x [n, n], of VaR and ES at both levels, and of the draws."""
    draws = draw(PATHS, ASSETS, seed=1, degrees=5.0)
    covariance = np.full((ASSETS, ASSETS), 1e-4) + np.diag(np.linspace(1e-4, 4e-4, ASSETS))
    weights, square = np.full((1, ASSETS), 1.0 / ASSETS), np.linalg.cholesky(covariance).T.copy()

    def figures() -> None:
        losses = simulate(draws, covariance, weights)[:, 0]
        for level in LEVELS:
            tail(losses, level)

    product = _median_ms(lambda: draws.normals @ square, repeat)
    value = _median_ms(figures, repeat)
    drawn = _median_ms(lambda: draw(PATHS, ASSETS, seed=1, degrees=5.0), 5)
    return {
        "paths": PATHS, "assets": ASSETS, "matrix_product_ms": round(product, 3), "var_and_es_ms": round(value, 3),
        "ratio": round(value / product, 2), "draws_ms": round(drawn, 1), "reach": REACH,
    }  # fmt: skip


def _median_ms(call: Callable[[], object], repeat: int) -> float:
    call()
    took = []
    for _ in range(repeat):
        began = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 1e6

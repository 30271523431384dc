"""Seeds of the deterministic simulation of the worker, on all cores: crashes, torn disks, kills, brokers that lie.

One seed alone prints what happened in it, step by step; ``--steps`` cuts its market short, to shrink a finding by hand.
"""

import argparse
import json
import logging
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from rich.progress import Progress

CHUNK = 50
SHOWN = 20


def main(argv: list[str]) -> int:
    """Run seeds and print what they found; return 1 where they found something."""
    parser = argparse.ArgumentParser(
        prog="bench simulation", description=__doc__,
        epilog="example: ./station bench simulation --seeds 100000    one seed: --seeds 1 --seed 4711",
    )  # fmt: skip
    parser.add_argument("--seeds", type=_positive, default=300, help="how many seeds (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--steps", type=_positive, default=None, help="of each seed's market only so many slices")
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    arguments = parser.parse_args(argv)
    if arguments.seeds == 1:
        return _one(arguments.seed, arguments.steps)
    figures = measure(arguments.seed, arguments.seeds, arguments.steps)
    print(json.dumps(figures, indent=None if arguments.json else 2))
    return 1 if figures["findings"] else 0


def measure(first: int, count: int, steps: int | None) -> dict[str, Any]:
    """Run seeds on all cores; return seeds, seconds, what happened in them, and a command for each finding."""
    began, totals, findings = time.perf_counter(), Counter[str](), list[str]()
    chunks = [(low, min(low + CHUNK, first + count), steps) for low in range(first, first + count, CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool, Progress(transient=True, disable=None) as shown:
        task = shown.add_task("seeds", total=count)
        for (low, high, _), (counted, found) in zip(chunks, pool.map(_chunk, chunks), strict=True):
            totals.update(counted)
            findings += found
            shown.update(task, advance=high - low)
    seconds = time.perf_counter() - began
    return {
        "seeds": count, "first": first, "seconds": round(seconds, 1), "seconds_per_seed": round(seconds / count, 4),
        **dict(sorted(totals.items())), "findings": len(findings), "replay": findings[:SHOWN],
    }  # fmt: skip


def _chunk(given: tuple[int, int, int | None]) -> tuple[Counter[str], list[str]]:
    from tests.simulation.simulation import run_seed  # noqa: PLC0415 - the tests' folder is needed by this alone

    logging.disable(logging.CRITICAL)
    low, high, steps = given
    totals, findings = Counter[str](), list[str]()
    for seed in range(low, high):
        result = run_seed(seed, steps=steps)
        totals.update({"crashes": result.crashes, "orders": result.orders})
        totals.update(result.counts)
        if result.finding:
            cut = "" if steps is None else f" --steps {steps}"
            findings.append(f"./station bench simulation --seeds 1 --seed {seed}{cut}    # {result.finding[:200]}")
    return totals, findings


def _one(seed: int, steps: int | None) -> int:
    from tests.simulation.simulation import run_seed  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
    result = run_seed(seed, steps=steps, tracing=True)
    print("\n".join(result.trace))
    print(json.dumps({"seed": seed, "crashes": result.crashes, "orders": result.orders, **result.counts}))
    print(result.finding or "every invariant holds")
    return 1 if result.finding else 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)

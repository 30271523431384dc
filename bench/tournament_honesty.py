"""`./station bench tournament_honesty`: whether the tournament's statistics are honest, by the tournament's own code.

Agents of known skill on drawn sessions, scored as a round scores them: who wins among equals, whether the reported
probability that the first is best comes true, what luck does to base weights and to the pool, how long a better one
takes to be found, whether the luckiest of a hundred books is believed in, and what climatology scores.

example: ./station bench tournament_honesty --size 0.1
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import chisquare

from tournaments.allocation.base import base_shares
from tournaments.allocation.decide import Weights, Wishes, decide
from tournaments.rules import Rules
from tournaments.scores.accuracy import accuracy, climatology, skill
from tournaments.scores.hierarchy import SAME
from tournaments.scores.performance import deflated_sharpe, effective_trials, probabilistic_sharpe, sharpe
from tournaments.simulation.honesty import binomial_error, evidence, identical, planted
from tournaments.simulation.synthetic import AGENTS, SYMBOLS, Table, draw, usual

SESSIONS = 20  # of a synthetic season that is scored
YEAR, WEEK = 252, 5
BINS = (0.0, 0.27, 0.3, 0.35, 0.45, 0.6, 0.8, 1.0 + 1e-9)
WEEKS = (13, 26, 52)
TRIALS = 100
BELIEVED = 0.95
SUREST = 3.5  # binomial deviations by which a bin of the reliability table may be oversold
MOST_OF_EQUALS = 0.33  # that may be reported on average of the first of four equals, who is best with 0.25
EDGE_ERROR = 1.0 / math.sqrt(SESSIONS * SYMBOLS)  # of a correlation that so many moves show


def main(argv: list[str]) -> int:
    """Measure and print; return 1 where a figure is not what honest statistics give."""
    parser = argparse.ArgumentParser(prog="bench tournament_honesty", description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=float, default=1.0, help="of the full numbers of seasons")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    given = parser.parse_args(argv)
    figures = measure(min(100.0, max(0.001, given.size)), given.seed)
    print(json.dumps(figures) if given.json else json.dumps(figures, indent=2))
    return 0 if all(found["honest"] for found in figures.values()) else 1


def measure(size: float, seed: int) -> dict[str, Any]:
    """Return every question's figures with ``honest`` and the seconds it took."""
    rules = Rules()

    def many(full: int) -> int:
        return max(2, round(full * size))

    asked: dict[str, Callable[[], dict[str, Any]]] = {
        "four identical agents": lambda: equals(rules, many(1000), seed),
        "reported against observed, equals": lambda: reliability(many(1000), seed, same=1.0),
        "reported against observed, skills of the prior": lambda: reliability(many(2000), seed, same=SAME),
        "base weights of four without skill": lambda: base_weights(many(250), seed),
        "evidence without skill": lambda: opened(rules, many(1000), seed),
        "a planted better forecaster": lambda: found_after(rules, many(40), seed),
        "the luckiest of a hundred books": lambda: luckiest(many(500), seed),
        "climatology": lambda: scored_climatology(many(500), seed),
    }
    figures = {}
    for name, ask in asked.items():
        began = time.perf_counter()
        found = ask()
        figures[name] = {**found, "seconds": round(time.perf_counter() - began, 1)}
    return figures


def equals(rules: Rules, rounds: int, seed: int) -> dict[str, Any]:
    """Return who wins: each a quarter, within the binomial error."""
    found = identical(rules, rounds, seed)
    unlikely = float(chisquare(found.wins).pvalue)
    return {
        "rounds": rounds, "shares": [round(won / rounds, 4) for won in found.wins],
        "share_error": round(found.share_error, 4), "chi_square_p": round(unlikely, 4),
        "false_winner_rate_at_90": found.false_winner_rate, "honest": unlikely > 1e-3,
    }  # fmt: skip


def reliability(seasons: int, seed: int, *, same: float) -> dict[str, Any]:
    """Return the reported probability that the first is best by bins, and how often it was.

    Skills are the correlations of views with moves, drawn as the posterior believes them to be beforehand: with
    probability ``same`` all are equal, else normal around 0 with a deviation that the prior draws, in errors. Bins come
    true over such seasons; among equals alone, whom the posterior never takes for granted, only the mean is asked for.
    """
    generator, rules = np.random.default_rng([seed, round(100 * same)]), Rules()
    reported, came = np.empty(seasons), np.empty(seasons)
    for k in range(seasons):
        edges = drawn_edges(generator, same)
        scores, _ = Table(draw(generator, SESSIONS, edges)).scored(SESSIONS, rules)
        first = int(np.argmax([row.total for row in scores]))
        best = int(generator.choice(np.flatnonzero(edges == edges.max())))
        reported[k], came[k] = scores[first].best, first == best
    bins = rows(reported, came)
    mean, true = float(reported.mean()), float(came.mean())
    return {
        "seasons": seasons, "reported": round(mean, 4), "observed": round(true, 4),
        "error": round(binomial_error(float(came.sum()), seasons), 4), "bins": bins,
        "honest": mean < MOST_OF_EQUALS if same == 1.0 else not any(row["oversold"] for row in bins),
    }  # fmt: skip


def drawn_edges(generator: np.random.Generator, same: float) -> np.ndarray:
    """Return four skills; equal ones are 0."""
    share = generator.uniform()
    if generator.uniform() < same:
        return np.zeros(AGENTS)
    tau = EDGE_ERROR * math.sqrt((1.0 - share) / share)
    return np.asarray(np.clip(tau * generator.standard_normal(AGENTS), -0.95, 0.95))


def rows(reported: np.ndarray, came: np.ndarray) -> list[dict[str, Any]]:
    """Return the bins that hold seasons; ``error`` is binomial of what was reported."""
    found = []
    for low, high in pairwise(BINS):
        here = (reported >= low) & (reported < high)
        count = int(here.sum())
        if count:
            said, true = float(reported[here].mean()), float(came[here].mean())
            found.append({
                "from": low, "to": round(high, 2), "seasons": count, "reported": round(said, 4),
                "observed": round(true, 4), "error": round(error := math.sqrt(said * (1.0 - said) / count), 4),
                "oversold": bool(said - true > SUREST * error),
            })  # fmt: skip
    return found


def base_weights(paths: int, seed: int) -> dict[str, Any]:
    """Return the largest base weight, a fraction of capital, of four books without skill: wished for and deployed."""
    returns = np.random.default_rng([seed, 2]).normal(0.0, 0.01, (paths, WEEKS[-1] * WEEK, AGENTS))
    wished, deployed = (np.empty((paths, len(WEEKS))) for _ in range(2))
    for k, path in enumerate(returns):
        held = Weights(np.full(AGENTS, 0.9 / AGENTS), np.zeros(AGENTS))
        for week in range(4, WEEKS[-1] + 1):
            ratios = [sharpe(path[: WEEK * week, agent]) for agent in range(AGENTS)]
            shares = base_shares(ratios, np.full(AGENTS, WEEK * week / YEAR))
            made = decide(held, Wishes(shares, np.zeros(AGENTS), 0.0), benched=np.zeros(AGENTS, dtype=np.bool_))
            held = Weights(made.base, made.competitive)
            if week in WEEKS:
                place = WEEKS.index(week)
                wished[k, place], deployed[k, place] = 0.9 * shares.max(), made.base.max()
    table = [
        {
            "weeks": weeks, "wished_mean": round(float(wished[:, k].mean()), 4),
            "wished_95": round(float(np.quantile(wished[:, k], 0.95)), 4),
            "deployed_mean": round(float(deployed[:, k].mean()), 4),
            "deployed_95": round(float(np.quantile(deployed[:, k], 0.95)), 4),
        }
        for k, weeks in enumerate(WEEKS)
    ]  # fmt: skip
    return {"paths": paths, "table": table, "honest": all(row["wished_mean"] < 0.32 for row in table)}


def opened(rules: Rules, seasons: int, seed: int) -> dict[str, Any]:
    """Return in how many seasons of agents without skill the pool was ever fully open; at most 1/20 may be."""
    found = evidence(rules, seasons, seed)
    return {
        "seasons": seasons, "rounds": found.rounds, "ever_fully_open": found.fully_open,
        "error": round(found.fully_open_error, 4), "regret_a_round": round(found.regret, 5),
        "regret_bound": round(found.regret_bound, 5), "above_bound": found.above_bound,
        "honest": found.fully_open <= 1.0 / rules.evidence_full and not found.above_bound,
    }  # fmt: skip


def found_after(rules: Rules, seasons: int, seed: int) -> dict[str, Any]:
    """Return after how many rounds a better forecaster is named, by how much it knows, and how often another is."""
    table = []
    for edge in (0.1, 0.2, 0.4):
        found = planted(rules, seasons, seed, edge)
        table.append({
            "edge": edge, "median_rounds": found.rounds, "found": found.found, "error": round(found.found_error, 4),
            "misnamed": found.misnamed, "misnamed_error": round(found.misnamed_error, 4),
        })  # fmt: skip
    rounds = [row["median_rounds"] or math.inf for row in table]
    return {
        "seasons": seasons, "horizon": found.horizon, "table": table,
        "honest": rounds == sorted(rounds, reverse=True) and table[-1]["found"] == 1.0,
    }  # fmt: skip


def luckiest(fields: int, seed: int) -> dict[str, Any]:
    """Return how often the best of a hundred books without skill is believed in, deflated and not."""
    generator = np.random.default_rng([seed, 3])
    deflated, plain = np.empty(fields), np.empty(fields)
    for k in range(fields):
        books = generator.normal(0.0, 0.01, (TRIALS, YEAR))
        ratios = np.array([sharpe(book) for book in books])
        best = books[int(np.argmax(ratios))]
        trials = effective_trials(np.corrcoef(books))
        deflated[k] = deflated_sharpe(best, trials=trials, trial_variance=float(ratios.var(ddof=1)))
        plain[k] = probabilistic_sharpe(best)
    believed = int((deflated > BELIEVED).sum())
    share, error = believed / fields, binomial_error(believed, fields)
    return {
        "fields": fields, "trials": TRIALS, "sessions": YEAR, "believed_deflated": share, "error": round(error, 4),
        "believed_undeflated": float((plain > BELIEVED).mean()), "honest": share <= 1.0 - BELIEVED + 3.0 * error,
    }  # fmt: skip


def scored_climatology(seasons: int, seed: int) -> dict[str, Any]:
    """Return the accuracy of who says the climatology itself, and of who says the true chances against a counted one.

    The second knows what the window of 252 sessions could only estimate, and is no better by more than that is worth.
    """
    generator = np.random.default_rng([seed, 4])
    itself, known = np.empty(seasons), np.empty((seasons, 2))
    for k in range(seasons):
        drawn = draw(generator, YEAR + SESSIONS, np.zeros(1))
        counts = np.array([np.bincount(column, minlength=3) for column in drawn.classes[:YEAR].T])
        reference = np.tile(climatology(counts), (SESSIONS, 1))
        came, rounds = drawn.classes[YEAR:].ravel(), np.repeat(np.arange(SESSIONS), SYMBOLS)
        itself[k] = accuracy(skill(reference, came, reference), rounds).mean
        told = accuracy(skill(np.tile(usual(), (len(came), 1)), came, reference), rounds)
        known[k] = told.mean, told.error or 0.0
    mean, error = float(known[:, 0].mean()), float(known[:, 0].std(ddof=1) / math.sqrt(seasons))
    return {
        "seasons": seasons, "itself_largest": float(np.abs(itself).max()), "true_chances_mean": round(mean, 6),
        "error": round(error, 6), "one_season_error": round(float(known[:, 1].mean()), 6),
        "honest": float(np.abs(itself).max()) == 0.0 and abs(mean) < 1.0 / YEAR + 3.0 * error,
    }  # fmt: skip

"""What a round came to: scores with errors, resilience by family, the allocation and what bound it, settlement."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controlroom.pages.formats import NOTHING, plain, signed
from controlroom.pages.tournaments.shown import Agent, change, error, percent, span, unit

if TYPE_CHECKING:
    from tournaments.record import Allocated, RoundRecord, Score

WISH = "wish"  # of tournaments/allocation/limits.py: nothing bound the weight


def scores(record: "RoundRecord", agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return the table of scores by rank, each number with its standard error."""
    ranked = sorted(record.scores, key=lambda score: (score.rank, score.agent))
    tried = record.opened.challengers if record.opened else ()
    return [_score(score, agents[score.agent]) | {"challenger": score.agent in tried} for score in ranked]


def _score(score: "Score", agent: Agent) -> dict[str, Any]:
    stress = score.resilience
    return {
        "agent": agent, "rank": score.rank, "total": plain(score.total, 3), "error": error(score.error, 3),
        "low": plain(score.low, 3), "high": plain(score.high, 3), "span": span(score.low, score.high, score.total),
        "best": percent(score.best, 0), "accuracy": signed(score.accuracy, 4, arrow=False),
        "accuracy_error": error(score.accuracy_error, 4), "hits": percent(score.hit_rate, 0),
        "contribution": signed(score.contribution, 4, arrow=False),
        "contribution_error": error(score.contribution_error, 4), "resilience": plain(stress.resilience, 3),
        "resilience_error": error(stress.error, 3), "worst": stress.worst.replace("_", " "), "idle": stress.idle,
        "cvar": plain(stress.cvar95, 2), "sharpe": signed(score.sharpe, 2, arrow=False),
        "sharpe_error": error(score.sharpe_error, 2), "deflated": percent(score.deflated, 0),
        "drawdown": percent(score.drawdown, 1), "sessions": score.sessions,
    }  # fmt: skip


def families(record: "RoundRecord", agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return a row a family of scenarios: of each entrant what the stress left, 1 less its mean clipped excess loss."""
    held = {score.agent: {each.family: each for each in score.resilience.families} for score in record.scores}
    names = list(dict.fromkeys(family for each in held.values() for family in each))
    rows = []
    for name in names:
        cells = []
        for agent in agents.values():
            found = held.get(agent.name, {}).get(name)
            left = None if found is None else 1.0 - found.clipped
            cells.append({
                "agent": agent, "left": NOTHING if left is None else plain(left, 2),
                "error": error(found.error if found else None, 2), "bar": unit(left or 0.0),
            })  # fmt: skip
        rows.append({"name": name.replace("_", " "), "cells": cells})
    return rows


def allocation(record: "RoundRecord", agents: Mapping[str, Agent]) -> dict[str, Any] | None:
    """Return capital before and after with the rule that bound each weight, None before the step."""
    made = record.allocated
    if made is None:
        return None
    cash_before = 1.0 - sum(made.base_before.values()) - sum(made.competitive_before.values())
    return {
        "rows": [_allocated(made, agent) for agent in agents.values() if agent.name in made.base],
        "cash_before": percent(max(0.0, cash_before), 2), "cash": percent(made.cash, 2),
        "cash_change": change(made.cash - max(0.0, cash_before)), "pool": percent(made.pool, 1),
        "evidence": signed(made.evidence, 2, arrow=False), "change": percent(made.change, 2),
        "automatic": made.automatic, "diversity": plain(made.diversity_index, 2),
        "novelty": [(name, plain(new, 2)) for name, new in sorted(made.novelty.items())],
        "raw_regret": plain(made.raw_regret, 4), "bound": plain(made.regret_bound, 4),
        "deployed_regret": plain(made.deployed_regret, 4), "settled": made.settled_rounds,
    }  # fmt: skip


def _allocated(made: "Allocated", agent: Agent) -> dict[str, Any]:
    name = agent.name
    base, pool = made.base[name], made.competitive.get(name, 0.0)
    base_before, pool_before = made.base_before.get(name, 0.0), made.competitive_before.get(name, 0.0)
    standing = made.standing.get(name)
    return {
        "agent": agent, "base_before": percent(base_before, 2), "base": percent(base, 2),
        "base_rule": _rule(made.base_rules.get(name, "")), "pool_before": percent(pool_before, 2),
        "pool": percent(pool, 2), "pool_rule": _rule(made.pool_rules.get(name, "")),
        "total_before": percent(base_before + pool_before, 2), "total": percent(base + pool, 2),
        "change": change(base + pool - base_before - pool_before),
        "standing": standing.status if standing and standing.status != "active" else "",
    }  # fmt: skip


def _rule(name: str) -> str:
    return NOTHING if name in {"", WISH} else name


def settlement(record: "RoundRecord", agents: Mapping[str, Agent]) -> dict[str, Any] | None:
    """Return what came of the predicted session, None before it has closed."""
    came = record.settlement
    if came is None:
        return None
    rows = []
    for agent in agents.values():
        skill, earned = came.skill.get(agent.name), came.returns_of.get(agent.name)
        rows.append({
            "agent": agent, "skill": signed(skill, 4) if skill is not None else None,
            "earned": change(earned) if earned is not None else None,
        })  # fmt: skip
    return {
        "rows": rows, "at_ms": came.settled_ns // 1_000_000, "ensemble": signed(came.difference, 4),
        "symbols": len(came.classes),
    }  # fmt: skip

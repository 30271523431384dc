"""Step 7 of a round: from scores, settled rounds and drawdowns to the capital of each entrant."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from agents.brains.port import Prediction
from tournaments.allocation import hedge
from tournaments.allocation.base import base_shares
from tournaments.allocation.decide import Decision, PoolStages, Weights, Wishes, decide
from tournaments.allocation.diversity import diversity_factors, innovation_bonus, look_alikes
from tournaments.allocation.drawdown import DrawdownLimits, Standing, drawdown, readmit, review
from tournaments.allocation.evidence import log_evidence, pool_fraction
from tournaments.allocation.limits import AllocationLimits
from tournaments.allocation.regret import deployed_regret
from tournaments.record import Allocated, RoundRecord, Score
from tournaments.rules import Rules
from tournaments.scores.accuracy import unit_score
from tournaments.unit_book import UnitBook

SESSIONS_A_YEAR = 252
STAGES = ("eligible", "bonus", "evidence", "cap", "deployed")

Float64Array = npt.NDArray[np.float64]


def allocate(
    scores: Sequence[Score],
    entries: Mapping[str, Sequence[Prediction]],
    books: Mapping[str, UnitBook],
    before: Allocated | None,
    settled: Sequence[RoundRecord],
    *,
    rules: Rules,
    as_of_ns: int,
    start: Mapping[str, float] | None = None,
    readmitted: Mapping[str, str] | None = None,
    novelty: Mapping[str, float] | None = None,
) -> Allocated:
    """Return the weights from the next bar on.

    Parameters
    ----------
    scores : of this round, which give the agents and their order.
    entries : as revised; who is not in it abstained, and sleeps in the competition.
    books : unit books, for drawdowns.
    before : the allocation in force; None before the first.
    start : the weights in use before the first, brought down to 90 % alike; None shares that equally.
    settled : rounds that were settled before this one, oldest first.
    as_of_ns : the round's instant, UTC nanoseconds.
    readmitted : benched strategies that people let in again, and who did.
    novelty : of each agent whose approach has changed, 0 to 1 (``tournaments.novelty``); others have none.
    """
    agents = [row.agent for row in scores]
    known = _known(before, readmitted or {}, as_of_ns)
    let_in = {name for name in readmitted or {} if name in known and known[name].since_ns == as_of_ns}
    held = _held(before, agents, start, let_in)
    total = held.base + held.competitive
    standing = {
        name: _standing(known.get(name), books[name], float(total[k]), rules, as_of_ns) for k, name in enumerate(agents)
    }
    benched = np.array([standing[name].status == "benched" for name in agents])
    awake = np.array([name in entries for name in agents])
    losses = _losses(settled, agents)
    run = hedge.run(losses) if len(losses) else None
    state = hedge.start(len(agents)) if run is None else run.state
    log_e = _log_evidence(settled)
    alike, new = look_alikes(_signals([*settled], entries, agents), awake), dict(novelty or {})
    wishes = Wishes(
        base=base_shares(
            *_ratios(scores), present=~benched, by_sharpe=rules.base_performance, head_start=rules.sharpe_offset
        ),
        hedge=hedge.weights(state, awake & ~benched),
        pool=_pool(log_e, rules),
        factors=1.0 - rules.diversity_adjustment * (1.0 - diversity_factors(alike, awake)),
        bonus=_bonus(scores, new, rules),
    )
    decision = decide(
        held, wishes, benched=benched, ceilings=[standing[name].ceiling for name in agents], limits=_limits(rules)
    )
    deployed = deployed_regret(run, [_stages(each, agents) for each in settled]).deployed if run is not None else 0.0
    return _allocated(
        agents, held, decision, pool=wishes.pool, evidence=log_e, diversity_index=alike.index,
        raw_regret=hedge.regret(state), regret_bound=hedge.regret_bound(state), deployed_regret=deployed,
        settled_rounds=len(settled), standing={**known, **standing}, novelty=new,
    )  # fmt: skip


def _bonus(scores: Sequence[Score], new: Mapping[str, float], rules: Rules) -> Float64Array:
    added = [row.contribution for row in scores]
    return innovation_bonus(added, [new.get(row.agent, 0.0) for row in scores], rules.innovation_bonus)


def _held(
    before: Allocated | None, agents: Sequence[str], start: Mapping[str, float] | None, let_in: Collection[str]
) -> Weights:
    """Return the weights to go on from; one that is let in again has none, even where its bench was never deployed."""
    if before is None:
        pool = AllocationLimits().base_pool
        base = np.full(len(agents), pool / len(agents))
        if start is not None:
            base = np.array([start.get(name, 0.0) for name in agents])
            base *= min(1.0, pool / base.sum()) if base.sum() > 0.0 else 1.0
        return Weights(base, np.zeros(len(agents)))
    stays = np.array([name not in let_in for name in agents], dtype=np.float64)
    return Weights(
        stays * np.array([before.base.get(name, 0.0) for name in agents]),
        stays * np.array([before.competitive.get(name, 0.0) for name in agents]),
    )


def _known(before: Allocated | None, readmitted: Mapping[str, str], as_of_ns: int) -> dict[str, Standing]:
    """Return how all stand before the round, those let in again by people among them."""
    known = {} if before is None else dict(before.standing)
    for name, person in readmitted.items():
        if name in known and known[name].status == "benched":
            known[name] = readmit(known[name], person, as_of_ns)
    return known


def _standing(known: Standing | None, book: UnitBook, weight: float, rules: Rules, as_of_ns: int) -> Standing:
    held = Standing() if known is None else known
    if not len(book.returns):
        return held
    if not held.counted_from_ns:
        held = replace(held, counted_from_ns=_window_begins(book, rules.scoring_window))
    equity = np.append(1.0, np.cumprod(1.0 + book.returns))
    counted_from = int(np.searchsorted(book.known_ns, held.counted_from_ns, side="right"))
    limits = DrawdownLimits(halve=rules.drawdown_halved, bench=rules.drawdown_benched)
    return review(held, drawdown(equity, counted_from), weight, limits, at_ns=as_of_ns)


def _window_begins(book: UnitBook, sessions: int) -> int:
    """Return the instant before the scoring window: a newcomer's drawdown is the one that its score shows."""
    return int(book.known_ns[-sessions - 1] if len(book.returns) > sessions else book.known_ns[0] - 1)


def _ratios(scores: Sequence[Score]) -> tuple[list[float], list[float]]:
    return [row.sharpe for row in scores], [row.sessions / SESSIONS_A_YEAR for row in scores]


def _losses(settled: Sequence[RoundRecord], agents: Sequence[str]) -> Float64Array:
    rows = []
    for each in settled:
        assert each.settlement is not None  # noqa: S101 - that is what settled means
        skills = [each.settlement.skill.get(name) for name in agents]
        rows.append([np.nan if skill is None else 1.0 - float(unit_score([skill])[0]) for skill in skills])
    return np.array(rows).reshape(-1, len(agents))


def _log_evidence(settled: Sequence[RoundRecord]) -> float:
    told = [each.settlement for each in settled if each.settlement is not None]
    if not told:
        return 0.0
    return float(log_evidence([each.difference for each in told], [each.floor for each in told])[-1])


def _pool(log_e: float, rules: Rules) -> float:
    if not rules.evidence:
        return rules.pool_maximum
    return pool_fraction(log_e, rules.pool_maximum, least=rules.pool_minimum, full_at=rules.evidence_full)


def _limits(rules: Rules) -> AllocationLimits:
    return AllocationLimits(
        strategy_cap=rules.strategy_cap, base_move=rules.base_move_cap, agent_cap=rules.agent_cap,
        pool_cap=rules.pool_maximum, pool_move=rules.pool_move_cap, automatic=rules.automatic_limit,
    )  # fmt: skip


def _signals(
    settled: Sequence[RoundRecord], entries: Mapping[str, Sequence[Prediction]], agents: Sequence[str]
) -> Float64Array:
    """Return P(up) - P(down) [forecast, agent] of every round and symbol so far; NaN where one abstained."""
    rows: list[list[float]] = []
    for told in (*(each.revised for each in settled), entries):
        says = {
            name: {each.symbol: each.probabilities[2] - each.probabilities[0] for each in told.get(name, ())}
            for name in agents
        }
        symbols = sorted({symbol for said in says.values() for symbol in said})
        rows += [[says[name].get(symbol, np.nan) for name in agents] for symbol in symbols]
    return np.array(rows).reshape(-1, len(agents))


def _stages(record: RoundRecord, agents: Sequence[str]) -> PoolStages:
    assert record.allocated is not None  # noqa: S101 - a settled round has allocated
    stages = record.allocated.stages
    return PoolStages(**{name: np.array([stages[name].get(agent, 0.0) for agent in agents]) for name in STAGES})


def _allocated(agents: Sequence[str], held: Weights, decision: Decision, **figures: object) -> Allocated:
    def named(values: Sequence[float] | Float64Array) -> dict[str, float]:
        return {name: float(value) for name, value in zip(agents, values, strict=True)}

    return Allocated(
        base_before=named(held.base), competitive_before=named(held.competitive), base=named(decision.base),
        competitive=named(decision.competitive), cash=decision.cash,
        base_rules=dict(zip(agents, decision.base_rules, strict=True)),
        pool_rules=dict(zip(agents, decision.pool_rules, strict=True)), change=decision.change,
        automatic=decision.automatic, stages={name: named(getattr(decision.stages, name)) for name in STAGES},
        **figures,  # type: ignore[arg-type] # named by the one caller
    )  # fmt: skip

"""Trials for the pages: a lineage of two strategies in every status, small and repeatable."""

import msgspec
import numpy as np

from agents.strategies import by_name
from tests.pages.rounds import SUNDAY_NS
from tournaments.evolution.models import Trial
from tournaments.evolution.propose import complete, identity, propose
from tournaments.evolution.record import Kept

DAY_NS = 86_400 * 10**9
Status = Trial.Status


def root(strategy: str) -> Trial:
    """Return what was in force before anybody searched."""
    own = identity(by_name(strategy), {})
    parameters = msgspec.json.encode(complete(by_name(strategy), {})).decode()
    return Trial.objects.get_or_create(
        identity=own,
        defaults={
            "strategy": strategy, "name": f"{strategy}~{own[:8]}", "parameters": parameters, "status": Status.PROMOTED,
            "proposed_ns": SUNDAY_NS,
        },
    )[0]  # fmt: skip


def search(parent: Trial, *, week: int = 0, statuses: tuple[str, ...] = ("rejected",) * 8) -> list[Trial]:
    """Return the trials of one search about a parent, one for each status."""
    generator, made = np.random.default_rng(week), []
    held = msgspec.json.decode(parent.parameters, type=dict[str, float])
    known = set(Trial.objects.values_list("identity", flat=True))
    found = propose(by_name(parent.strategy), held, count=len(statuses), seed=week, known=known)
    before = Trial.objects.exclude(figures="").count()
    for variant, status in zip(found, statuses, strict=True):
        good = status != "rejected"
        sharpe, excess = (float(each) for each in generator.normal(2.5 if good else 0.2, 0.5, 2))
        kept = Kept(
            sharpe=sharpe, sharpe_error=0.95, excess=excess, excess_error=0.97, correlation=0.61, won=5 if good else 2,
            folds=6, sessions=126, deflated=0.97 if good else 0.31, better=0.96 if good else 0.22,
            trials=before + len(statuses), effective=float(before + len(statuses)) * 0.7,
        )  # fmt: skip
        entered = status in {"challenger", "promoted"}
        why = [] if good else ["its Sharpe ratio is above luck with probability 0.31; 0.95 is asked"]
        made.append(Trial.objects.create(
            strategy=parent.strategy, name=f"{parent.strategy}~{variant.identity[:8]}", identity=variant.identity,
            parent=parent, parameters=msgspec.json.encode(variant.parameters).decode(), status=status, seed=week,
            reasons=msgspec.json.encode(why).decode(), proposed_ns=SUNDAY_NS + 7 * week * DAY_NS,
            figures=msgspec.json.encode(kept).decode(), sharpe=sharpe, excess=excess, counts_as=0.7,
            shadow_sessions=24 if good else 0, shadow_excess=1.2 if good else None, shadow_error=3.1 if good else None,
            challenger_from_ns=SUNDAY_NS + 7 * (week + 4) * DAY_NS if entered else None,
        ))  # fmt: skip
    return made


def season() -> list[Trial]:
    """Return ten weeks of searches: one promotion, a challenger, one in shadow, and many that were luck."""
    momentum, parent = root("momentum"), root("momentum")
    for name in ("bullish", "bearish", "mean_reversion"):
        for week in range(10):
            search(root(name), week=week, statuses=("rejected",) * 7 + (("shadow",) if week == 8 else ("rejected",)))
    for week in range(10):
        last = "promoted" if week == 3 else "challenger" if week == 6 else "shadow" if week == 9 else "rejected"
        made = search(parent, week=week, statuses=("rejected",) * 7 + (last,))
        if week == 3:
            parent = made[-1]
            parent.promoted_ns, parent.configuration = SUNDAY_NS + 56 * DAY_NS, 2
            parent.challenger_until_ns = parent.promoted_ns
            parent.save()
            momentum.status, momentum.configuration = Status.RETIRED, 2
            momentum.reasons = msgspec.json.encode([f"replaced by {parent.name}"]).decode()
            momentum.save()
    return list(Trial.objects.all())

"""A season for the pages: a quarter of rounds whose stress and exposure differ, with the searches beside it."""

import msgspec
import numpy as np

from market.calendars import DAY_NS
from tests.pages import allocations, trials
from tests.pages.allocations import STRATEGIES, WEEKS, at_ns
from tournaments.evolution.models import Trial
from tournaments.record import RoundRecord

WITHOUT_GROSS = 4  # rounds that settled before exposure was kept


def record(week: int) -> RoundRecord:
    """Return a round of a week; the first few have no exposure, and the last one has not settled."""
    made, generator = allocations.record(week), np.random.default_rng(100 + week)
    assert made.settlement is not None
    scores = [
        msgspec.structs.replace(score, resilience=msgspec.structs.replace(
            score.resilience, resilience=float(0.9 - 0.12 * k + 0.03 * generator.standard_normal()),
            regained=float(np.clip(0.7 - 0.1 * k + 0.08 * generator.standard_normal(), 0.0, 1.0)),
            regain_bars=float(3.0 + k + generator.random()),
        ))
        for k, score in enumerate(sorted(made.scores, key=lambda each: each.agent))
    ]  # fmt: skip
    gross = dict(zip(STRATEGIES, (0.6 + 0.15 * generator.random(4)).tolist(), strict=True))
    settlement = msgspec.structs.replace(made.settlement, gross_of=gross if week >= WITHOUT_GROSS else {})
    return msgspec.structs.replace(made, scores=scores, settlement=None if week == WEEKS - 1 else settlement)


def stored() -> None:
    """Put the quarter in: all on the station's bars and acknowledged but one refused; three in SHADOW beside them."""
    for week in range(WEEKS):
        held = record(week)
        allocations.stored(held)
        state = allocations.State.REFUSED if week == 6 else allocations.State.ACKNOWLEDGED
        allocations.version(week + 1, held, state=state)
    for week in (3, 5, 8):
        allocations.stored(record(week), station_bars=False, round_id=f"tournament:hand:try-{week}")


def searched() -> None:
    """Put searches on the station's bars in, from three weeks after the first round on, and two promotions."""
    for number, week in enumerate((3, 5, 7)):
        made = trials.search(trials.root("momentum"), week=number, statuses=("rejected", "promoted"))
        promoted_ns = None if week == 7 else at_ns(week) + 10 * DAY_NS
        Trial.objects.filter(id__in=[each.id for each in made]).update(station_bars=True, proposed_ns=at_ns(week))
        Trial.objects.filter(id=made[-1].id).update(promoted_ns=promoted_ns)

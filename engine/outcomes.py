"""Which signals came true: a directional target is settled after its policy's horizon, for calibrators to read."""

from typing import Any

from numba import njit


@njit(cache=True)
def settle(  # noqa: PLR0917 - compiled code is called with positions
    books: Any, closed: Any, bars: Any, scores: Any, horizon: int, settled: Any, outcomes: Any
) -> int:
    """Count closed bars against pending outcomes of one strategy and open new ones; return how many settled.

    Parameters
    ----------
    books : engine.layout.BOOK [n], the strategy's rows.
    closed : bool [n], which symbols have a newly closed bar of the policy's interval.
    bars : market.bars.BAR [n], those bars.
    scores : f8 [n], the raw scores behind the targets.
    horizon : bars until a signal is settled.
    settled : i8 [n, 2], overwritten: the row that settled, when its signal was given (UTC ns).
    outcomes : f8 [n, 3], overwritten: score, direction, return.
    """
    count = 0
    for i in range(len(closed)):
        if not closed[i]:
            continue
        row = books[i]
        if row.outcome_left > 0:
            row.outcome_left -= 1
            if row.outcome_left == 0:
                settled[count, 0] = i
                settled[count, 1] = row.outcome_ns
                outcomes[count, 0] = row.outcome_score
                outcomes[count, 1] = row.outcome_direction
                outcomes[count, 2] = bars[i].close / row.outcome_price - 1.0
                count += 1
        if row.outcome_left == 0 and row.target != 0.0:
            row.outcome_left = horizon
            row.outcome_direction = 1 if row.target > 0.0 else -1
            row.outcome_price = bars[i].close
            row.outcome_score = scores[i]
            row.outcome_ns = bars[i].close_ns
    return count

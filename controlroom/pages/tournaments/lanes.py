"""A strategy's lineage as a picture: searches from left to right, a variant as far up as it was better than its parent.

The line in the middle is what was in force; a promoted variant is joined to the line that it begins.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tournaments.evolution.models import Trial

WIDTH, HEIGHT, MIDDLE, EDGE = 600.0, 96.0, 48.0, 12.0
COLUMNS = 30  # newest searches
WIDEST = 60.0  # of a search's column
LEAST_SCALE = 1.0  # Sharpe ratio at the picture's edge, at least


def lane(trials: Sequence["Trial"]) -> dict[str, Any]:
    """Return dots, stems and joints of one strategy's judged trials, oldest first; coordinates of a 600 by 96 picture.

    ``scale`` is the difference of Sharpe ratios at the upper edge; what lies beyond is drawn at the edge.
    """
    judged = [each for each in trials if each.excess is not None]
    every = sorted({each.proposed_ns for each in judged})
    searches = every[-COLUMNS:]
    shown = [each for each in judged if each.proposed_ns in searches]
    scale = max([LEAST_SCALE, *(abs(each.excess or 0.0) for each in shown)])
    width = min(WIDEST, (WIDTH - 2 * EDGE) / max(len(searches), 1))
    dots, joints = [], []
    for column, instant_ns in enumerate(searches):
        group = [each for each in shown if each.proposed_ns == instant_ns]
        left = EDGE + column * width
        for place, each in enumerate(sorted(group, key=lambda one: -(one.excess or 0.0))):
            x = left + (place + 0.5) * width * 0.9 / len(group)
            y = MIDDLE - (each.excess or 0.0) / scale * (MIDDLE - EDGE)
            dots.append({"x": f"{x:.1f}", "y": f"{y:.1f}", "trial": each, "radius": _radius(each)})
            if each.promoted_ns is not None:
                joints.append({"x": f"{x:.1f}", "y": f"{y:.1f}", "to": f"{left + width:.1f}"})
    return {"dots": dots, "joints": joints, "scale": f"{scale:.1f}", "searches": len(every), "shown": len(searches)}


def _radius(trial: "Trial") -> str:
    return "2.2" if trial.status == "rejected" else "4.5"

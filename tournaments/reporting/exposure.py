"""How much of the capital a session's unit books had at work, by the weights of their round."""

from tournaments.record import Allocated, Settlement


def exposure(made: Allocated, came: Settlement | None) -> float | None:
    """Return the capital's mean gross exposure in the predicted session, a fraction, without netting.

    None before it has come true, and where the exposure of anybody with capital was not kept.
    """
    if came is None or not came.gross_of:
        return None
    weights = {
        name: made.base.get(name, 0.0) + made.competitive.get(name, 0.0) for name in {*made.base, *made.competitive}
    }
    if any(weight > 0.0 and name not in came.gross_of for name, weight in weights.items()):
        return None
    return sum(weights[name] * gross for name, gross in sorted(came.gross_of.items()) if name in weights)

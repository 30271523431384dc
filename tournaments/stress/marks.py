"""What the stress leaves of an entrant, as plain data: pages and records read it without the simulator."""

import msgspec


class FamilyScore(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario's mark on an entrant.

    Losses are in risk budgets: ``clipped`` the mean within 0 and 1, ``error`` its standard error over the paths;
    ``mean``, ``cvar95`` the mean and the mean of the worst twentieth of the excess loss unclipped. ``turnover`` and
    ``cost`` are fractions of the capital. ``flat_bars``: mean bars until flat. ``fall``: mean deepest fall, a fraction
    of the equity before; ``regained``: its mean share that came back among paths with a fall (None: none fell), and
    ``regain_bars``, how many bars that took.
    """

    family: str
    clipped: float
    error: float
    mean: float
    cvar95: float
    turnover: float
    cost: float
    flat_bars: float
    fall: float
    regained: float | None
    regain_bars: float | None


class Resilience(msgspec.Struct, frozen=True, kw_only=True):
    """An entrant's score in [0, 1] with its standard error, and what lies behind it.

    ``worst`` is the family with the largest clipped loss, the first of equals; ``cvar95`` and ``flat_bars`` are over
    the paths of all families; ``regained`` and ``regain_bars`` of the black swan, the family ``worst``. ``idle``: mean
    gross exposure without stress was below the rules' least, and the score is held at 0.5.
    """

    entrant: str
    resilience: float
    error: float
    worst: str
    cvar95: float
    flat_bars: float
    regained: float | None
    regain_bars: float | None
    gross: float
    idle: bool
    weight: float
    families: list[FamilyScore]


class StressPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entrant's equity on the paths of one scenario: change since their start, a fraction of the capital, by point.

    ``bars``: how many bars are over at each point, 0 at the first. ``low``, ``median``, ``high``: 5th, 50th and 95th
    percentile of the paths under stress; ``worst``: the one path with the largest excess loss; ``calm``: the median of
    the same paths without stress. ``begins``: bars before the stress sets in.
    """

    bars: tuple[int, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    worst: tuple[float, ...]
    calm: tuple[float, ...]
    begins: int

"""What stands beside the kernel's tables to keep the account from running away: breakers, black swans, risk, quotas.

Only arrays and how they are made, set, carried over and kept; what follows from them is engine/breakers.py's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.configuration import Settings
from engine.layout import Table
from risk.black_swan import STATION, SWAN, new_minutes, slots, write_variances
from risk.breakers import BREAKER
from risk.var_limit import RISK

if TYPE_CHECKING:
    from engine.universe import Universe

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS

BUCKET = np.dtype([("tokens", "f8"), ("tokens_ns", "i8")])
"""A bucket of message tokens (risk/checks.py)."""


@dataclass
class Guards:
    """Tables [n] by symbol, [s] by strategy or of one row.

    ``minutes`` i2 [n, SESSIONS, slots]; ``variances`` and ``weights`` f8 [n], ``covariance`` f8 [n, n]; ``cancels``:
    the station's bucket first, then each strategy's.
    """

    swans: Table
    station: Table
    minutes: npt.NDArray[np.int16]
    variances: npt.NDArray[np.float64]
    of_strategies: Table
    of_symbols: Table
    risk: Table
    weights: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]
    cancels: Table

    def kept(self) -> dict[str, Any]:
        """Return what a snapshot holds; the rest follows from it."""
        return {
            "guards.swans": self.swans, "guards.station": self.station, "guards.minutes": self.minutes,
            "guards.strategies": self.of_strategies, "guards.symbols": self.of_symbols, "guards.risk": self.risk,
            "guards.cancels": self.cancels,
        }  # fmt: skip


def new_guards(universe: "Universe", strategies: int, interval_s: int) -> Guards:
    """Return guards of an account that has not traded yet: nothing seen, nothing tripped, quotas full."""
    n, interval_ns = len(universe.instruments), max(1, interval_s) * SECOND_NS
    made = Guards(
        swans=np.zeros(n, dtype=SWAN),
        station=np.zeros(1, dtype=STATION),
        minutes=new_minutes(n, slots(universe.longest_session_ns(), interval_ns)),
        variances=np.zeros(n),
        of_strategies=np.zeros(strategies, dtype=BREAKER),
        of_symbols=np.zeros(n, dtype=BREAKER),
        risk=np.zeros(1, dtype=RISK),
        weights=np.zeros(n),
        covariance=np.zeros((n, n)),
        cancels=np.zeros(1 + strategies, dtype=BUCKET),
    )
    made.station["slot_ns"] = max(interval_ns, DAY_NS // 1440) if made.minutes.size else 0
    made.cancels["tokens"] = 2.0 * n
    write_variances(made.swans, made.variances)
    return made


def set_guards(guards: Guards, settings: Settings, universe: "Universe") -> None:
    """Take the detector's settings."""
    given, station = settings.black_swan, guards.station[0]
    station["index"] = universe.index.get(given.index, -1)
    station["falls"] = given.index_falls
    station["z"], station["overnight"], station["share"] = given.z, given.overnight, given.symbols_share
    station["move"], station["move_unknown"] = given.move, given.move_unknown


def carry_over(new: Guards, old: Guards) -> None:
    """Take what older guards knew of the first symbols; minutes only where their slots are as long as before."""
    n = len(old.swans)
    new.swans[:n], new.of_symbols[:n], new.of_strategies[:] = old.swans, old.of_symbols, old.of_strategies
    new.risk[:], new.cancels[:] = old.risk, old.cancels
    for name in ("session_ns", "level", "together_ns", "last_ns"):
        new.station[name] = old.station[name]
    if new.station["slot_ns"] == old.station["slot_ns"] and new.minutes.shape[2] == old.minutes.shape[2]:
        new.minutes[:n] = old.minutes
    write_variances(new.swans, new.variances)

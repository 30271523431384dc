"""What the tournament's own rules do to chance and to skill: many whole rounds over resampled history."""

from tournaments.simulation.honesty import Evidence, Identical, Planted
from tournaments.simulation.inputs import MOST_AGENTS, MOST_ITERATIONS, SimulationError, Trials, check
from tournaments.simulation.paired import paired
from tournaments.simulation.whole import Kept, Simulated, simulate

__all__ = [
    "MOST_AGENTS",
    "MOST_ITERATIONS",
    "Evidence",
    "Identical",
    "Kept",
    "Planted",
    "Simulated",
    "SimulationError",
    "Trials",
    "check",
    "paired",
    "simulate",
]

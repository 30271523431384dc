"""The families of stress with their numbers, and claims about them that the simulator can decide."""

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

Measure = Literal["mean", "cvar95"]
MEASURES: dict[str, str] = {"mean": "mean excess loss", "cvar95": "excess loss at CVaR95"}


class ScenarioError(ValueError):
    """One sentence: the family, the parameter, the value, what is allowed."""


@dataclass(frozen=True)
class Number:
    """A parameter of a family, from ``low`` to ``high`` inclusive."""

    name: str
    default: float
    low: float
    high: float
    unit: str
    help: str


@dataclass(frozen=True)
class Family:
    """A way in which markets break; ``for_brains``: it changes what brains say, not the market."""

    name: str
    title: str
    parameters: tuple[Number, ...]
    for_brains: bool = False


def _at(default: float, low: float = 0.1) -> Number:
    return Number("at", default, low, 0.9, "of the session", "when it begins, on the last full hour before")


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("volatility", "volatility multiplied", (
            Number("low", 2.0, 2.0, 4.0, "times", "least multiple of every bar's move; each path draws its own"),
            Number("high", 4.0, 2.0, 4.0, "times", "largest one"),
        )),
        Family("regime_flip", "drift turns its sign in mid session", (
            Number("drift", 2.0, 0.5, 4.0, "daily deviations", "drift until it turns, and as much back afterwards"),
            _at(0.5),
        )),
        Family("overnight_gap", "gap over night", (
            Number("low", 3.0, 3.0, 8.0, "daily deviations", "smallest gap, up or down, of all symbols at once"),
            Number("high", 8.0, 3.0, 8.0, "daily deviations", "largest one"),
            _at(0.5),
        )),
        Family("correlation", "correlations go to one number, or change their sign", (
            Number("level", 0.9, 0.0, 0.95, "", "correlation of every pair"),
            Number("flip", 0.5, 0.0, 1.0, "of the paths", "where every second symbol moves the other way instead"),
        )),
        Family("liquidity_drain", "spread widens, depth goes", (
            Number("spread", 5.0, 1.0, 10.0, "times", "half spread"),
            Number("depth", 5.0, 1.0, 10.0, "times less", "volume that orders meet"),
            _at(0.0, 0.0),
        )),
        Family("stale_data", "stale and corrupted bars after validation", (
            Number("stale", 0.25, 0.0, 0.5, "of the session", "in which the policy sees the last price again"),
            Number("corrupt", 0.02, 0.0, 0.1, "of the bars", "whose high or low and close the policy sees misprinted"),
            Number("size", 3.0, 0.5, 8.0, "daily deviations", "of a misprint, up or down"),
        )),
        Family("fake_headline", "stance at full clamp, always wrong", (
            Number("high", 1.5, 1.0, 2.0, "times", "what targets that will lose are multiplied by"),
            Number("low", 0.5, 0.0, 1.0, "times", "what targets that will gain are multiplied by"),
            _at(0.25),
        ), for_brains=True),
    )
}  # fmt: skip
"""All families by name; the six that are not for brains are the common battery."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A family with all of its numbers; what is left out has the family's default.

    Raises
    ------
    ScenarioError
        if the family or a parameter is unknown, or a number not finite or out of range.
    """

    family: str
    parameters: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Complete and check the numbers."""
        if self.family not in FAMILIES:
            raise ScenarioError(f"scenario: there is no family {self.family!r}; there are {', '.join(FAMILIES)}")
        numbers = {number.name: number for number in FAMILIES[self.family].parameters}
        for name in self.parameters:
            if name not in numbers:
                raise ScenarioError(f"{self.family}: there is no parameter {name!r}; it has {', '.join(numbers)}")
        complete = {name: _checked(self.family, n, self.parameters.get(name, n.default)) for name, n in numbers.items()}
        if complete.get("low", 0.0) > complete.get("high", math.inf):
            raise ScenarioError(f"{self.family}: low = {complete['low']:g} is above high = {complete['high']:g}")
        msgspec.structs.force_setattr(self, "parameters", complete)

    def __hash__(self) -> int:
        """Return a hash by value, so that equal scenarios are simulated once."""
        return hash((self.family, tuple(self.parameters.items())))

    def __getitem__(self, name: str) -> float:
        """Return a parameter."""
        return self.parameters[name]

    def words(self) -> str:
        """Return the scenario in a few words, with its numbers."""
        family = FAMILIES[self.family]
        told = (f"{n.name} {self.parameters[n.name]:g} {n.unit}".strip() for n in family.parameters)
        return f"{family.title} ({', '.join(told)})"


def _checked(family: str, number: Number, value: object) -> float:
    allowed = f"{number.low:g} to {number.high:g} {number.unit}".strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ScenarioError(f"{family}: {number.name} = {value!r} is not a finite number; allowed is {allowed}")
    if not number.low <= value <= number.high:
        raise ScenarioError(f"{family}: {number.name} = {value:g} is outside {allowed}")
    return float(value)


BATTERY: tuple[Scenario, ...] = tuple(
    Scenario(family=family.name) for family in FAMILIES.values() if not family.for_brains
)
"""The common battery: the six families of the market with their default numbers."""


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A falsifiable statement: under a scenario, a loss exceeds so much of the risk budget.

    ``measure``: "mean" or "cvar95" of the excess loss over the paths; ``exceeds``: 0 to 10 risk budgets.

    Raises
    ------
    ScenarioError
        if the measure is unknown or the threshold out of range.
    """

    scenario: Scenario
    measure: Measure
    exceeds: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.measure not in MEASURES:
            raise ScenarioError(f"claim: measure = {self.measure!r} must be one of {', '.join(MEASURES)}")
        if isinstance(self.exceeds, bool) or not isinstance(self.exceeds, int | float) or not 0 <= self.exceeds <= 10:
            raise ScenarioError(f"claim: exceeds = {self.exceeds!r} must be 0 to 10 risk budgets")

    def statement(self) -> str:
        """Return the claim as a sentence."""
        return f"{self.scenario.words()}: {MEASURES[self.measure]} exceeds {self.exceeds:g} of the risk budget"

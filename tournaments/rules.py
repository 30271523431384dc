"""What a tournament is run by: one immutable version of every number, its unit, range and help, in one table.

Validation, forms and documents derive from :data:`FIELDS`; the defaults are those of :class:`Rules`.
"""

import hashlib
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.allocation import MOST_AUTOMATIC
from market.calendars import CalendarError
from market.calendars import zone as calendar_zone
from market.occurrences import MINUTE_NS, WEEKDAYS, Schedule

Value = bool | int | float | str
MOST_COMPETITIVE = 0.10
"""The competitive pool may never hold more of the capital: rules may lower it, none raises it."""
WEIGHT_TOLERANCE = 1e-9
WEIGHTS = ("weight_accuracy", "weight_resilience", "weight_return", "weight_contribution")
DEADLINES = ("open_by", "predict_by", "challenge_by", "defend_by", "rule_by", "score_by", "allocate_by")


LOOSER_ABOVE = (
    "strategy_cap", "base_move_cap", "pool_minimum", "pool_maximum", "agent_cap", "pool_move_cap", "innovation_bonus",
    "automatic_limit", "override_days", "drawdown_halved", "drawdown_benched",
)  # fmt: skip
LOOSER_BELOW = ("evidence", "evidence_full", "min_strategies", "diversity_adjustment")


class RulesError(ValueError):
    """One sentence a problem: the field, its value, what is allowed."""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of the rules; shares are fractions of the capital, 0.10 is 10 %."""

    version: int = 1
    enabled: bool = True
    interval: str = "weekly"
    weekday: str = "sunday"
    hour: int = 2
    minute: int = 0
    zone: str = "America/New_York"
    calendar: str = "XNYS"
    duration: int = 60
    open_by: int = 5
    predict_by: int = 20
    challenge_by: int = 30
    defend_by: int = 40
    rule_by: int = 50
    score_by: int = 55
    allocate_by: int = 60
    settle_by: int = 72
    min_strategies: int = 4
    claims_per_entry: int = 3
    flat_band: float = 0.3
    sigma_window: int = 60
    climatology_window: int = 252
    scoring_window: int = 252
    weight_accuracy: float = 0.35
    weight_resilience: float = 0.30
    weight_return: float = 0.25
    weight_contribution: float = 0.10
    stress_paths: int = 200
    stress_sessions: int = 20
    stress_symbols: int = 8
    risk_budget: float = 3.0
    least_exposure: float = 0.10
    base_performance: float = 0.7
    sharpe_offset: float = 0.25
    strategy_cap: float = 0.40
    base_move_cap: float = 0.02
    pool_minimum: float = 0.02
    pool_maximum: float = MOST_COMPETITIVE
    evidence: bool = True
    evidence_full: float = 20.0
    agent_cap: float = 0.05
    pool_move_cap: float = 0.01
    innovation_bonus: float = 0.10
    diversity_adjustment: float = 0.50
    automatic_limit: float = 0.05
    override_days: int = 28
    drawdown_halved: float = 0.10
    drawdown_benched: float = 0.20


@dataclass(frozen=True)
class Field:
    """One field of :class:`Rules`; ``low`` and ``high`` are both allowed. ``choices``: of a text that is one of few."""

    unit: str
    low: float
    high: float
    help: str
    choices: tuple[str, ...] = ()


def _text(unit: str, help_: str, choices: tuple[str, ...] = ()) -> Field:
    return Field(unit, 0, 0, help_, choices)


def _switch(help_: str) -> Field:
    return Field("yes or no", 0, 1, help_)


_AFTER = "minutes after the opening"
_CAPITAL = "of the capital"
FIELDS: dict[str, Field] = {
    "enabled": _switch("Whether rounds start by the schedule; by hand they start all the same."),
    "interval": _text("once in", "How often a round is held.", ("weekly", "daily")),
    "weekday": _text("day of the week", "Day on which a weekly round opens.", WEEKDAYS),
    "hour": Field("o'clock", 0, 23, "Hour at which a round opens, by the zone's clock."),
    "minute": Field("minutes", 0, 59, "Minutes past that hour."),
    "zone": _text("time zone", "The zone by whose clock a round opens, as in the IANA time zone database."),
    "calendar": _text("calendar", "The exchange whose next session a round comes before."),
    "duration": Field("minutes", 5, 1440, "How long a round may take up to its allocation."),
    "open_by": Field(_AFTER, 1, 1440, "By when data, capital and entrants are frozen."),
    "predict_by": Field(_AFTER, 1, 1440, "By when entries are sealed; a later one is an abstention."),
    "challenge_by": Field(_AFTER, 1, 1440, "By when the claims against every entry are made."),
    "defend_by": Field(_AFTER, 1, 1440, "By when the entrants have answered."),
    "rule_by": Field(_AFTER, 1, 1440, "By when the simulator has decided every claim."),
    "score_by": Field(_AFTER, 1, 1440, "By when every entrant has its scores."),
    "allocate_by": Field(_AFTER, 1, 1440, "By when the new allocation is decided."),
    "settle_by": Field("hours after the close", 1, 720, "How long prices that lack are waited for."),
    "min_strategies": Field("strategies", 2, 64, "Fewer entrants or valid entries make a round void."),
    "claims_per_entry": Field("claims", 3, 20, "Least claims that a challenge makes against an entry."),
    "flat_band": Field("standard deviations", 0.01, 3.0, "A return smaller than this counts as flat."),
    "sigma_window": Field("sessions", 5, 250, "Sessions from which a symbol's standard deviation is taken."),
    "climatology_window": Field("sessions", 20, 2520, "Sessions from which the reference forecast is counted."),
    "scoring_window": Field("sessions", 20, 2520, "Sessions of the unit book that risk-adjusted return is taken from."),
    "weight_accuracy": Field("of the total score", 0.0, 1.0, "Weight of the predictions' accuracy."),
    "weight_resilience": Field("of the total score", 0.0, 1.0, "Weight of the resilience under stress."),
    "weight_return": Field("of the total score", 0.0, 1.0, "Weight of the risk-adjusted return."),
    "weight_contribution": Field("of the total score", 0.0, 1.0, "Weight of what an entry adds to the others'."),
    "stress_paths": Field("paths", 20, 10_000, "Paths of each family of scenarios."),
    "stress_sessions": Field("sessions", 5, 250, "Last sessions that paths are drawn from."),
    "stress_symbols": Field("symbols", 1, 64, "Representative symbols that paths are made of."),
    "risk_budget": Field("session deviations", 0.1, 100.0, "Excess loss under stress that leaves no resilience."),
    "least_exposure": Field(_CAPITAL, 0.0, 1.0, "Mean gross exposure below which resilience says nothing and is 0.5."),
    "base_performance": Field("of the base", 0.0, 1.0, "Share of the base by performance; the rest is equal."),
    "sharpe_offset": Field("a year", 0.0, 5.0, "Added to shrunken Sharpe ratios before shares are taken."),
    "strategy_cap": Field(_CAPITAL, 0.0, 1.0, "Most that one strategy may have."),
    "base_move_cap": Field(_CAPITAL, 0.0, 1.0, "Most by which a strategy's base may change in a round."),
    "pool_minimum": Field(_CAPITAL, 0.0, MOST_COMPETITIVE, "The competitive pool without any evidence."),
    "pool_maximum": Field(_CAPITAL, 0.0, MOST_COMPETITIVE, "The competitive pool with full evidence."),
    "evidence": _switch("Whether the pool opens with the evidence; if not it is at its maximum."),
    "evidence_full": Field("to one", 2.0, 1e6, "Odds of the evidence process at which the pool is fully open."),
    "agent_cap": Field(_CAPITAL, 0.0, MOST_COMPETITIVE, "Most that one entrant may have of the pool."),
    "pool_move_cap": Field(_CAPITAL, 0.0, MOST_COMPETITIVE, "Most by which an entrant's part may change in a round."),
    "innovation_bonus": Field(
        "of the entrant's part", 0.0, 0.25, "Most that a new approach with a positive contribution gains."
    ),
    "diversity_adjustment": Field("of the entrant's part", 0.0, 1.0, "How strongly look-alikes are shrunk."),
    "automatic_limit": Field(
        _CAPITAL, 0.0, MOST_AUTOMATIC, "Largest change of one strategy that needs no approval by people."
    ),
    "override_days": Field("days", 1, 365, "Longest that an override may last."),
    "drawdown_halved": Field("of the high-water mark", 0.01, 1.0, "Drawdown beyond which a strategy is halved."),
    "drawdown_benched": Field("of the high-water mark", 0.01, 1.0, "Drawdown beyond which a strategy is benched."),
}


@dataclass(frozen=True)
class Change:
    """A field that differs between two versions."""

    field: str
    before: Value
    after: Value
    unit: str


def schedule_of(rules: Rules) -> Schedule:
    """Return the part that says when rounds open."""
    return Schedule(
        enabled=rules.enabled, interval=rules.interval, weekday=rules.weekday, hour=rules.hour, minute=rules.minute,
        zone=rules.zone, calendar=rules.calendar, duration_ns=rules.duration * MINUTE_NS,
    )  # fmt: skip


def problems(rules: Rules) -> list[str]:
    """Return one sentence for every bad field: its name, its value and what is allowed; empty where all is well."""
    found = [text for name in FIELDS if (text := field_problem(name, getattr(rules, name)))]
    if not _whole(rules.version) or rules.version < 1:
        found.append(f"version = {rules.version!r} is not a whole number from 1 on")
    return found or _joint_problems(rules)


def field_problem(name: str, value: Any) -> str:
    """Return a sentence that names the field, the value and what is allowed; "" where it is allowed."""
    field = FIELDS.get(name)
    if field is None:
        return f"{name} is no field of the rules; there are {', '.join(FIELDS)}"
    kind = Rules.__annotations__[name]
    if kind is str:
        return _text_problem(name, field, value)
    if kind is bool:
        return "" if isinstance(value, bool) else f"{name} = {value!r} is neither true nor false"
    allowed = f"{field.low:g} to {field.high:g} {field.unit}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{name} = {value!r} is not a number; allowed is {allowed}"
    if kind is int and not isinstance(value, int):
        return f"{name} = {value!r} is not a whole number; allowed is {allowed}"
    return "" if field.low <= value <= field.high else f"{name} = {value!r} is outside {allowed}"  # so is NaN


def canonical_json(rules: Rules) -> bytes:
    """Return the rules' JSON: declared field order, no spaces, a share always written as a float.

    The record keeps these bytes, and what they hash to is the version's identity: a later station that knows more
    fields hashes the bytes that were kept and does not encode them again.
    """
    plain = msgspec.structs.asdict(rules)
    for name, kind in Rules.__annotations__.items():
        if kind is float:
            plain[name] = float(plain[name]) + 0.0  # 1 and 1.0, 0.0 and -0.0 are the same rule
    return msgspec.json.encode(Rules(**plain))


def fingerprint(rules: Rules) -> str:
    """Return SHA-256 of the canonical JSON, 64 hexadecimal letters."""
    return hashlib.sha256(canonical_json(rules)).hexdigest()


def from_json(raw: bytes | str) -> Rules:
    """Return the rules that JSON holds; fields that it leaves out have their defaults.

    Raises
    ------
    RulesError
        if it is no JSON object, a field is unknown or of another type, or :func:`problems` finds any.
    """
    try:
        rules = msgspec.json.decode(raw, type=Rules)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RulesError(f"the rules cannot be read: {error}") from error
    if wrong := problems(rules):
        raise RulesError("; ".join(wrong))
    return msgspec.json.decode(canonical_json(rules), type=Rules)


def changed(before: Rules, after: Rules) -> list[Change]:
    """Return the fields that differ, in the table's order; the version's number is none of them."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in FIELDS)
    return [Change(name, old, new, FIELDS[name].unit) for name, old, new in pairs if old != new]


def loosened(before: Rules, after: Rules) -> list[str]:
    """Return the fields by which rules let capital move farther or faster, or bench later, than others do."""
    more = [name for name in LOOSER_ABOVE if getattr(after, name) > getattr(before, name)]
    less = [name for name in LOOSER_BELOW if getattr(after, name) < getattr(before, name)]
    return [*more, *less]


def _text_problem(name: str, field: Field, value: Any) -> str:
    if not isinstance(value, str):
        return f"{name} = {value!r} is not a text"
    if field.choices:
        return "" if value in field.choices else f"{name} = {value!r} is none of {', '.join(field.choices)}"
    try:
        _known = ZoneInfo(value) if name == "zone" else calendar_zone(value)
    except CalendarError as error:
        return f"calendar = {value!r} is not allowed: {error}"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{name} = {value!r} is no zone of the IANA time zone database, such as America/New_York"
    return ""


def _joint_problems(rules: Rules) -> list[str]:
    """Return what is wrong between fields that are each in their range."""
    found = []
    total = math.fsum(getattr(rules, name) for name in WEIGHTS)
    if abs(total - 1.0) > WEIGHT_TOLERANCE:
        found.append(f"{', '.join(WEIGHTS)} add up to {total:.6g}; they must add up to 1")
    if rules.pool_minimum > rules.pool_maximum:
        found.append(f"pool_minimum = {rules.pool_minimum!r} is above pool_maximum = {rules.pool_maximum!r}")
    if rules.drawdown_halved > rules.drawdown_benched:
        found.append(
            f"drawdown_halved = {rules.drawdown_halved!r} is above drawdown_benched = {rules.drawdown_benched!r}"
        )
    for earlier, later in pairwise(DEADLINES):
        if getattr(rules, earlier) > getattr(rules, later):
            found.append(f"{earlier} = {getattr(rules, earlier)} is after {later} = {getattr(rules, later)}")
    if rules.allocate_by > rules.duration:
        found.append(f"allocate_by = {rules.allocate_by} is after the round's duration = {rules.duration}")
    return found


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

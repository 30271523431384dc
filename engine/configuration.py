"""The complete configuration of a station: one versioned snapshot, journaled as an input of the engine."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from market.instruments import Instrument
from risk.limits import Limits

DEFAULTS = Path(__file__).with_name("defaults.toml")
DISK_LEVELS = ("warning", "reducing", "halted")


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money the station starts with."""

    currency: str
    initial_cash: float


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What trading costs on paper, and how much of a bar may be ours."""

    fee_bps: float
    half_spread_bps: float
    impact_eta: float
    volatility_bars: int
    volume_share: float
    symbol_budget: float


class Disk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Free space of the journal's disk below which the station warns, reduces and halts: bytes, or a share of a disk.

    The smaller of the two counts, so that a small disk can be used; worker/space.py decides.
    """

    warning_bytes: int = 5 * 2**30
    warning_share: float = 0.10
    reducing_bytes: int = 2**30
    reducing_share: float = 0.05
    halted_bytes: int = 256 * 2**20
    halted_share: float = 0.025


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the bars come from, as every page names it."""

    feed: str  # the stream's name: replay, sample, simulated
    label: Literal["SIMULATED", "REPLAY", "SAMPLE", "LIVE"]
    detail: str  # the file's name, the seed
    interval_s: int  # the shortest bar length among its symbols
    waits: bool = True  # time is not the wall clock's: jobs marked so in the phase table are waited for


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may set: the default file's sections."""

    account: Account
    weights: dict[str, float]
    costs: Costs
    limits: Limits
    strategies: dict[str, dict[str, float]]
    disk: Disk = Disk()  # journals of stations that knew no such section go on


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings, mode, instruments and source, complete; ``version`` grows by one with each change."""

    version: int
    mode: Literal["PAPER"]
    settings: Settings
    instruments: list[Instrument]
    source: Source
    operators: Literal[1, 2] = 1  # people whom a loosening takes; with one it waits ten minutes instead


class SettingsError(ValueError):
    """One sentence: the file, the field, the value, what is allowed."""


def load_settings(override: Path | None = None) -> Settings:
    """Return the defaults, with the operator's file laid over them where it exists.

    Raises
    ------
    SettingsError
        if the file cannot be read, is not TOML, or a field is unknown, missing or out of range.
    """
    merged = tomllib.loads(DEFAULTS.read_text())
    name = DEFAULTS.name
    if override is not None and os.path.lexists(override):  # a link that leads nowhere was meant to lead somewhere
        name = str(override)
        try:
            given = tomllib.loads(override.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"settings {name} cannot be read ({error}); make it a readable UTF-8 file or move it away"
            ) from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"settings {name} is not TOML: {error}") from error
        _merge(merged, given)
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings {name}: {error}") from error
    check_settings(settings, name)
    return settings


def _merge(base: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value


def check_settings(settings: Settings, name: str) -> None:
    """Refuse settings that no station may run under; ``name`` is the file's, for the sentence.

    Raises
    ------
    SettingsError
        naming the first field that is out of range, unknown or at odds with another.
    """
    for field, value, low, high in _ranges(settings):
        if not low <= value <= high:
            raise SettingsError(f"settings {name}: {field} = {value} is outside {low:g} to {high:g}")
    limits = settings.limits
    if not limits.drawdown_warning <= limits.drawdown_reducing <= limits.drawdown_halted:
        raise SettingsError(
            f"settings {name}: limits.drawdown_warning <= drawdown_reducing <= drawdown_halted does not hold "
            f"({limits.drawdown_warning}, {limits.drawdown_reducing}, {limits.drawdown_halted})"
        )
    for measure in ("bytes", "share"):
        values = [getattr(settings.disk, f"{level}_{measure}") for level in DISK_LEVELS]
        if values != sorted(values, reverse=True):
            raise SettingsError(
                f"settings {name}: disk.warning_{measure} >= reducing_{measure} >= halted_{measure} does not hold "
                f"({', '.join(map(str, values))})"
            )
    if not re.fullmatch("[A-Z]{3,5}", settings.account.currency):
        raise SettingsError(
            f"settings {name}: account.currency = {settings.account.currency!r} is not three to five capital letters"
        )
    _check_strategies(settings, name)


def _check_strategies(settings: Settings, name: str) -> None:
    from agents.strategies import STRATEGIES, ParameterError, parameter_array  # noqa: PLC0415 - compiled code is slow to load

    policies = {policy.name: policy for policy in STRATEGIES}
    for section, given in (("weights", settings.weights), ("strategies", settings.strategies)):
        for strategy in given:
            if strategy not in policies:
                raise SettingsError(
                    f"settings {name}: {section}.{strategy} names no strategy; there are {', '.join(policies)}"
                )
    for strategy, parameters in settings.strategies.items():
        try:
            parameter_array(policies[strategy], parameters)
        except ParameterError as error:
            raise SettingsError(f"settings {name}: strategies.{error}") from error


def _ranges(settings: Settings) -> list[tuple[str, float, float, float]]:
    """Return every number with the lowest and highest value that it may have."""
    limits, costs, disk = settings.limits, settings.costs, settings.disk
    shares = ("max_position", "max_strategy", "max_gross", "max_net")
    fractions = (
        "price_collar", "daily_loss", "drawdown_warning", "drawdown_reducing", "drawdown_halted", "stance_low",
        "no_trade_band",
    )  # fmt: skip
    return [
        ("account.initial_cash", settings.account.initial_cash, 1.0, 1e9),
        ("costs.fee_bps", costs.fee_bps, 0.0, 1000.0),
        ("costs.half_spread_bps", costs.half_spread_bps, 0.0, 1000.0),
        ("costs.impact_eta", costs.impact_eta, 0.0, 10.0),
        ("costs.volatility_bars", costs.volatility_bars, 2, 64),
        ("costs.volume_share", costs.volume_share, 0.0001, 1.0),
        ("costs.symbol_budget", costs.symbol_budget, 0.0, 1.0),
        ("limits.max_order_value", limits.max_order_value, 0.0, 1e12),
        ("limits.max_order_lots", limits.max_order_lots, 0, 1e15),
        *((f"limits.{field}", getattr(limits, field), 0.0, 10.0) for field in shares),
        *((f"limits.{field}", getattr(limits, field), 0.0, 1.0) for field in fractions),
        ("limits.stale_after_s", limits.stale_after_s, 0.0, 86400.0),
        ("limits.strategy_rate", limits.strategy_rate, 0.01, 1000.0),
        ("limits.station_rate", limits.station_rate, 0.01, 1000.0),
        ("limits.repeated_denials", limits.repeated_denials, 1, 1e6),
        ("limits.stance_high", limits.stance_high, 1.0, 2.0),
        *((f"disk.{level}_bytes", getattr(disk, f"{level}_bytes"), 0, 2**50) for level in DISK_LEVELS),
        *((f"disk.{level}_share", getattr(disk, f"{level}_share"), 0.0, 0.9) for level in DISK_LEVELS),
        *((f"weights.{strategy}", weight, 0.0, 1.0) for strategy, weight in settings.weights.items()),
        ("sum of weights", sum(settings.weights.values()), 0.0, 1.0 + 1e-12),
    ]

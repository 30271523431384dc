"""The complete configuration of a station: one versioned snapshot, journaled as an input of the engine."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.layout import CURRENCIES
from market.instruments import Instrument
from market.occurrences import Schedule
from risk.limits import Limits

DEFAULTS = Path(__file__).with_name("defaults.toml")
BROKER_NAME = re.compile("[a-z][a-z0-9_-]{0,31}")
DISK_LEVELS = ("warning", "reducing", "halted")


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money the station starts with."""

    currency: str
    initial_cash: float


class Fee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A venue's schedule, for the instruments of an exchange, of an asset class or (both given) of both.

    A fill costs its share of the notional in basis points (below zero: a maker's rebate) and ``per_unit`` for each
    unit, at least ``minimum``, in the instrument's currency, rounded up to the micro-unit.
    """

    exchange: str = ""
    asset_class: str = ""
    taker_bps: float = 0.0
    maker_bps: float | None = None  # of orders that rested in the book; None: as a taker
    per_unit: float = 0.0
    minimum: float = 0.0

    def holds_for(self, instrument: Instrument) -> bool:
        """Whether an instrument trades under it."""
        return self.exchange in {"", instrument.exchange} and self.asset_class in {"", instrument.asset_class}


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What trading costs on paper, and how much of a bar may be ours.

    The first of ``fees`` that holds for an instrument is its schedule; ``fee_bps`` is everybody else's.
    """

    fee_bps: float
    half_spread_bps: float
    impact_eta: float
    volatility_bars: int
    volume_share: float
    symbol_budget: float
    financing_bps: float = 0.0  # a year, of the value of shorts, charged for the nights after each session (ACT/360)
    fees: list[Fee] = []


class Orders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the strategies' net orders trade (engine/terms.py): a LIMIT is ``limit_bps`` beyond the mark."""

    type: Literal["MARKET", "LIMIT"] = "MARKET"
    time_in_force: Literal["DAY", "IOC", "GTC"] = "DAY"
    limit_bps: float = 20.0


class Execution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How decisions reach the market (engine/algorithms.py): at once, or in slices."""

    algorithm: Literal["market", "twap", "participation"] = "market"
    slice_above: float = 0.0
    slices: int = 5
    horizon_minutes: float = 10.0
    participation: float = 0.02


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


class BlackSwan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the black-swan detector calls extraordinary (risk/black_swan.py)."""

    index: str = "SPY"  # where it is among the symbols, its falls from the previous close halt the station
    index_falls: tuple[float, float, float] = (0.07, 0.13, 0.20)
    z: float = 8.0
    move: float = 1.5  # in deviations of a day
    move_unknown: float = 3.0
    overnight: float = 8.0
    symbols_share: float = 0.25


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
    black_swan: BlackSwan = BlackSwan()
    disk: Disk = Disk()  # journals of stations that knew no such section go on
    orders: Orders = Orders()
    execution: Execution = Execution()
    routing: dict[str, list[str]] = {}  # symbol, asset class or "*" to brokers in order; empty: the mode's one broker
    rates: dict[str, str] = {}  # currency to the pair whose marks are its rate to the account's: EUR = "EURUSD"


class Tournaments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When rounds open, by the rules in force; ``history``: files of bars from before the source's, absolute paths."""

    schedule: Schedule
    history: list[str] = []


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings, mode, instruments and source, complete; ``version`` grows by one with each change."""

    version: int
    mode: Literal["PAPER"]
    settings: Settings
    instruments: list[Instrument]
    source: Source
    operators: Literal[1, 2] = 1  # people whom a loosening takes; with one it waits ten minutes instead
    tournaments: Tournaments | None = None  # None: no round opens by itself


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
    if not limits.strategy_drawdown_warning <= limits.strategy_drawdown:
        raise SettingsError(
            f"settings {name}: limits.strategy_drawdown_warning <= strategy_drawdown does not hold "
            f"({limits.strategy_drawdown_warning}, {limits.strategy_drawdown})"
        )
    if list(settings.black_swan.index_falls) != sorted(set(settings.black_swan.index_falls)):
        raise SettingsError(
            f"settings {name}: black_swan.index_falls = {list(settings.black_swan.index_falls)} does not rise"
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
    _check_fees(settings, name)
    _check_rates(settings, name)
    _check_orders(settings, name)
    _check_strategies(settings, name)


def _check_orders(settings: Settings, name: str) -> None:
    for entry, brokers in settings.routing.items():
        if not brokers or len(set(brokers)) < len(brokers) or not all(map(BROKER_NAME.fullmatch, brokers)):
            raise SettingsError(
                f"settings {name}: routing.{entry} = {brokers} is not a list of different brokers' names "
                "(small letters, digits, - and _)"
            )
    sliced, orders = settings.execution.algorithm != "market", settings.orders
    if sliced and (orders.type, orders.time_in_force) != ("MARKET", "DAY"):
        raise SettingsError(
            f"settings {name}: orders.type = {orders.type!r} and time_in_force = {orders.time_in_force!r} do not go "
            f"with execution.algorithm = {settings.execution.algorithm!r}; slices are MARKET orders for the DAY"
        )


def _check_fees(settings: Settings, name: str) -> None:
    for number, fee in enumerate(settings.costs.fees, start=1):
        where = f"settings {name}: costs.fees entry {number}"
        if not (fee.exchange or fee.asset_class):
            raise SettingsError(f"{where} names neither exchange nor asset_class; costs.fee_bps is everybody's fee")
        maker = fee.taker_bps if fee.maker_bps is None else fee.maker_bps
        for field, value, low, high in (
            ("taker_bps", fee.taker_bps, 0.0, 1000.0), ("maker_bps", maker, -100.0, 1000.0),
            ("per_unit", fee.per_unit, 0.0, 1000.0), ("minimum", fee.minimum, 0.0, 1000.0),
        ):  # fmt: skip
            if not low <= value <= high:
                raise SettingsError(f"{where}: {field} = {value} is outside {low:g} to {high:g}")


def _check_rates(settings: Settings, name: str) -> None:
    own = settings.account.currency
    if len(settings.rates) >= CURRENCIES:
        raise SettingsError(
            f"settings {name}: rates names {len(settings.rates)} currencies; at most {CURRENCIES - 1} are kept"
        )
    for currency, pair in settings.rates.items():
        if currency == own or not re.fullmatch("[A-Z]{3,5}", currency):
            raise SettingsError(
                f"settings {name}: rates.{currency} must be three to five capital letters, not the account's {own}"
            )
        if pair_direction(pair, currency, own) == 0:
            raise SettingsError(
                f'settings {name}: rates.{currency} = "{pair}" is no pair of {currency} and {own}, such as '
                f"{currency}{own} or {own}{currency}"
            )


def pair_direction(pair: str, currency: str, own: str) -> int:
    """Return +1 where a pair's price is one ``currency`` in ``own``, -1 where it is the inverse, 0 where neither."""
    letters = re.sub("[^A-Z]", "", pair.partition("@")[0])
    return {currency + own: 1, own + currency: -1}.get(letters, 0)


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
    limits, costs, disk, execution = settings.limits, settings.costs, settings.disk, settings.execution
    shares = ("max_position", "max_strategy", "max_gross", "max_net")
    fractions = (
        "price_collar", "daily_loss", "drawdown_warning", "drawdown_reducing", "drawdown_halted", "stance_low",
        "no_trade_band", "strategy_drawdown_warning", "strategy_drawdown", "strategy_daily_loss", "symbol_drawdown",
        "symbol_daily_loss",
    )  # fmt: skip
    swan = settings.black_swan
    return [
        ("account.initial_cash", settings.account.initial_cash, 1.0, 1e9),
        ("costs.fee_bps", costs.fee_bps, 0.0, 1000.0),
        ("costs.half_spread_bps", costs.half_spread_bps, 0.0, 1000.0),
        ("costs.impact_eta", costs.impact_eta, 0.0, 10.0),
        ("costs.volatility_bars", costs.volatility_bars, 2, 64),
        ("costs.volume_share", costs.volume_share, 0.0001, 1.0),
        ("costs.symbol_budget", costs.symbol_budget, 0.0, 1.0),
        ("orders.limit_bps", settings.orders.limit_bps, -1000.0, 1000.0),
        ("costs.financing_bps", costs.financing_bps, 0.0, 10_000.0),
        ("limits.max_order_value", limits.max_order_value, 0.0, 1e12),
        ("limits.max_order_lots", limits.max_order_lots, 0, 1e15),
        *((f"limits.{field}", getattr(limits, field), 0.0, 10.0) for field in shares),
        *((f"limits.{field}", getattr(limits, field), 0.0, 1.0) for field in fractions),
        ("limits.stale_after_s", limits.stale_after_s, 0.0, 86400.0),
        ("limits.strategy_rate", limits.strategy_rate, 0.01, 1000.0),
        ("limits.station_rate", limits.station_rate, 0.01, 1000.0),
        ("limits.repeated_denials", limits.repeated_denials, 1, 1e6),
        ("limits.stance_high", limits.stance_high, 1.0, 2.0),
        ("execution.slice_above", execution.slice_above, 0.0, 1000.0),
        ("execution.slices", execution.slices, 2, 1000),
        ("execution.horizon_minutes", execution.horizon_minutes, 0.0, 1440.0),
        ("execution.participation", execution.participation, 0.0001, 1.0),
        ("limits.max_var", limits.max_var, 0.0, 10.0),
        ("limits.covariance_max_age_sessions", limits.covariance_max_age_sessions, 1, 250),
        *(("black_swan.index_falls", fall, 0.01, 0.99) for fall in swan.index_falls),
        *((f"black_swan.{field}", getattr(swan, field), 0.5, 100.0) for field in ("z", "move", "move_unknown")),
        ("black_swan.overnight", swan.overnight, 0.5, 100.0),
        ("black_swan.symbols_share", swan.symbols_share, 0.01, 1.0),
        *((f"disk.{level}_bytes", getattr(disk, f"{level}_bytes"), 0, 2**50) for level in DISK_LEVELS),
        *((f"disk.{level}_share", getattr(disk, f"{level}_share"), 0.0, 0.9) for level in DISK_LEVELS),
        *((f"weights.{strategy}", weight, 0.0, 1.0) for strategy, weight in settings.weights.items()),
        ("sum of weights", sum(settings.weights.values()), 0.0, 1.0 + 1e-12),
    ]

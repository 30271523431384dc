"""Everything the engine remembers, as tables and plain lists: what a snapshot holds and a resume restores."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.strategies import STRATEGIES, Policy, parameter_array
from engine.allocation import Allocation
from engine.configuration import Configuration, Costs, Fee
from engine.fills import Taken
from engine.guards import Guards, carry_over, new_guards, set_guards
from engine.layout import ACCOUNT, BOOK, COSTS, LIMITS, STRATEGY, Table
from engine.orders import Order
from engine.parents import Parent
from engine.universe import Universe
from market.aggregation import new_buckets
from market.bars import empty_bars
from market.instruments import Instrument
from risk.codes import Code

MICRO = 1_000_000
REMEMBERED = 1000  # closed orders kept to recognise a late or repeated fill


@dataclass
class PolicyRun:
    """A policy with its state: ``state`` of its own dtype [n], scores f8 [n], features f8 [n, F]."""

    policy: Policy
    parameters: npt.NDArray[np.float64]
    state: Table
    targets: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    features: npt.NDArray[np.float64]


@dataclass
class Aggregate:
    """One interval's unfinished bars [n], what closed at the last slice [2, n], and the rows of its strategies."""

    interval_ns: int
    buckets: Table
    closed: Table
    strategies: list[int]


@dataclass
class State:
    """Tables of engine/layout.py, policies, unfinished bars and orders of one account.

    ``names`` are the strategies in row order, ``rows`` their rows; ``crossing``: strategies wait to cross lots.
    """

    configuration: Configuration
    universe: Universe
    books: Table
    strategies: Table
    account: Table
    costs: Table
    limits: Table
    runs: list[PolicyRun]
    names: list[str]
    rows: dict[str, int]
    aggregates: dict[int, Aggregate]
    wants: npt.NDArray[np.int64]
    masks: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    limits_met: npt.NDArray[np.float64]
    guards: Guards
    orders: dict[str, Order] = field(default_factory=dict)
    closed_orders: dict[str, Order] = field(default_factory=dict)
    order_count: int = 0
    version: int = 0
    crossing: bool = False
    taken: Taken = field(default_factory=dict)  # of the levels that quotes have shown
    parents: dict[str, Parent] = field(default_factory=dict)
    parent_count: int = 0
    allocation: Allocation | None = None
    allocation_version: int = 0  # of the last one taken, whether it still stands or not

    def foreign_cash(self) -> dict[str, int]:
        """Return the cash of currencies other than the account's, in micro-units, where there is any."""
        others = self.universe.currencies[1:]
        if not others:
            return {}
        amounts = self.account[0]["foreign_micro"].tolist()
        return {name: amount for name, amount in zip(others, amounts[1:], strict=False) if amount}


def new_state(configuration: Configuration) -> State:
    """Return the state of an account that has not traded yet.

    Raises
    ------
    agents.strategies.ParameterError
        if a strategy's parameters are unknown or out of range.
    """
    universe = Universe(configuration)
    n, s = len(universe.instruments), len(STRATEGIES)
    settings = configuration.settings
    runs = [_policy_run(policy, settings.strategies.get(policy.name, {}), n) for policy in STRATEGIES]
    intervals = sorted({policy.interval_s for policy in STRATEGIES})
    state = State(
        configuration=configuration,
        universe=universe,
        books=np.zeros((s, n), dtype=BOOK),
        strategies=np.zeros(s, dtype=STRATEGY),
        account=np.zeros(1, dtype=ACCOUNT),
        costs=np.zeros(1, dtype=COSTS),
        limits=np.zeros(1, dtype=LIMITS),
        runs=runs,
        names=[policy.name for policy in STRATEGIES],
        rows={policy.name: s for s, policy in enumerate(STRATEGIES)},
        aggregates={
            i: Aggregate(
                i * 1_000_000_000,
                new_buckets(n),
                empty_bars(2, n),
                [s for s, p in enumerate(STRATEGIES) if p.interval_s == i],
            )
            for i in intervals
        },
        wants=np.zeros((n, s), dtype=np.int64),
        masks=np.full(n, -1, dtype=np.int64),
        values=np.zeros((n, len(Code))),
        limits_met=np.zeros((n, len(Code))),
        guards=new_guards(universe, s, configuration.source.interval_s),
    )
    state.books["stance"] = 1.0
    _open_account(state, round(settings.account.initial_cash * MICRO))
    apply_settings(state, configuration)
    return state


def _policy_run(policy: Policy, overrides: dict[str, float], n: int) -> PolicyRun:
    return PolicyRun(
        policy, parameter_array(policy, overrides), np.zeros(n, dtype=policy.state_dtype),
        np.zeros(n), np.zeros(n), np.zeros((n, len(policy.features))),
    )  # fmt: skip


def _open_account(state: State, cash_micro: int) -> None:
    account, cash = state.account[0], cash_micro / MICRO
    account["cash_micro"] = account["initial_micro"] = cash_micro
    for name in ("equity", "high_water", "breaker_high_water", "day_start_equity", "breaker_day_start"):
        account[name] = cash
    state.strategies["unit_cash_micro"] = cash_micro
    state.strategies["unit_equity"] = cash
    state.strategies["enabled"] = 1
    burst = 2.0 * len(state.universe.instruments)
    state.strategies["tokens"] = burst
    account["tokens"] = burst


def apply_settings(state: State, configuration: Configuration) -> None:
    """Take weights, costs, limits and parameters of a configuration; positions and policies' state stay as they are.

    Another initial cash is a deposit or withdrawal of the difference.

    Raises
    ------
    agents.strategies.ParameterError
        if a strategy's parameters are unknown or out of range; nothing is changed then.
    ValueError
        if a routing table that named brokers is empty now, or more is withdrawn than there is cash; nothing is changed
        then.
    """
    settings = configuration.settings
    if state.configuration.settings.routing and not settings.routing:
        raise ValueError("routing = {} names no broker; what several brokers hold needs a table that names one")
    deposited = round(settings.account.initial_cash * MICRO) - int(state.account[0]["initial_micro"])
    _check_withdrawal(state, deposited)
    arrays = [parameter_array(run.policy, settings.strategies.get(run.policy.name, {})) for run in state.runs]
    for run, parameters in zip(state.runs, arrays, strict=True):
        run.parameters = parameters
    if settings.weights != state.configuration.settings.weights:
        state.allocation = None
    costs = settings.costs
    budget = costs.symbol_budget or 1.0 / max(1, state.universe.tradable)
    state.costs[0] = (
        round(costs.fee_bps * 100), costs.half_spread_bps * 1e-4, costs.impact_eta, costs.volatility_bars,
        costs.volume_share, budget, round(costs.financing_bps * 100),
    )  # fmt: skip
    for row, instrument in zip(state.universe.symbols, configuration.instruments, strict=True):
        row["fee_ppm"], row["fee_maker_ppm"], row["fee_unit_micro"], row["fee_minimum_micro"] = fee_row(
            costs, instrument
        )
    for name in LIMITS.names or ():
        state.limits[0][name] = float(getattr(settings.limits, name))
    set_guards(state.guards, settings, state.universe)
    _deposit(state.account[0], deposited)
    state.configuration = configuration
    state.version = configuration.version
    lay_weights(state, int(state.account[0]["engine_ns"]))


def lay_weights(state: State, now_ns: int) -> None:
    """Lay the weights in force at an instant over the strategies."""
    settings = state.configuration.settings.weights
    weights = settings if state.allocation is None else state.allocation.at(now_ns)
    for row, name in zip(state.strategies, state.names, strict=True):
        row["weight"] = weights.get(name, 0.0)


def weigh(state: State, now_ns: int) -> None:
    """Let overrides that end by an instant give way to the allocation's weights."""
    held = state.allocation
    left = None if held is None else held.running(now_ns)
    if held is not None and left is not None and len(left.overrides) < len(held.overrides):
        state.allocation = left
        lay_weights(state, now_ns)


def fee_row(costs: Costs, instrument: Instrument) -> tuple[int, int, int, int]:
    """Return an instrument's fee schedule: taker's and maker's parts per million, micro-units a unit, and at least."""
    fee = next((each for each in costs.fees if each.holds_for(instrument)), Fee(taker_bps=costs.fee_bps))
    maker = fee.taker_bps if fee.maker_bps is None else fee.maker_bps
    return round(fee.taker_bps * 100), round(maker * 100), round(fee.per_unit * MICRO), round(fee.minimum * MICRO)


def _check_withdrawal(state: State, deposited: int) -> None:
    account = state.account[0]
    equity = float(account["equity"]) + deposited / MICRO
    if deposited < 0 and (int(account["cash_micro"]) + deposited < 0 or equity <= 0.0):
        raise ValueError(
            f"account.initial_cash: {-deposited / MICRO:g} less than before cannot be withdrawn, there is cash of "
            f"{int(account['cash_micro']) / MICRO:g}"
        )


def _deposit(account: Any, deposited: int) -> None:
    """Move cash and every mark: drawdown and the day's loss stay what fractions they were, the day's profit its sum.

    So that neither does a deposit hide a loss, nor a withdrawal make one.
    """
    if deposited == 0:
        return
    before, money = float(account["equity"]), deposited / MICRO
    grown = (before + money) / before if before > 0.0 else 1.0
    account["cash_micro"] += deposited
    account["initial_micro"] += deposited
    account["equity"] = before + money
    account["day_start_equity"] += money
    for name in ("high_water", "breaker_high_water", "breaker_day_start"):
        account[name] *= grown


def extend(old: State, configuration: Configuration) -> State:
    """Return the state under a configuration with more instruments: known symbols keep their rows, new ones follow.

    Raises
    ------
    ValueError
        if an instrument that is known is missing, or has another lot size: a position cannot be forgotten nor reread.
    """
    known = [instrument.symbol for instrument in old.universe.instruments]
    given = {instrument.symbol: instrument for instrument in configuration.instruments}
    missing = [symbol for symbol in known if symbol not in given]
    if missing:
        raise ValueError(f"instruments: {', '.join(missing)} of the account missing; a configuration names all of them")
    for instrument in old.universe.instruments:
        now = given[instrument.symbol]
        if (now.lot_numerator, now.lot_denominator) != (instrument.lot_numerator, instrument.lot_denominator):
            lot = f"{instrument.lot_numerator}/{instrument.lot_denominator}"
            raise ValueError(
                f"instruments: {now.symbol} has a lot of {now.lot_numerator}/{now.lot_denominator}; it stays {lot}"
            )
    currencies = Universe.currencies_of(configuration)
    if currencies[: len(old.universe.currencies)] != old.universe.currencies:
        raise ValueError(
            f"rates: {', '.join(old.universe.currencies)} of the account keep their places; name new ones last"
        )
    order = known + [symbol for symbol in given if symbol not in set(known)]
    new = new_state(_with_instruments(configuration, [given[symbol] for symbol in order]))
    n = len(known)
    static = {"lot_numerator", "lot_denominator", "tick", "currency", "calendar", "tradable", "shortable", "restricted"}
    new.universe.rates[: len(old.universe.rates)] = old.universe.rates
    for name in set(new.universe.symbols.dtype.names or ()) - static:
        new.universe.symbols[name][:n] = old.universe.symbols[name]
    new.books[:, :n], new.strategies[:], new.account[:] = old.books, old.strategies, old.account
    for fresh, past in zip(new.runs, old.runs, strict=True):
        fresh.state[:n], fresh.targets[:n] = past.state, past.targets
        fresh.scores[:n], fresh.features[:n] = past.scores, past.features
    for interval, aggregate in old.aggregates.items():
        new.aggregates[interval].buckets[:n] = aggregate.buckets
    new.orders, new.closed_orders, new.order_count = old.orders, old.closed_orders, old.order_count
    new.crossing, new.taken = old.crossing, old.taken
    new.parents, new.parent_count = old.parents, old.parent_count
    carry_over(new.guards, old.guards)
    new.allocation_version = old.allocation_version
    if configuration.settings.weights == old.configuration.settings.weights:
        new.allocation = old.allocation
    apply_settings(new, new.configuration)
    return new


def _with_instruments(configuration: Configuration, instruments: list[object]) -> Configuration:
    import msgspec  # noqa: PLC0415 - only a change of universe needs it

    return msgspec.structs.replace(configuration, instruments=instruments)

"""Markets and seasons that a test can hold in seconds: drawn days of New York, the station's own policies."""

from dataclasses import replace

import msgspec
import numpy as np

from agents.lookahead import History, slices
from agents.strategies import STRATEGIES, parameter_array
from engine.configuration import load_settings
from market.bars import empty_bars
from market.calendars import DAY_NS, sessions
from market.instruments import instrument_for
from tournaments.market import DAY_S, Market
from tournaments.rules import Rules
from tournaments.season import Season
from tournaments.stress.policies import Entrant

START_NS = 1_525_132_800_000_000_000  # 1 May 2018, 00:00 UTC
NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE")
QUICK = Rules(stress_paths=20, stress_symbols=3)


def entrants():
    return tuple(Entrant(each.name, each, parameter_array(each, {})) for each in STRATEGIES)


def days(count=60, symbols=5, *, seed=1, missing=(), calendar="XNYS", jump=None):
    """Return drawn daily bars; ``missing`` are (session, symbol) without one."""
    generator = np.random.default_rng(seed)
    known = sessions(calendar, START_NS, START_NS + (2 * count + 40) * DAY_NS)
    moves = 0.01 * generator.standard_normal((count, symbols)) + 0.004 * generator.standard_normal((count, 1))
    nights = 0.003 * generator.standard_normal((count, symbols))
    if jump is not None:
        moves[jump[0], jump[1]] = jump[2]
    closes = 100.0 * np.exp(np.cumsum(moves + nights, axis=0))
    opens = closes / np.exp(moves)
    day, symbol = (part.ravel() for part in np.indices(closes.shape))
    keep = np.array([(d, s) not in set(missing) for d, s in zip(day.tolist(), symbol.tolist(), strict=True)])
    day, symbol = day[keep], symbol[keep]
    bars = empty_bars(len(day))
    bars["open"], bars["close"] = opens[day, symbol], closes[day, symbol]
    bars["high"], bars["low"] = np.maximum(bars["open"], bars["close"]), np.minimum(bars["open"], bars["close"])
    bars["volume"] = 1e6 * (1 + symbol)
    bars["open_ns"], bars["close_ns"] = known.opens_ns[day], known.closes_ns[day]
    instruments = tuple(msgspec.structs.replace(instrument_for(name), calendar=calendar) for name in NAMES[:symbols])
    return Market(instruments, (known,) * symbols, slices(symbol, bars, [known] * symbols), None, DAY_S)


def season(market, rules=QUICK, **options):
    return Season(market, options.pop("entrants", entrants()), rules, load_settings().costs, 1e6, **options)


def another_future(history, cut_ns, seed=0):
    """Return the same past up to ``cut_ns``, and after it other prices and other gaps."""
    generator = np.random.default_rng(seed)
    bars, later = history.bars.copy(), history.now_ns > cut_ns
    factor = generator.uniform(0.5, 2.0, bars[later].shape)
    for name in ("open", "high", "low", "close"):
        bars[name][later] = bars[name][later] * factor
    bars["close"][later] = generator.uniform(bars["low"][later], bars["high"][later])
    bars["volume"][later] = generator.uniform(0.0, 1e9, bars[later].shape)
    bars["present"][later] &= generator.random(bars[later].shape) < 0.9
    return History(history.now_ns, bars, history.session_open_ns, history.session_close_ns)


def with_another_future(market, cut_ns, seed=0):
    fine = None if market.fine is None else another_future(market.fine, cut_ns, seed)
    return replace(market, daily=another_future(market.daily, cut_ns, seed), fine=fine)

"""Histories for the quant brain: drawn ones with a planted edge or none, and real days of New York."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyarrow import parquet

from agents.brains.observations import Observations
from agents.brains.quant import walk
from agents.lookahead import History, slices
from agents.strategies.policy import Policy
from market.bars import empty_bars
from market.calendars import DAY_NS, Sessions, sessions

START_NS = 1_600_041_600_000_000_000  # Monday, 14 September 2020, 00:00 UTC
MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class Market:
    """A history with its symbols, calendars and the close of its last slice."""

    symbols: list[str]
    history: History
    sessions: list[Sessions]
    end_ns: int

    def walked(self, policy: Policy, as_of_ns: int | None = None, **overrides: float) -> Observations:
        as_of_ns = self.end_ns if as_of_ns is None else as_of_ns
        return walk(policy, self.symbols, self.history, self.sessions, as_of_ns=as_of_ns, overrides=overrides)

    def with_another_future(self, cut_ns: int, seed: int = 0) -> "Market":
        """Return the same past up to ``cut_ns``, and after it other prices, and bars where there were none."""
        bars = self.history.bars.copy()
        later = self.history.now_ns > cut_ns
        factors = np.random.default_rng(seed).uniform(0.5, 2.0, bars[later].shape)
        for name in ("open", "close"):
            bars[name][later] = np.where(bars["present"][later], bars[name][later], 1.0) * factors
            factors = factors[::-1]
        bars["high"][later] = np.maximum(bars["open"][later], bars["close"][later])
        bars["low"][later] = np.minimum(bars["open"][later], bars["close"][later])
        bars["present"][later] ^= np.random.default_rng(seed).random(bars[later].shape) < 0.2
        return replace(self, history=replace(self.history, bars=bars))


def daily(opens: np.ndarray, closes: np.ndarray, present: np.ndarray | None = None) -> Market:
    """Return UTC days (days, symbols) of a market that never closes; a close is known at midnight."""
    days, symbols = opens.shape
    present = np.ones(opens.shape, dtype=np.bool_) if present is None else present
    day, symbol = np.nonzero(present)
    bars = empty_bars(len(day))
    bars["open"], bars["close"] = opens[day, symbol], closes[day, symbol]
    bars["high"], bars["low"] = np.maximum(bars["open"], bars["close"]), np.minimum(bars["open"], bars["close"])
    bars["volume"] = 1000.0
    bars["open_ns"] = START_NS + day * DAY_NS
    bars["close_ns"] = bars["open_ns"] + DAY_NS
    end_ns = START_NS + days * DAY_NS
    known = [sessions("24/7", START_NS, end_ns + 3 * DAY_NS)] * symbols
    return Market([f"S{k}" for k in range(symbols)], slices(symbol, bars, known), known, end_ns)


def drawn(days: int, symbols: int, seed: int, edge: float = 0.0, missing: float = 0.0) -> Market:
    """Return days whose move is noise of 1 %, and ``edge`` times that in the direction of the six days before."""
    generator = np.random.default_rng(seed)
    noise = 0.01 * generator.standard_normal((days, symbols))
    moves = np.zeros((days, symbols))
    for day in range(days):
        moves[day] = noise[day] + edge * 0.01 * np.sign(moves[max(day - 6, 0) : day].sum(axis=0))
    opens = 100.0 * np.exp(np.cumsum(moves, axis=0) - moves)
    return daily(opens, opens * np.exp(moves), generator.random((days, symbols)) >= missing)


def real(folder: Path, name: str, *wanted: str) -> Market:
    """Return a file of New York's bars; daily ones close with their session."""
    table = parquet.read_table(folder / f"{name}.parquet", filters=[("sym", "in", list(wanted))] if wanted else None)
    minutes = {"min1": 1, "min15": 15, "day1": 1440}[name.split("_")[1]]
    bars = empty_bars(len(table))
    for field in ("open", "high", "low", "close", "volume"):
        bars[field] = table[field[0]].to_numpy()
    bars["open_ns"] = table["ts"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    bars["close_ns"] = bars["open_ns"] + minutes * MINUTE_NS
    known = sessions("XNYS", int(bars["open_ns"].min()) - DAY_NS, int(bars["close_ns"].max()) + 10 * DAY_NS)
    if minutes == 1440:
        bars["close_ns"] = known.closes_ns[np.searchsorted(known.closes_ns, bars["open_ns"], side="right")]
    names = sorted(set(table["sym"].to_pylist()))
    symbol = np.array([names.index(each) for each in table["sym"].to_pylist()], dtype=np.int64)
    end_ns = int(bars["close_ns"].max())
    return Market(names, slices(symbol, bars, [known] * len(names)), [known] * len(names), end_ns)

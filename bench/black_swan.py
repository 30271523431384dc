"""False trips of the black-swan detector: every full minute session of the market data, symbol by symbol, and BTC-PERP.

The detector is the engine's own (risk/black_swan.py), fed bar by bar beside the kernel's marks. A session that tripped
nothing bounds the rate of false trips: 95 % sure it is below 1 - 0.05^(1/n) (Clopper and Pearson 1934; about 3/n).
Lean's prices are unadjusted: its factor file is laid over the mark of the night before, as the ledger does with splits.

example: ./station bench black_swan --data ../shared/data
"""

import argparse
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from scipy.stats import binomtest

from engine.configuration import Configuration, Source, load_settings
from engine.guards import new_guards, set_guards
from engine.kernel import mark_symbols
from engine.universe import Universe
from events.types import Bar, MarketSlice, SliceEnd
from market.feeds.port import FeedRequest
from market.feeds.replay import feed as replay
from risk.black_swan import CORRELATION, RULES, detect

ROOT = Path(__file__).resolve().parent.parent
EQUITIES = (
    "us_min1_spy_2011-01_2011-03.parquet",
    "us_min1_lean_2008-2023_days.parquet",
    "us_min1_2019-02-11_2019-02-15_24sym.parquet",
)
COINS = ("crypto_min1_btcperp_2021-12-31_2022-02-01.parquet",)
MORE_COINS = ("crypto_min1_lean_2016-2026_days.parquet",)
FACTORS = "us_factors_lean.parquet"


def main(argv: list[str]) -> int:
    """Measure and print; return 1 where the detector tripped in an ordinary session."""
    parser = argparse.ArgumentParser(prog="bench black_swan", description=__doc__.partition("\n")[0])
    data = Path(os.environ.get("STATION_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=data, help=f"folder of the market data ({data})")
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    given = parser.parse_args(argv)
    missing = [name for name in (*EQUITIES, *COINS) if not (given.data / name).is_file()]
    if missing:
        parser.error(f"--data = {given.data} holds no {', '.join(missing)}")
    figures = {
        "us_minutes": measure(given.data, EQUITIES),
        "btc_perp": measure(given.data, COINS),
        "other_coins": measure(given.data, MORE_COINS),
    }
    print(json.dumps(figures, indent=None if given.json else 2))
    return 1 if figures["us_minutes"]["trips"] or figures["btc_perp"]["trips"] else 0


def measure(data: Path, files: tuple[str, ...]) -> dict[str, Any]:
    """Return sessions, symbol-days, trips, alerts, and the upper 95 % bound on false trips a session."""
    watches = [Watch(data, name) for name in files]
    longest = max(span.length_ns for watch in watches for span in watch.days.values())  # a half day is no full one
    days = [d for watch in watches for d, span in watch.days.items() if span.full and span.length_ns == longest]
    sessions = {session for _, session in days}
    trips = [trip for watch in watches for trip in watch.trips]
    tripped = {trip["session"] for trip in trips}
    return {
        "files": list(files),
        "bars": sum(watch.bars for watch in watches),
        "full_sessions": len(sessions),
        "full_symbol_days": len(days),
        "symbol_days": sum(len(watch.days) for watch in watches),
        "trips": len(trips),
        "tripped": trips,
        "alerts": dict(sum((watch.alerts for watch in watches), Counter())),
        "upper_95_per_session": upper(len(tripped), len(sessions)),
        "upper_95_per_symbol_day": upper(len(trips), len(days)),
        "largest_minute_in_daily_deviations": max((watch.largest for watch in watches), key=lambda each: each["move"]),
    }


def upper(found: int, of: int) -> float | None:
    """Return the one-sided upper 95 % bound of a rate (Clopper and Pearson 1934)."""
    if of == 0:
        return None
    bound = binomtest(min(found, of), of, alternative="less").proportion_ci(0.95, method="exact")
    return round(float(bound.high), 4)


class Span:
    """How much of a session one symbol's bars reach over; a full one misses at most a twentieth at its ends."""

    def __init__(self) -> None:
        self.first_ns = self.last_ns = self.length_ns = 0

    def take(self, row: Any, bar: Any) -> None:
        """Take one bar."""
        self.length_ns = int(row["session_close_ns"] - row["session_open_ns"])
        self.first_ns = self.first_ns or int(bar["open_ns"])
        self.last_ns = int(bar["close_ns"])

    @property
    def full(self) -> bool:
        """Whether it is a full session."""
        return self.last_ns - self.first_ns >= 0.95 * self.length_ns


class Watch:
    """One file through the detector, all its symbols together."""

    def __init__(self, data: Path, name: str, *, factors: bool = True) -> None:
        feed = replay.open_feed(FeedRequest(argument=str(data / name)))
        described = feed.describe()
        configuration = Configuration(
            version=1, mode="PAPER", settings=load_settings(), instruments=list(described.instruments),
            source=Source(feed="bench", label="REPLAY", detail=name, interval_s=min(described.intervals_s.values())),
        )  # fmt: skip
        self.universe = Universe(configuration)
        self.guards = new_guards(self.universe, 0, configuration.source.interval_s)
        set_guards(self.guards, configuration.settings, self.universe)
        of_lean = factors and "lean" in name and name.startswith("us_")
        self.factors = Factors(data / FACTORS) if of_lean else None
        self.days: dict[tuple[str, int], Span] = {}
        self.trips: list[dict[str, Any]] = []
        self.alerts: Counter[str] = Counter()
        self.largest: dict[str, Any] = {"move": 0.0}
        self.bars = 0
        for batch in feed.batches():
            bars = [event for event in batch.events if isinstance(event, Bar)]
            for end in batch.events:
                if isinstance(end, SliceEnd):
                    self.take(MarketSlice(feed="bench", position="0-0", close_ns=end.close_ns, bars=bars))

    def take(self, market: MarketSlice) -> None:
        """Judge one slice, then let its closes become the marks; each trip is released at once."""
        universe, guards = self.universe, self.guards
        before = universe.symbols["session_open_ns"].copy()
        universe.lay(market)
        if not universe.present:
            return
        symbols = universe.symbols
        for i in np.flatnonzero(symbols["present"]).tolist():
            symbol = universe.instruments[i].symbol
            self.bars += 1
            span = self.days.setdefault((symbol, int(symbols["session_open_ns"][i])), Span())
            span.take(symbols[i], universe.bars[i])
            if self.factors is not None and before[i] not in {0, symbols["session_open_ns"][i]}:
                symbols["mark"][i] *= self.factors.between(symbol, int(symbols["mark_ns"][i]), market.close_ns)
                symbols["previous_close"][i] = symbols["mark"][i]
            self._largest(i, symbol)
        if detect(guards.swans, guards.station, guards.minutes, symbols, universe.bars, market.close_ns):
            self._note(market.close_ns)
        mark_symbols(symbols, universe.bars, 20)

    def _largest(self, i: int, symbol: str) -> None:
        row, own, bar = self.universe.symbols[i], self.guards.swans[i], self.universe.bars[i]
        if row["bars"] and row["mark_ns"] == bar["open_ns"] and own["sessions"] > 1:
            move = abs(float(bar["close"] / row["mark"]) - 1.0) / float(np.sqrt(own["variance"]))
            if move > self.largest["move"]:
                self.largest = {"move": round(move, 3), "symbol": symbol, "at": iso(int(bar["close_ns"]))}

    def _note(self, now_ns: int) -> None:
        swans, station = self.guards.swans, self.guards.station[0]
        for i in np.flatnonzero(swans["found"]).tolist():
            own, symbol = swans[i], self.universe.instruments[i].symbol
            rule = RULES[int(own["found"])]
            if own["found"] == CORRELATION:
                self.alerts[rule] += 1
                continue
            self.trips.append({
                "rule": rule, "symbol": symbol, "at": iso(now_ns), "session": int(own["session_ns"]),
                "value": round(float(own["value"]), 2), "move": round(float(own["move"]), 5),
            })  # fmt: skip
        self.alerts["FEED_GAP"] += int(station["gap_ns"] != 0)
        for found in ("found_level", "found_together"):
            if station[found]:
                self.trips.append({"rule": found, "at": iso(now_ns), "session": 0, "value": int(station[found])})
        swans["tripped_ns"], station["together_ns"] = 0, 0


class Factors:
    """Lean's price factors: a row holds up to and including its date."""

    def __init__(self, path: Path) -> None:
        table = pyarrow.parquet.read_table(path)
        self.rows = table.to_pylist()

    def between(self, symbol: str, before_ns: int, after_ns: int) -> float:
        """Return what a price of the earlier instant is multiplied with to compare it with the later one."""
        return self._at(symbol, before_ns) / self._at(symbol, after_ns)

    def _at(self, symbol: str, instant_ns: int) -> float:
        day = np.datetime64(instant_ns, "ns").astype("datetime64[D]")
        of_symbol = [row for row in self.rows if row["sym"] == symbol]
        held = [row for row in of_symbol if np.datetime64(row["date"], "D") >= day]
        if not held:
            return 1.0
        row = min(held, key=lambda each: each["date"])
        return float(row["price_factor"]) * float(row["split_factor"])


def iso(instant_ns: int) -> str:
    """Return an instant as text."""
    return str(np.datetime64(instant_ns, "ns").astype("datetime64[s]"))

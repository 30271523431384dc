"""Random bars of a few symbols, good and bad, as a feed sends them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from engine.configuration import Configuration, Source, load_settings
from events.types import Bar, SliceEnd, StanceEvent
from market.instruments import Instrument

FEED = "simulated"
INTERVAL_S = 900  # the policies' longest interval: all four run on every bar
STEP_NS = INTERVAL_S * 1_000_000_000
MONDAY_NS = 1_641_168_000_000_000_000  # 2022-01-03 00:00 UTC
SYMBOLS = ("AAA", "BBB", "CCC")
QUICK = {
    "bullish": {"channel_bars": 5, "exit_bars": 3, "rest_bars": 0},
    "bearish": {"window_bars": 5, "slope_bars": 1, "low_bars": 2, "weak_ranges": 0.0, "rest_bars": 0},
    "mean_reversion": {"window_bars": 6, "entry": 1.0, "edge": 0.0, "rest_bars": 0, "patience_bars": 3},
    "momentum": {"fast_bars": 2, "middle_bars": 11, "slow_bars": 21, "entry": 0.2, "rest_bars": 0},
}
"""Parameters with which policies act within a few dozen bars."""


@dataclass(frozen=True)
class Sent:
    """One close as the feed sends it: entries (type, payload) and what the symbols cost then."""

    close_ns: int
    entries: list[tuple[str, msgspec.Struct | bytes]]
    prices: dict[str, float]


def configuration(version: int, symbols: int, chance: random.Random) -> Configuration:
    """Return the first configuration, or a later and tighter one."""
    settings = load_settings()
    limits = msgspec.structs.replace(
        settings.limits, max_order_value=1e6, no_trade_band=0.02, stale_after_s=3600.0, repeated_denials=9
    )
    if version > 1:
        limits = msgspec.structs.replace(
            limits,
            max_order_value=chance.choice((5_000.0, 20_000.0, 1e6)),
            max_position=chance.choice((0.02, 0.1, 1.0)),
            max_gross=chance.choice((0.05, 0.2, 1.0)),
            allow_short=chance.random() < 0.5,
        )
    costs = msgspec.structs.replace(settings.costs, volume_share=chance.choice((0.001, 0.025, 1.0)))
    settings = msgspec.structs.replace(settings, limits=limits, costs=costs, strategies=QUICK)
    instruments = [
        Instrument(symbol=s, asset_class="crypto", exchange="SIMULATED", calendar="24/7", currency="USD", tick=0.01)
        for s in SYMBOLS[:symbols]
    ]
    source = Source(feed=FEED, label="SIMULATED", detail="simulation", interval_s=INTERVAL_S, waits=False)
    return Configuration(version=version, mode="PAPER", settings=settings, instruments=instruments, source=source)


def closes(slices: int, symbols: int, chance: random.Random, bad: float) -> Iterator[Sent]:
    """Yield the closes of a volatile market; ``bad`` is the share of bars that no one should believe."""
    prices = {symbol: 100.0 * (1 + i) for i, symbol in enumerate(SYMBOLS[:symbols])}
    drift = dict.fromkeys(prices, 0.0)
    begin = MONDAY_NS + chance.randrange(96) * STEP_NS
    for k in range(slices):
        open_ns = begin + k * STEP_NS
        entries: list[tuple[str, msgspec.Struct | bytes]] = []
        for symbol, opened in list(prices.items()):
            if chance.random() < 0.2:
                drift[symbol] = chance.gauss(0, 0.008)
            close = round(opened * (1 + drift[symbol] + chance.gauss(0, 0.006)), 2)
            prices[symbol] = max(close, 1.0)
            good = _bar(symbol, open_ns, opened, prices[symbol], chance)
            entries += [("MarketEvent", each) for each in _as_sent(good, bad, chance)]
        if chance.random() < 0.8:
            entries.append(("StanceEvent", _stance(open_ns + STEP_NS, list(prices), chance)))
        if chance.random() < bad:
            entries.insert(chance.randrange(len(entries) + 1), ("MarketEvent", b"no event at all"))
        entries.append(("SliceEnd", SliceEnd(feed=FEED, close_ns=open_ns + STEP_NS, bars=symbols)))
        yield Sent(open_ns + STEP_NS, entries, dict(prices))


def _bar(symbol: str, open_ns: int, opened: float, close: float, chance: random.Random) -> Bar:
    return Bar(
        feed=FEED, symbol=symbol, open_ns=open_ns, interval_s=INTERVAL_S, open=opened,
        high=round(max(opened, close) * 1.001, 2), low=round(min(opened, close) * 0.999, 2), close=close,
        volume=float(chance.randrange(1_000, 500_000)), close_ns=open_ns + STEP_NS,
    )  # fmt: skip


def _as_sent(good: Bar, bad: float, chance: random.Random) -> list[Bar]:
    if chance.random() >= bad:
        return [good]
    replaced = msgspec.structs.replace
    return chance.choice((
        [good, good],
        [],
        [replaced(good, close=None)],
        [replaced(good, high=good.low, low=good.high)],
        [replaced(good, open=-1.0)],
        [replaced(good, volume=-5.0)],
        [replaced(good, open_ns=good.open_ns - STEP_NS, close_ns=good.close_ns - STEP_NS), good],
        [replaced(good, close_ns=good.close_ns + STEP_NS, open_ns=good.open_ns + STEP_NS)],
        [replaced(good, symbol="NONE")],
        [good, replaced(good, revision=1, close=good.open)],
    ))  # fmt: skip


def _stance(close_ns: int, symbols: list[str], chance: random.Random) -> StanceEvent:
    return StanceEvent(
        strategy=chance.choice(sorted(QUICK)), symbol=chance.choice([*symbols, "*"]), bias=chance.uniform(-1, 1),
        confidence=chance.random(), effective_from_ns=close_ns + chance.randrange(3) * STEP_NS,
        expiry_ns=close_ns + chance.randrange(4, 9) * STEP_NS, source="simulation",
    )  # fmt: skip

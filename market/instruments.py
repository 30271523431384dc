"""What can be traded, and in which steps."""

import math
import re
from typing import Literal

import msgspec

from market.calendars import ALWAYS
from market.definitions import DEFINITIONS

SAMPLE_EXCHANGE = "SAMPLE-index"
SIMULATED_EXCHANGE = "SIMULATED"
CRYPTO_EXCHANGES = frozenset(
    {"binance", "bitfinex", "bitstamp", "bybit", "coinbase", "deribit", "dydx", "ftx", "gemini", "kraken", "okx"}
)
COIN_LOT_DENOMINATOR = 10_000
CURRENCIES = ("USDT", "USDC", "BUSD", "TUSD", "FDUSD", "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "BTC", "ETH")
_PAIR = re.compile(rf"^[A-Z0-9]{{2,12}}?[-/]?({'|'.join(CURRENCIES)})$")


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A symbol with its tick, lot, currency and calendar.

    A lot is ``lot_numerator / lot_denominator`` units, so that whole lots stay whole numbers (1/1 for shares, 1/10000
    for coins). The tick binds orders, never the prices of data.
    """

    symbol: str
    asset_class: str  # equity, etf, index, crypto
    exchange: str
    calendar: str  # an exchange_calendars name, or "24/7"
    currency: str
    tick: float
    lot_numerator: int = 1
    lot_denominator: int = 1
    sector: str = ""
    volume_unit: Literal["units", "quote"] = "units"  # quote: the source counts volume in money, not in coins
    tradable: bool = True
    proxy: bool = False  # an index traded on PAPER as if it were a share: every page says so
    shortable: bool = True
    restricted: bool = False


def instrument_for(symbol: str, exchange: str = "", price: float | None = None) -> Instrument:
    """Return the instrument of a symbol as a source names it: its definition, else its exchange's defaults.

    ``exchange`` is the source's word ("US-consolidated", "CBOE-index", "binance"; empty: judged by the symbol's name).
    ``price`` sets a coin's tick: 0.01, or finer so that it stays within a hundredth of a percent or so of the price.
    """
    kind = asset_class_of(symbol, exchange)
    sector = DEFINITIONS[symbol].sector if symbol in DEFINITIONS else ""
    if kind == "crypto":
        return Instrument(
            symbol=symbol,
            asset_class=kind,
            exchange=exchange,
            calendar=ALWAYS,
            currency=currency_of_pair(symbol),
            tick=_coin_tick(price),
            lot_denominator=COIN_LOT_DENOMINATOR,
            sector=sector or "digital assets",
            volume_unit=_volume_unit(symbol, exchange),
        )
    proxy = exchange == SAMPLE_EXCHANGE
    return Instrument(
        symbol=symbol,
        asset_class=kind,
        exchange=exchange,
        calendar="XNYS",
        currency="USD",
        tick=0.01,
        sector=sector,
        tradable=kind != "index" or proxy,
        proxy=proxy,
    )


def asset_class_of(symbol: str, exchange: str = "") -> str:
    """Return equity, etf, index or crypto: by the exchange where it says so, else by definition, else by the name."""
    venue = exchange.lower().partition("(")[0].strip()
    if venue.endswith("index"):
        return "index"
    if venue in CRYPTO_EXCHANGES:
        return "crypto"
    if symbol in DEFINITIONS:
        return DEFINITIONS[symbol].asset_class
    if venue:
        return "equity"
    return "crypto" if _looks_like_a_pair(symbol) else "equity"


def has_definition(symbol: str, exchange: str = "") -> bool:
    """Return whether more is known of a symbol than its exchange's defaults."""
    return symbol in DEFINITIONS or exchange == SIMULATED_EXCHANGE


def currency_of_pair(symbol: str) -> str:
    """Return the currency in which a pair is priced: BTCUSDT -> USDT, BTCEUR@coinbase -> EUR, BTC-PERP -> USD."""
    found = _PAIR.match(_pair_name(symbol))
    return found.group(1) if found else "USD"


def _pair_name(symbol: str) -> str:
    return re.sub(r"[-.]?PERP$", "", symbol.upper().partition("@")[0])


def _looks_like_a_pair(symbol: str) -> bool:
    name = _pair_name(symbol)
    marked = name != symbol.upper()  # a venue or -PERP was cut off
    return marked or (len(name) > 5 and _PAIR.match(name) is not None)


def _volume_unit(symbol: str, exchange: str) -> Literal["units", "quote"]:
    """Return what a perpetual's volume counts.

    FTX reports dollars; an inverse contract (coin-margined, priced in USD) is worth a fixed sum of dollars. Counting
    one of Binance's hundred-dollar contracts as one dollar understates its volume: the fill model errs against us.
    """
    perpetual = symbol.upper().partition("@")[0].endswith("PERP")
    inverse = perpetual and _pair_name(symbol).endswith("USD") and exchange.lower() in {"binance", "bybit", "deribit"}
    return "quote" if inverse or (perpetual and exchange.lower().startswith("ftx")) else "units"


def _coin_tick(price: float | None) -> float:
    if price is None or not math.isfinite(price) or price <= 0.0:
        return 0.01
    return float(f"1e{max(-8, min(-2, math.floor(math.log10(price)) - 4))}")

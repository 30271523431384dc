"""Symbols that the station knows by name: asset class and sector. What is not here gets its exchange's defaults.

Sectors follow the Global Industry Classification Standard as it stood in 2019; funds carry what they hold.
"""

from typing import NamedTuple


class Definition(NamedTuple):
    """What a symbol's name alone does not say."""

    asset_class: str
    sector: str


_EQUITY_SECTORS = {
    "communication": "CHL CHTR CMCSA DIS FB FOXA GOOG GOOGL NWSA T TWX VZ",
    "consumer discretionary": "AMZN BABA HD MCD PCLN SBUX TM TSLA",
    "consumer staples": "BUD KO MO PEP PG PM UL UN WMT",
    "energy": "BP CVX PTR RDS-B REX SLB SNP TOT XOM",
    "financials": "AIG AXP BAC BCH BK BRK-A BSAC C DFS GS HSBC JPM MA PICO TRV V WFC",
    "health care": "ABBV AGFS AMGN CELG DHR JNJ MDT MRK NVS PFE SNY UNH",
    "industrials": "ABB BA CAT CODI GD GE HON HRG IEP LMT MMM SPLP UPS UTX",
    "materials": "BBL BHP SHW",
    "real estate": "AMT",
    "technology": "AAPL CRM CSCO IBM INTC MSFT MU ORCL TSM",
    "utilities": "AEP D DUK EXC NEE NGG PCG PPL SO SRE",
}
_ETF_SECTORS = {
    "broad market": "EEM IWM QQQ SPY TZA VOO",
    "bonds": "SHY",
    "commodities": "GLD PPLT SLV UGA USO",
    "consumer staples": "XLP",
    "volatility": "VXX VXXB",
}

DEFINITIONS: dict[str, Definition] = {
    **{symbol: Definition("equity", sector) for sector, names in _EQUITY_SECTORS.items() for symbol in names.split()},
    **{symbol: Definition("etf", sector) for sector, names in _ETF_SECTORS.items() for symbol in names.split()},
    "VIX": Definition("index", "volatility"),
    "SP500": Definition("index", "broad market"),
    "NASDAQ": Definition("index", "broad market"),
    "BTC-PERP": Definition("crypto", "digital assets"),
}

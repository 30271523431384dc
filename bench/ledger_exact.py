"""The ledger against an exact model: random fills, the largest differences (`./station bench ledger_exact`).

Cash and fees must be the same to the micro-unit; basis and realised within 1e-12 of turnover. The model is whole
numbers for money and decimals of 60 digits for average cost.
"""

import argparse
import json
import random
import time
from decimal import Decimal, getcontext

import numpy as np

from engine.layout import ACCOUNT, SYMBOL
from engine.ledger import book_net, fee_micro, notional_micro

FEE_PPM = 100
LOTS = ((1, 1), (1, 10_000), (100, 1), (1, 8))


class Exact:
    """One symbol by the book, in exact numbers."""

    def __init__(self) -> None:
        self.held, self.basis, self.realised = 0, Decimal(0), Decimal(0)

    def fill(self, lots: int, price: Decimal, unit: Decimal, fee: int) -> None:
        self.realised -= Decimal(fee) / 1_000_000
        if self.held and (self.held > 0) != (lots > 0):
            closing = min(abs(lots), abs(self.held))
            closed = closing if self.held > 0 else -closing
            cost = self.basis * closing / abs(self.held)
            self.realised += closed * unit * price - cost
            self.basis = Decimal(0) if closing == abs(self.held) else self.basis - cost
            self.held -= closed
            lots += closed
        self.held += lots
        self.basis += lots * unit * price


def run(fills: int, seed: int) -> dict[str, float]:
    """Book so many random fills both ways; return the largest differences seen."""
    getcontext().prec = 60
    chance = random.Random(seed)
    symbols, account = np.zeros(len(LOTS), SYMBOL), np.zeros(1, ACCOUNT)
    symbols["lot_numerator"], symbols["lot_denominator"] = zip(*LOTS, strict=True)
    models = [Exact() for _ in LOTS]
    units = [Decimal(a) / Decimal(b) for a, b in LOTS]
    cash = fees = 0
    turnover = Decimal(0)
    worst = {"cash_micro": 0, "fees_micro": 0, "basis_over_turnover": 0.0, "realised_over_turnover": 0.0}
    for n in range(fills):
        i = chance.randrange(len(LOTS))
        lots = (chance.randrange(2_000) + 1) * chance.choice((1, -1))
        micro = chance.randrange(10_000, 500_000_000)
        numerator, denominator = LOTS[i]
        product = abs(lots) * numerator * micro
        notional = -(-product // denominator) if lots > 0 else product // denominator
        fee = -(-notional * FEE_PPM // 1_000_000)
        booked = int(fee_micro(notional_micro(abs(lots), micro, numerator, denominator, lots > 0), FEE_PPM))
        book_net(symbols, i, account, lots, micro, booked, 0.0)
        cash -= (notional if lots > 0 else -notional) + fee
        fees += fee
        price = Decimal(micro) / 1_000_000
        models[i].fill(lots, price, units[i], fee)
        turnover += abs(lots) * units[i] * price
        if n % 97 == 0 or n == fills - 1:
            _compare(worst, symbols[i], account[0], models[i], (cash, fees, turnover))
    return {"fills": fills, "seed": seed, "turnover": float(turnover), **worst}


def _compare(worst: dict, row: np.void, account: np.void, model: Exact, exact: tuple[int, int, Decimal]) -> None:
    cash, fees, turnover = exact
    if int(row["lots"]) != model.held:
        raise ValueError(f"the positions differ: {row['lots']} lots, exactly {model.held}")
    worst["cash_micro"] = max(worst["cash_micro"], abs(int(account["cash_micro"]) - cash))
    worst["fees_micro"] = max(worst["fees_micro"], abs(int(account["fees_micro"]) - fees))
    for name in ("basis", "realised"):
        found = Decimal(float(row[name])) + Decimal(float(row[f"{name}_rest"]))
        off = float(abs(found - getattr(model, name)) / turnover)
        worst[f"{name}_over_turnover"] = max(worst[f"{name}_over_turnover"], off)


def main(argv: list[str]) -> int:
    """Print the largest differences; return 1 where they are beyond what the design allows."""
    parser = argparse.ArgumentParser(prog="bench ledger_exact", description=__doc__)
    parser.add_argument("--fills", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    began = time.perf_counter()
    found = run(given.fills, given.seed) | {"seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(found) if given.json else "\n".join(f"{name:<24}{value}" for name, value in found.items()))
    exact = not found["cash_micro"] and not found["fees_micro"]
    return 0 if exact and max(found["basis_over_turnover"], found["realised_over_turnover"]) <= 1e-12 else 1

"""One engine step on one bar: four policies, breakers, checks, ledger, fills and journal encoding.

The reference of the same run is one compiled policy call, since that is what a step cannot do without. Bars are a
seeded random walk of fifteen minutes, as long as the longest interval of the policies: all four run on every bar.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from agents.strategies import STRATEGIES
from engine.configuration import Configuration, Source, load_settings
from engine.engine import Engine
from events.types import Bar, BrokerEvent, ControlEvent, MarketSlice
from market.instruments import Instrument

REACH_US = 50.0
INTERVAL_S = 900
START_NS = 1_640_995_200_000_000_000  # 2022-01-01 00:00 UTC
SYMBOL = "WALK"
WARM_UP = 200


def main(argv: list[str]) -> int:
    """Measure and print; return 1 where the median is above its reach."""
    parser = argparse.ArgumentParser(prog="bench engine_step", description=__doc__)
    parser.add_argument("--bars", type=int, default=4000, help="bars measured (default 4000)")
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    arguments = parser.parse_args(argv)
    figures = measure(max(100, arguments.bars))
    print(json.dumps(figures, indent=None if arguments.json else 2))
    return 0 if figures["p50_us"] <= REACH_US else 1


def measure(count: int) -> dict[str, Any]:
    """Return p50, p95 and p99 of a step in microseconds, the policy call's, and their ratio."""
    engine = _engine()
    encode = msgspec.json.Encoder().encode
    took: list[int] = []
    with_order: list[int] = []
    orders = 0
    for number, market in enumerate(_walk(count + WARM_UP)):
        while (instant := engine.due(market.close_ns)) is not None:
            engine.clock.advance(instant, 0)
            engine.opinions.advance(instant)
        began = time.perf_counter_ns()
        outputs = []
        for fill in engine.simulated_fills(market, "paper"):
            outputs += engine.on_fill(fill)
        outputs += engine.on_slice(market)
        encode(market)
        for output in outputs:
            encode(output.payload)
        ended = time.perf_counter_ns()
        sent = _accept(engine, outputs, market.close_ns)
        if number >= WARM_UP:
            took.append(ended - began)
            orders += sent
            if sent:
                with_order.append(ended - began)
    policy = _policy_call_ns()
    centiles = statistics.quantiles(took, n=100)
    p50 = statistics.median(took)
    return {
        "steps": len(took),
        "orders": orders,
        "p50_us": round(p50 / 1e3, 2),
        "p95_us": round(centiles[94] / 1e3, 2),
        "p99_us": round(centiles[98] / 1e3, 2),
        "p50_us_of_steps_with_an_order": round(statistics.median(with_order) / 1e3, 2) if with_order else None,
        "policy_call_us": round(policy / 1e3, 3),
        "ratio": round(p50 / policy, 1),
        "reach_us": REACH_US,
    }


def _engine() -> Engine:
    configuration = Configuration(
        version=1,
        mode="PAPER",
        settings=load_settings(),
        instruments=[
            Instrument(
                symbol=SYMBOL, asset_class="crypto", exchange="SIMULATED", calendar="24/7", currency="USD", tick=0.01,
                lot_denominator=10_000,
            )
        ],
        source=Source(feed="bench", label="SIMULATED", detail="random walk, seed 7", interval_s=INTERVAL_S),
    )  # fmt: skip
    engine = Engine(configuration)
    for action in ("configure", "reconciled"):
        engine.on_control(
            ControlEvent(
                action=action, scope="all", target="", actor="bench", reason="bench", request_id=action,
                content=msgspec.Raw(msgspec.json.encode(configuration)),
            )
        )  # fmt: skip
    return engine


def _walk(count: int) -> list[MarketSlice]:
    draw = random.Random(7)
    price, slices = 100.0, []
    for k in range(count):
        opened = price * (1.0 + draw.gauss(0.0, 0.0005))
        price = opened * (1.0 + draw.gauss(0.0, 0.004))
        open_ns = START_NS + k * INTERVAL_S * 1_000_000_000
        close_ns = open_ns + INTERVAL_S * 1_000_000_000
        bar = Bar(
            feed="bench", symbol=SYMBOL, open_ns=open_ns, interval_s=INTERVAL_S, open=opened, close=price,
            high=max(opened, price) * 1.001, low=min(opened, price) * 0.999, volume=1e7, close_ns=close_ns,
        )  # fmt: skip
        slices.append(MarketSlice(feed="bench", position=f"{k}-0", close_ns=close_ns, bars=[bar]))
    return slices


def _accept(engine: Engine, outputs: list[Any], now_ns: int) -> int:
    sent = [x.payload for x in outputs if x.type == "OrderEvent" and x.payload.state in {"INTENT", "PENDING_CANCEL"}]
    for order in sent:
        kind = "ACCEPTED" if order.state == "INTENT" else "CANCELED"
        engine.on_order_event(BrokerEvent(broker="paper", order_id=order.order_id, kind=kind, broker_ns=now_ns))
    return len(sent)


def _policy_call_ns() -> float:
    """Return the median over the policies of one compiled call on one symbol's bar."""
    return statistics.median(_timed(_caller(policy)) for policy in STRATEGIES)


def _caller(policy: Any) -> Callable[[], None]:
    from market.bars import empty_bars  # noqa: PLC0415 - beside its only use

    bars, closed = empty_bars(1), np.ones(1, dtype=np.bool_)
    bars[0] = (100.0, 101.0, 99.0, 100.5, 1e6, START_NS, START_NS + INTERVAL_S, True)
    state, targets, scores = np.zeros(1, dtype=policy.state_dtype), np.zeros(1), np.zeros(1)
    features = np.zeros((1, len(policy.features)))
    parameters = np.array([parameter.default for parameter in policy.parameters])

    def call() -> None:
        policy.loop(state, parameters, bars, closed, targets, scores, features)

    return call


def _timed(call: Callable[[], None], batches: int = 200, size: int = 100) -> float:
    """Return nanoseconds a call: the median of batches, so that another process's turn does not count."""
    took = []
    for _ in range(batches + 1):
        began = time.perf_counter_ns()
        for _ in range(size):
            call()
        took.append((time.perf_counter_ns() - began) / size)
    return statistics.median(took[1:])

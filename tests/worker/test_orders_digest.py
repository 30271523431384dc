"""`orders_sha256`: what it covers, and that order of arrival does not matter."""

import hashlib
import json
import random

import msgspec

from events.types import OrderEvent
from worker.digest import OrdersDigest, order_line


def intent(number, **changes):
    fields = {
        "engine_ns": 1000 + number, "order_id": f"S{number}", "state": "INTENT", "symbol": "AAPL", "side": "BUY",
        "lots": number, "filled_lots": 0, "type": "MARKET", "limit_ticks": None, "stop_ticks": None,
        "time_in_force": "DAY", "expires_ns": None,
        "lots_by_strategy": {"momentum": number, "bullish": 1}, "expected_price": 1.0, **changes,
    }  # fmt: skip
    return OrderEvent(**fields)


def digest(orders):
    made = OrdersDigest()
    for order in orders:
        made.add(order)
    return made.hexdigest()


def test_it_is_the_hash_of_the_sorted_lines():
    orders = [intent(number) for number in range(1, 50)]
    lines = sorted(
        json.dumps(
            {
                "engine_ns": o.engine_ns, "symbol": o.symbol, "side": o.side, "lots": o.lots, "type": o.type,
                "limit_ticks": o.limit_ticks, "lots_by_strategy": dict(sorted(o.lots_by_strategy.items())),
            },
            separators=(",", ":"),
        )
        for o in orders
    )  # fmt: skip
    assert digest(orders) == hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
    random.Random(1).shuffle(orders)
    assert digest(orders) == hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()


def test_ids_and_prices_do_not_count_and_everything_else_does():
    base = intent(1)
    same = msgspec.structs.replace(base, order_id="other", expected_price=9.0)
    assert order_line(base) == order_line(same)
    for change in (
        {"engine_ns": 5},
        {"symbol": "B"},
        {"side": "SELL"},
        {"lots": 9},
        {"lots_by_strategy": {"momentum": 1}},
    ):
        assert order_line(base) != order_line(msgspec.structs.replace(base, **change))


def test_a_snapshot_continues_it():
    one, other = OrdersDigest(), OrdersDigest()
    for number in range(10):
        one.add(intent(number))
    other.load(one.dump())
    for number in range(10, 20):
        one.add(intent(number))
        other.add(intent(number))
    assert one.hexdigest() == other.hexdigest()
    assert len(other) == 20

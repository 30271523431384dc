"""`orders_sha256`: what two runs compare to know that they decided the same orders."""

import hashlib

import msgspec

from events.types import OrderEvent


def order_line(order: OrderEvent) -> bytes:
    """Return an intent's JSON line: engine time, symbol, side, lots, type, limit in ticks, lots by strategy."""
    return (
        msgspec.json.encode(
            {
                "engine_ns": order.engine_ns,
                "symbol": order.symbol,
                "side": order.side,
                "lots": order.lots,
                "type": order.type,
                "limit_ticks": order.limit_ticks,
                "lots_by_strategy": dict(sorted(order.lots_by_strategy.items())),
            }
        )
        + b"\n"
    )


class OrdersDigest:
    """SHA-256 over the sorted lines of every order that reached INTENT.

    Lines arrive almost sorted, which Timsort passes in linear time; the digest is made when asked, once per change.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._made: tuple[int, str] = (-1, "")

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, order: OrderEvent) -> None:
        """Take one intent."""
        self._lines.append(order_line(order))

    def hexdigest(self) -> str:
        """Return the digest of the lines so far."""
        if self._made[0] != len(self._lines):
            self._lines.sort()
            self._made = (len(self._lines), hashlib.sha256(b"".join(self._lines)).hexdigest())
        return self._made[1]

    def dump(self) -> bytes:
        """Return the lines for a snapshot, in order: that somebody asked for the digest leaves no trace."""
        self._lines.sort()
        return b"".join(self._lines)

    def load(self, lines: bytes) -> None:
        """Take the lines of a snapshot."""
        self._lines = lines.splitlines(keepends=True)
        self._made = (-1, "")

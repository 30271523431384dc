"""A decision that an algorithm works in slices (engine/algorithms.py), as the state remembers it."""

from typing import Literal

import msgspec


class Parent(msgspec.Struct, kw_only=True):
    """One decision; ``residual`` is what it has not sent yet, signed lots by strategy: all of it is reserved.

    Slice k is due at ``start_ns + k spacing_ns``; ``slices`` 0 means that each bar's volume decides.
    """

    parent_id: str
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    algorithm: str
    slices: int
    start_ns: int
    spacing_ns: int
    participation: float
    expires_ns: int
    lots_by_strategy: dict[str, int]
    residual: dict[str, int]
    expected_price: float
    sent_lots: int = 0

    @property
    def signed(self) -> int:
        """+1 for a buy, -1 for a sale."""
        return 1 if self.side == "BUY" else -1

"""What the writer knows of orders: QuestDB replaces whole rows, so a row is made whole before it is sent."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from market.store.port import Batch, OrderRow, TradeRow
from market.store.queries import order_row
from market.store.questdb.client import Client

KEPT = 10_000  # orders in memory; an older one is read from the store when something still happens to it
AT_ONCE = 200  # orders in one question

STATIC = (
    "engine_ns", "symbol", "side", "type", "time_in_force", "expected_price", "mode", "order_id",
)  # fmt: skip
"""Fields that the first event of an order decides."""

SELECT = ", ".join("ts::long" if name == "engine_ns" else name for name in OrderRow.__struct_fields__)


class Deal(msgspec.Struct, frozen=True):
    """What a trade adds to its order."""

    lots: int
    price: float
    fee: float
    slippage: float


class Known(msgspec.Struct):
    """An order as it is now, what can be asked for it by, and its trades by (time, writer, sequence)."""

    row: OrderRow
    tags: frozenset[str]
    trades: dict[tuple[int, str, int], Deal]

    def whole(self) -> OrderRow:
        """Return the row with what follows from the trades; sums are exact, in whatever order they came."""
        deals = self.trades.values()
        lots = sum(deal.lots for deal in deals)
        return msgspec.structs.replace(
            self.row,
            average_price=math.fsum(deal.lots * deal.price for deal in deals) / lots if lots else None,
            fee=math.fsum(deal.fee for deal in deals),
            slippage=math.fsum(deal.slippage for deal in deals),
        )


def tags_of(row: OrderRow) -> frozenset[str]:
    """Return what an order can be found by: each strategy with lots in it, each denial."""
    names = (f"strategy:{name}" for name, lots in row.lots_by_strategy.items() if lots)
    return frozenset((*names, *(f"denial:{denial['code']}" for denial in row.denials)))


class OrderBook:
    """Merges order events and trades into whole orders.

    An order that is not in memory is looked up, unless its name comes after every name in the store: so new orders,
    which the engine counts upwards, cost no question.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._newest: str = client.rows("SELECT max(order_id) FROM ~orders")[0][0] or ""

    def unknown(self, batch: Batch) -> list[str]:
        """Return the orders of a batch that may be in the store and are not in memory."""
        names = {row.order_id for row in batch.orders} | {row.order_id for row in batch.trades}
        return sorted(name for name in names if name and name not in self._known and name <= self._newest)

    def load(self, names: Sequence[str]) -> None:
        """Read orders and their trades; all that was written must be readable by now."""
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            marks = ", ".join(["%s"] * len(some))
            for *values, tags in self._client.rows(
                f"SELECT {SELECT}, tags FROM ~orders WHERE order_id IN ({marks})",  # noqa: S608 - constants
                some,
            ):
                row = order_row(values)
                self._known[row.order_id] = Known(row, frozenset(filter(None, tags.split("\n"))), {})
            for name, at, writer, seq, *deal in self._client.rows(
                "SELECT order_id, ts::long, writer, seq, lots, price, commission, slippage "  # noqa: S608 - constants
                f"FROM ~trades WHERE order_id IN ({marks})",
                some,
            ):
                if name in self._known:
                    self._known[name].trades[at, writer, seq] = Deal(*deal)

    def merge(self, batch: Batch) -> Iterable[Known]:
        """Return the orders that the batch changes, as they are after it."""
        touched: dict[str, Known] = {}
        for row in batch.orders:
            touched[row.order_id] = self._take(row)
        for trade in batch.trades:
            known = self._known.get(trade.order_id)
            if known is not None:
                known.trades[trade.engine_ns, trade.writer, trade.seq] = _deal(trade)
                touched[trade.order_id] = known
        self._newest = max(self._newest, max(touched, default=""))
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return touched.values()

    def _take(self, row: OrderRow) -> Known:
        known = self._known.get(row.order_id)
        if known is None:
            known = self._known[row.order_id] = Known(row, tags_of(row), {})
        elif row.seq > known.row.seq:
            kept = {name: getattr(known.row, name) for name in STATIC}
            known.row = msgspec.structs.replace(row, **kept)
            known.tags |= tags_of(row)
        self._known.move_to_end(row.order_id)
        return known


def _deal(trade: TradeRow) -> Deal:
    return Deal(trade.lots, trade.price, trade.fee, trade.slippage)

"""What each topic says: pure functions from the worker's view and the processes' beats to small JSON documents.

The pages render their first HTML from the same documents that the socket sends afterwards, so both always agree.
Instants are milliseconds since 1970 (a browser's number holds nanoseconds only to 2**53); money and fractions stay raw
numbers, written for people by controlroom/pages/formats.py and static/formats.js.
"""

from collections.abc import Callable

from controlroom.live.header import header
from controlroom.live.patch import Document, without_nulls
from controlroom.live.risk import risk
from controlroom.live.rows import alerts, keyed, order_row, processes, split_text, strategies, strategy_title, watchlist
from controlroom.live.snapshot import Snapshot, milliseconds

OVERVIEW_ORDERS = 10
OVERVIEW_ALERTS = 10


def overview(snapshot: Snapshot) -> Document:
    """Return the first page's content."""
    view = snapshot.view or {}
    return {
        "seq": view.get("seq"),
        "point": {
            "at_ms": milliseconds(view.get("engine_ns")),
            "equity": view.get("account", {}).get("equity"),
            "drawdown": view.get("account", {}).get("drawdown"),
        },
        "account": view.get("account", {}),
        "strategies": strategies(view),
        "symbols": watchlist(view),
        "orders": keyed([order_row(view, order) for order in view.get("orders", [])[:OVERVIEW_ORDERS]], "order_id"),
        "alerts": alerts(view, OVERVIEW_ALERTS),
        "processes": processes(snapshot),
        "counts": {name: count for name, count in view.get("counts", {}).items() if isinstance(count, int)},
    }


def positions(snapshot: Snapshot) -> Document:
    """Return what is held, by symbol and strategy, and its totals."""
    view = snapshot.view or {}
    names = list(view.get("strategies", {}))
    rows = []
    for symbol, position in sorted(view.get("positions", {}).items()):
        held = position.get("by_strategy", {})
        quote = view.get("symbols", {}).get(symbol, {})
        rows.append(
            {
                "symbol": symbol,
                "side": "long" if position["lots"] > 0 else "short" if position["lots"] < 0 else "flat",
                "arrival_ms": milliseconds(quote.get("arrival_ns")),
                "in_session": bool(quote.get("in_session")),
                "mark_ms": milliseconds(position.get("mark_ns")),
                "average": position.get("average") if position["lots"] else None,
                **{name: position.get(name) for name in ("qty", "mark", "value", "unrealised", "realised")},
                **{f"by_{index + 1}": held.get(name, 0) for index, name in enumerate(names)},
            }
        )
    account = view.get("account", {})
    totals = ("gross", "net", "realised", "unrealised", "fees", "slippage", "cash", "equity", "initial_cash", "day_pnl")
    return {
        "seq": view.get("seq"),
        "rows": keyed(rows, "symbol"),
        "strategies": strategies(view),
        "totals": {name: account.get(name) for name in totals},
        "count": len(rows),
    }


def orders(snapshot: Snapshot) -> Document:
    """Return what tells the blotter that there is news, and the orders that still work."""
    view = snapshot.view or {}
    counts = view.get("counts", {})
    return {
        "seq": view.get("seq"),
        "total": counts.get("orders", 0) + counts.get("denied", 0),
        "fills": counts.get("fills", 0),
        "open": keyed([order_row(view, order) for order in view.get("open_orders", [])], "order_id"),
    }


def market(snapshot: Snapshot, symbol: str) -> Document:
    """Return one symbol: its price, place and fills."""
    view = snapshot.view or {}
    quote, position = view.get("symbols", {}).get(symbol, {}), view.get("positions", {}).get(symbol, {})
    fills = [
        {
            "id": fill.get("execution_id"),
            "at_ms": milliseconds(fill.get("engine_ns")),
            "order_id": fill.get("order_id"),
            "side": str(fill.get("side", "")).lower(),
            "lots": fill.get("lots"),
            "price": fill.get("price"),
            "fee": fill.get("fee"),
            "slippage": fill.get("slippage"),
            "shares": split_text(view, fill.get("lots_by_strategy") or {}),
        }
        for fill in view.get("fills", [])
        if fill.get("symbol") == symbol
    ]
    targets = [
        {
            "name": name,
            "title": strategy_title(view, name),
            "target": strategy.get("targets", {}).get(symbol),
            "qty": position.get("by_strategy", {}).get(name, 0),
        }
        for name, strategy in view.get("strategies", {}).items()
    ]
    return {
        "seq": view.get("seq"),
        "symbol": symbol,
        "quote": watchlist({**view, "symbols": {symbol: quote}})["by"][symbol],
        "previous_close": quote.get("previous_close"),
        "about": {name: quote.get(name) for name in ("asset_class", "currency", "calendar")},
        "position": {name: position.get(name) for name in ("qty", "average", "value", "unrealised", "realised")},
        "fills": keyed(fills[:20], "id"),
        "targets": keyed(targets, "name"),
    }


def system(snapshot: Snapshot) -> Document:
    """Return processes, streams, journal, projection, versions and disk."""
    view = snapshot.view or {}
    journal = view.get("journal", {})
    return {
        "seq": view.get("seq"),
        "run": view.get("run"),
        "configuration": view.get("configuration"),
        "processes": processes(snapshot),
        "journal": {"seq": journal.get("seq"), "head": journal.get("head"), "unsynced": journal.get("unsynced")},
        "signer": signer(snapshot.beats.get("signer")),
        "latency": view.get("tick_to_order_ms") or {},
        "counts": {name: count for name, count in view.get("counts", {}).items() if isinstance(count, int)},
        "refused": keyed(
            [
                {"code": code, "count": count}
                for code, count in sorted((view.get("counts", {}).get("refused") or {}).items())
            ],
            "code",
        ),
        "orders_sha256": view.get("orders_sha256"),
        **snapshot.extra,
    }


def signer(beat: Document | None) -> Document:
    """Return how far the record is signed, how long the oldest unsigned record has waited, and by whom."""
    if beat is None:
        return {}
    numbers = beat.get("metrics", {})
    return {
        "execution": numbers.get("signed_seq_execution"),
        "station": numbers.get("signed_seq_station"),
        "age_s": numbers.get("unsigned_age_s"),
        "refused": numbers.get("refused"),
        "isolation": "a user of its own" if numbers.get("own_user") else "none (same user)",
    }


def strategy(snapshot: Snapshot, name: str) -> Document:
    """Return one strategy with its targets."""
    view = snapshot.view or {}
    return {
        "seq": view.get("seq"),
        "strategy": strategies(view)["by"].get(name, {}),
        "targets": view.get("strategies", {}).get(name, {}).get("targets", {}),
    }


TOPICS: dict[str, Callable[[Snapshot], Document]] = {
    "header": header,
    "overview": overview,
    "positions": positions,
    "orders": orders,
    "risk": risk,
    "system": system,
}
OBJECT_TOPICS: dict[str, Callable[[Snapshot, str], Document]] = {"market": market, "strategy": strategy}


def is_topic(topic: str) -> bool:
    """Return whether the topic can be subscribed to."""
    kind, _, name = topic.partition(".")
    return topic in TOPICS or (kind in OBJECT_TOPICS and 0 < len(name) <= 40)


def document(topic: str, snapshot: Snapshot) -> Document:
    """Return a topic's document, without nulls.

    Raises
    ------
    KeyError
        if there is no such topic.
    """
    kind, _, name = topic.partition(".")
    made = OBJECT_TOPICS[kind](snapshot, name) if name else TOPICS[topic](snapshot)
    cleaned: Document = without_nulls(made)
    return cleaned

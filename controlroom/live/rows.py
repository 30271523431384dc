"""Rows of the pages' tables, made of the worker's view."""

from typing import Any

from controlroom.live.patch import Document
from controlroom.live.snapshot import Snapshot, milliseconds


def keyed(rows: list[Document], key: str) -> Document:
    """Return rows as an object by key with their order beside it, so that a patch carries the changed ones alone."""
    return {"by": {str(row[key]): row for row in rows}, "order": [str(row[key]) for row in rows]}


def strategy_title(view: dict[str, Any], name: str) -> str:
    """Return the name of a strategy as a person reads it."""
    return str(view.get("strategies", {}).get(name, {}).get("title") or name.replace("_", "-").capitalize())


def split_text(view: dict[str, Any], shares: dict[str, Any]) -> str:
    """Return who holds or asked how much, in words."""
    held = (
        (strategy_title(view, name), "+" if lots > 0 else "\u2212", abs(lots)) for name, lots in shares.items() if lots
    )
    return ", ".join(f"{title} {sign}{size:g}" for title, sign, size in held)


def denial_text(denials: list[dict[str, Any]]) -> str:
    """Return the codes of an order's denials with the numbers that decided."""
    return "; ".join(f"{denial['code']} {denial['value']:g} against {denial['limit']:g}" for denial in denials)


def against_expected(side: str, expected: float | None, obtained: float | None) -> float | None:
    """Return by how many basis points the price was better (above zero) or worse than expected."""
    if not expected or not obtained:
        return None
    return (obtained - expected) / expected * 1e4 * (-1 if side == "BUY" else 1)


def order_row(view: dict[str, Any], order: dict[str, Any]) -> Document:
    """Return an order of the worker's view or of the store as a row."""
    return {
        "order_id": order["order_id"],
        "at_ms": milliseconds(order.get("engine_ns")),
        "symbol": order["symbol"],
        "side": order["side"].lower(),
        "lots": order.get("lots"),
        "type": str(order.get("type", "MARKET")).lower(),
        "filled": order.get("filled_lots"),
        "expected": order.get("expected_price"),
        "price": order.get("average_price") or None,
        "against": against_expected(order["side"], order.get("expected_price"), order.get("average_price")),
        "state": order.get("state"),
        "code": order["denials"][0]["code"] if order.get("denials") else None,
        "why": denial_text(order.get("denials") or []) or order.get("reason") or None,
        "shares": split_text(view, order.get("lots_by_strategy") or {}),
    }


def strategies(view: dict[str, Any]) -> Document:
    """Return the strategies with their stance, profit and place."""
    equity = view.get("account", {}).get("equity") or 0.0
    rows = []
    for index, (name, strategy) in enumerate(view.get("strategies", {}).items()):
        net = strategy.get("net")
        rows.append(
            {
                "name": name,
                "tone": index % 6 + 1,
                "title": strategy_title(view, name),
                "state": strategy.get("state"),
                "weight": strategy.get("weight"),
                "stance": net / equity if equity and net is not None else None,
                "pnl": strategy.get("pnl"),
                "day_pnl": strategy.get("day_pnl"),
                "orders": strategy.get("orders"),
                "fills": strategy.get("fills"),
                "denied": strategy.get("denied"),
                "confidence": strategy.get("confidence"),
                "calibrator": strategy.get("calibrator"),
                "outcomes": strategy.get("outcomes"),
                "unit_equity": strategy.get("unit_equity"),
            }
        )
    return keyed(rows, "name")


def watchlist(view: dict[str, Any]) -> Document:
    """Return every symbol with its last price, the age of its bars and what is held of it."""
    positions = view.get("positions", {})
    rows = [
        {
            "symbol": symbol,
            "last": quote.get("last"),
            "last_ms": milliseconds(quote.get("last_ns")),
            "change": quote.get("change"),
            "volume": quote.get("volume"),
            "bars": quote.get("bars"),
            "qty": positions.get(symbol, {}).get("qty", 0),
            "arrival_ms": milliseconds(quote.get("arrival_ns")),
            "in_session": bool(quote.get("in_session")),
            "stale": bool(quote.get("stale")),
            "note": ("proxy" if quote.get("proxy") else None) if quote.get("tradable", True) else "index",
        }
        for symbol, quote in sorted(view.get("symbols", {}).items())
    ]
    return keyed(rows, "symbol")


def alerts(view: dict[str, Any], limit: int) -> Document:
    """Return the latest alerts, newest first."""
    rows = [
        {
            "id": f"{alert.get('engine_ns')}-{alert.get('rule')}-{alert.get('scope')}",
            "at_ms": milliseconds(alert.get("engine_ns")),
            "severity": alert.get("severity"),
            "rule": alert.get("rule"),
            "scope": alert.get("scope"),
            "message": alert.get("message"),
        }
        for alert in view.get("alerts", [])[:limit]
    ]
    return keyed(list({row["id"]: row for row in rows}.values()), "id")


SUPERVISED = {
    "ready": "up",
    "starting": "starting",
    "restarting": "restarting",
    "waiting": "waiting",
    "failed": "failed",
}
"""The supervisor's word for a process' state to the page's."""


def processes(snapshot: Snapshot) -> Document:
    """Return the processes with their beats and numbers: a beat outweighs the supervisor, unless that has given up."""
    supervised = {process["name"]: process for process in snapshot.supervised}
    rows = []
    for name in sorted(snapshot.beats.keys() | supervised.keys()):
        beat, known = snapshot.beats.get(name, {}), supervised.get(name, {})
        beating = bool(beat) and not known.get("failed")
        rows.append(
            {
                "process": name,
                "beat_ms": milliseconds(beat.get("beat_ns")),
                "started_ms": milliseconds(beat.get("started_ns") or known.get("started_ns")),
                "pid": beat.get("pid") or known.get("pid") or None,
                "version": beat.get("version"),
                "state": beat.get("state", "up") if beating else SUPERVISED.get(str(known.get("state")), "down"),
                "restarts": known.get("restarts"),
                "says": says(beat.get("metrics", {})),
            }
        )
    return keyed(rows, "process")


def says(metrics: dict[str, Any]) -> str:
    """Return a process' own numbers in one line."""
    numbers = {
        name: value
        for name, value in metrics.items()
        if isinstance(value, int | float) and not name.endswith("_ns") and "." not in name
    }
    return " \u00b7 ".join(f"{name.replace('_', ' ')} {value:,.6g}" for name, value in numbers.items())

"""What each topic says: pure functions from the worker's view and the processes' beats to small JSON documents.

The pages render their first HTML from the same documents that the socket sends afterwards, so both always agree. Instants
are milliseconds since 1970 (a browser's number holds nanoseconds only to 2**53); money and fractions stay raw numbers,
written for people by controlroom/pages/formats.py and static/formats.js.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controlroom.live.patch import Document, without_nulls

LIMITS_MS = {"worker": 3000, "journal": 3000, "equity": 10_000, "feed": 5000}
"""Older than this is stale. Bars have a limit of their own: two intervals and five seconds of arrival time."""
OVERVIEW_ORDERS = 10
OVERVIEW_ALERTS = 10


@dataclass(frozen=True)
class Snapshot:
    """All that a document is made of.

    ``view`` is the worker's (docs/architecture.md) or None while there is none, ``beats`` the last status of each process,
    ``run`` the run's description, ``extra`` what only the System page shows.
    """

    view: dict[str, Any] | None
    beats: dict[str, dict[str, Any]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    now_ms: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


def milliseconds(nanoseconds: float | None) -> int | None:
    """Return an instant in milliseconds, None for one that never was."""
    return int(nanoseconds // 1_000_000) if nanoseconds else None


# --- header -----------------------------------------------------------------------------------------------------------


def state_of(view: dict[str, Any] | None) -> tuple[str, str]:
    """Return the state's word and what it needs to be understood."""
    if view is None:
        return "UNREACHABLE", "no word from the worker: orders may still be working"
    killed = [str(scope) for scope in view.get("killed", [])]
    if "all" in killed or "account" in killed or any(scope.startswith("account:") for scope in killed):
        return "KILLED", "nothing new is sent until a person releases it"
    if killed:
        return str(view["state"]), "killed: " + ", ".join(killed)
    if view["state"] == "UNCONFIGURED":
        return "UNCONFIGURED", "the worker waits for its first configuration"
    return str(view["state"]), "" if view.get("reconciled", True) else "not reconciled with the broker yet"


def speed_of(snapshot: Snapshot) -> float | str | None:
    """Return how fast a replay runs: the feed's own word, else what was asked for at the start."""
    metrics = snapshot.beats.get("feed", {}).get("metrics", {})
    if "speed" in metrics:
        return "max" if metrics["speed"] <= 0 else float(metrics["speed"])
    asked = snapshot.run.get("speed")
    return asked if isinstance(asked, int | float | str) else None


def bars_limit_ms(interval_s: float, speed: float | str | None) -> int:
    """Return the age of arrival beyond which bars are stale: two intervals at the replay's speed, and five seconds."""
    pace = float(speed) if isinstance(speed, int | float) and speed > 0 else (1.0 if speed is None else float("inf"))
    return int(2000 * interval_s / pace) + 5000


def source_of(snapshot: Snapshot) -> Document:
    """Return where the bars come from and how old they may be."""
    view = snapshot.view or {}
    given = view.get("source") or snapshot.run.get("source") or {}
    label = given.get("label")
    speed = speed_of(snapshot) if label in {"REPLAY", "SAMPLE", "SIMULATED"} else None
    symbols = view.get("symbols", {})
    metrics = snapshot.beats.get("feed", {}).get("metrics", {})
    return {
        "label": label or "NO SOURCE",
        "detail": given.get("detail") or "",
        "feed": given.get("feed") or "",
        "speed": f"{speed:g}\u00d7" if isinstance(speed, int | float) else speed,
        "controls": label in {"REPLAY", "SAMPLE"} and not given.get("ended", False),
        "paused": bool(metrics.get("paused")),
        "ended": bool(given.get("ended")),
        "interval_s": given.get("interval_s"),
        "limit_ms": bars_limit_ms(float(given.get("interval_s") or 60), speed),
        "arrival_ms": milliseconds(given.get("last_arrival_ns")),
        "close_ms": milliseconds(given.get("last_close_ns")),
        "in_session": any(symbol.get("in_session") for symbol in symbols.values()),
    }


def phase_words(name: object) -> str:
    """Return a phase as a person reads it."""
    words = str(name or "").replace("_", " ").replace("-", " ")
    return "market hours" if words == "market" else words


def phase_of(view: dict[str, Any]) -> Document | None:
    """Return the phase of the first calendar that has sessions, with what is left of it in market time."""
    phases = view.get("phases", {})
    calendar = next((name for name in phases if name != "24/7"), next(iter(phases), None))
    if calendar is None:
        return None
    phase = phases[calendar]
    until, now = phase.get("until_ns"), view.get("engine_ns")
    return {
        "calendar": calendar,
        "name": phase_words(phase.get("phase")).upper(),
        "next": phase_words(phase.get("next")),
        "left_ms": max(0, (until - now) // 1_000_000) if until and now else None,
    }


def stamps_of(snapshot: Snapshot) -> Document:
    """Return the instants from which a browser counts ages.

    The worker's beat vouches that its last view still holds, unless the beat names a later record than the view does.
    """
    view = snapshot.view or {}
    stamps: Document = {name: milliseconds(beat.get("beat_ns")) for name, beat in snapshot.beats.items()}
    published = milliseconds(view.get("wall_ns"))
    worker = stamps.get("worker")
    behind = snapshot.beats.get("worker", {}).get("metrics", {}).get("seq", 0) > view.get("seq", 0)
    stamps["worker"] = worker or published
    stamps["equity"] = published if behind or not worker else max(worker, published or 0)
    stamps["journal"] = stamps["equity"] if not view.get("journal", {}).get("unsynced") else published
    stamps["bars"] = milliseconds((view.get("source") or {}).get("last_arrival_ns"))
    return stamps


def key_figures(view: dict[str, Any]) -> Document:
    """Return the numbers of the strip under the header."""
    account, latency = view.get("account", {}), view.get("tick_to_order_ms") or {}
    equity = account.get("equity")
    share = 1.0 / equity if equity else None
    return {
        "equity": equity,
        "currency": account.get("currency"),
        "day_pnl": account.get("day_pnl"),
        "gross": account["gross"] * share if share and account.get("gross") is not None else None,
        "net": account["net"] * share if share and account.get("net") is not None else None,
        "drawdown": account.get("drawdown"),
        "open_orders": len(view.get("open_orders", [])),
        "p99_ms": latency.get("p99") if latency.get("n", 0) else None,
        "journal_seq": view.get("journal", {}).get("seq"),
        "unsynced": view.get("journal", {}).get("unsynced"),
    }


def header(snapshot: Snapshot) -> Document:
    """Return what every page shows above its content."""
    view = snapshot.view or {}
    state, detail = state_of(snapshot.view)
    source = source_of(snapshot)
    return {
        "seq": view.get("seq"),
        "mode": view.get("mode", "PAPER"),
        "state": state,
        "state_detail": detail,
        "killed": [str(scope) for scope in view.get("killed", [])],
        "phase": phase_of(view),
        "market_ms": milliseconds(view.get("engine_ns")),
        "source": source,
        "simulated": source["label"] == "SIMULATED",
        "stamps": stamps_of(snapshot),
        "limits": LIMITS_MS,
        "alerts": sum(alert.get("severity") != "info" for alert in view.get("alerts", [])),
        "kpi": key_figures(view),
        "positions": sum(1 for position in view.get("positions", {}).values() if position.get("lots")),
    }


# --- rows -------------------------------------------------------------------------------------------------------------


def keyed(rows: list[Document], key: str) -> Document:
    """Return rows as an object by key with their order beside it, so that a patch carries the changed ones alone."""
    return {"by": {str(row[key]): row for row in rows}, "order": [str(row[key]) for row in rows]}


def strategy_title(view: dict[str, Any], name: str) -> str:
    """Return the name of a strategy as a person reads it."""
    return str(view.get("strategies", {}).get(name, {}).get("title") or name.replace("_", "-").capitalize())


def split_text(view: dict[str, Any], shares: dict[str, Any]) -> str:
    """Return who holds or asked how much, in words."""
    held = ((strategy_title(view, name), "+" if lots > 0 else "\u2212", abs(lots)) for name, lots in shares.items() if lots)
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


# --- pages ------------------------------------------------------------------------------------------------------------


def overview(snapshot: Snapshot) -> Document:
    """Return the first page's content."""
    view = snapshot.view or {}
    return {
        "seq": view.get("seq"),
        "point": {"at_ms": milliseconds(view.get("engine_ns")), "equity": view.get("account", {}).get("equity"),
                  "drawdown": view.get("account", {}).get("drawdown")},
        "account": view.get("account", {}),
        "strategies": strategies(view),
        "symbols": watchlist(view),
        "orders": keyed([order_row(view, order) for order in view.get("orders", [])[:OVERVIEW_ORDERS]], "order_id"),
        "alerts": alerts(view, OVERVIEW_ALERTS),
        "processes": processes(snapshot),
        "counts": {name: count for name, count in view.get("counts", {}).items() if isinstance(count, int)},
    }  # fmt: skip


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
        {"name": name, "title": strategy_title(view, name), "target": strategy.get("targets", {}).get(symbol),
         "qty": position.get("by_strategy", {}).get(name, 0)}
        for name, strategy in view.get("strategies", {}).items()
    ]  # fmt: skip
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


def processes(snapshot: Snapshot) -> Document:
    """Return the processes with their beats and numbers."""
    rows = [
        {
            "process": name,
            "beat_ms": milliseconds(beat.get("beat_ns")),
            "started_ms": milliseconds(beat.get("started_ns")),
            "pid": beat.get("pid"),
            "version": beat.get("version"),
            "state": beat.get("state", "up"),
            "says": says(beat.get("metrics", {})),
        }
        for name, beat in sorted(snapshot.beats.items())
    ]
    return keyed(rows, "process")


def says(metrics: dict[str, Any]) -> str:
    """Return a process' own numbers in one line."""
    return " \u00b7 ".join(f"{name.replace('_', ' ')} {value:,.6g}" for name, value in metrics.items() if isinstance(value, int | float))


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
        "latency": view.get("tick_to_order_ms") or {},
        "counts": {name: count for name, count in view.get("counts", {}).items() if isinstance(count, int)},
        "refused": keyed([{"code": code, "count": count} for code, count in sorted((view.get("counts", {}).get("refused") or {}).items())],
                         "code"),
        "orders_sha256": view.get("orders_sha256"),
        **snapshot.extra,
    }  # fmt: skip


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

"""The risk document: limits in use, breakers, exposures and the veto ledger, all as the worker's view has them."""

from typing import Any

from controlroom.live.patch import Document
from controlroom.live.rows import keyed, strategies, strategy_title
from controlroom.live.snapshot import Snapshot, milliseconds
from risk.limit_rules import LIMIT_RULES
from risk.usage import Usage, usages

NEAR = 0.8  # of a limit: from here on it is said to be near
COUNTED = frozenset({"covariance_max_age_sessions"})  # what is used of it is a number, not a fraction


def tripped_of(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the breakers that hold the station, a strategy or a symbol back now; a warning does not."""
    return [row for row in view.get("breakers", []) if row["tripped_ns"] and row["level"] != "WARNING"]


def var_used(view: dict[str, Any]) -> float | None:
    """Return the share of ``limits.max_var`` that VAR_LIMIT would see in use now."""
    share, limit = (view.get("var") or {}).get("share"), view.get("limits", {}).get("max_var")
    return share / limit if share is not None and limit else None


def closeness(share: float | None, used: float | None = None) -> str:
    """Return how near a value is to its limit, in a word; above a limit of zero there is no share but it is beyond."""
    if share is None:
        return "beyond" if used else "free"
    return "beyond" if share > 1.0 else "near" if share >= NEAR else "free"


def scope_words(view: dict[str, Any], scope: str) -> str:
    """Return what a breaker guards, as a person reads it."""
    kind, _, name = scope.partition(":")
    return strategy_title(view, name) if kind == "strategy" else name or kind


def unit_of(name: str) -> str | None:
    """Return a limit's unit, None where none is known."""
    rule = LIMIT_RULES.get(name)
    return None if rule is None else "1 is yes, 0 no" if rule.tighter == "false" else rule.unit


def _limit_row(view: dict[str, Any], usage: Usage) -> Document:
    counted = usage.name in COUNTED
    where = strategy_title(view, usage.where) if usage.where in view.get("strategies", {}) else usage.where
    return {
        "name": usage.name,
        "where": where,
        "used": None if counted else usage.used,
        "limit": None if counted else usage.limit,
        "used_count": usage.used if counted else None,
        "limit_count": usage.limit if counted else None,
        "share": usage.share,
        "state": closeness(usage.share, usage.used),
    }


def limits_of(view: dict[str, Any]) -> tuple[Document, Document]:
    """Return the limits that something is used of, and those of single orders and messages."""
    if "limits" not in view or "account" not in view:
        return keyed([], "name"), keyed([], "name")
    found = usages(view)
    used = [_limit_row(view, usage) for usage in found if usage.used is not None]
    single = [
        {"name": usage.name, "limit": usage.limit, "unit": unit_of(usage.name)} for usage in found if usage.used is None
    ]
    return keyed(used, "name"), keyed(single, "name")


def _breaker_state(row: dict[str, Any], share: float | None) -> str:
    if row["tripped_ns"]:
        return "warned" if row["level"] == "WARNING" else "tripped"
    if row["released_by"] and row["scope"].startswith("symbol:"):
        return "released"
    return "near" if share is not None and share >= NEAR else "armed"


def _breaker_row(view: dict[str, Any], row: dict[str, Any]) -> Document:
    deviations = row["rule"].startswith("SWAN_")
    share = row["value"] / row["limit"] if row["limit"] else None
    unit = "deviations" if deviations else "fraction"
    return {
        "id": f"{row['rule']} {row['scope']} {row['level']} {row['limit']:g}",
        "rule": row["rule"],
        "scope": scope_words(view, row["scope"]),
        "level": row["level"].lower(),
        "state": _breaker_state(row, share),
        f"value_{unit}": row["value"],
        f"limit_{unit}": row["limit"],
        f"tripped_{unit}": row.get("tripped_value"),
        "tripped_ms": milliseconds(row["tripped_ns"]),
        "by": row["released_by"] or None,
        "released_ms": milliseconds(row["released_ns"]),
        "reason": row["reason"] or None,
    }


def breakers_of(view: dict[str, Any]) -> Document:
    """Return every breaker: what holds something back first, then the warnings, the rest in the engine's order."""
    rows = [_breaker_row(view, row) for row in view.get("breakers", [])]
    gravity = {"tripped": 0, "warned": 1}
    rows.sort(key=lambda row: (gravity.get(row["state"], 2), -(row["tripped_ms"] or 0)))
    return keyed(list({row["id"]: row for row in rows}.values()), "id")


def symbols_of(view: dict[str, Any]) -> Document:
    """Return what is held of each symbol as fractions of the equity, the largest first."""
    equity, most = view.get("account", {}).get("equity"), view.get("limits", {}).get("max_position")
    rows = []
    for symbol, position in view.get("positions", {}).items():
        if not equity or equity < 0.0 or not position.get("lots"):
            continue
        share = position["value"] / equity
        used = abs(share) / most if most else None
        rows.append({
            "symbol": symbol, "value": position["value"], "share": share, "used": used,
            "state": closeness(used, abs(share)) if most is not None else None,
        })  # fmt: skip
    return keyed(sorted(rows, key=lambda row: (-abs(row["share"]), row["symbol"])), "symbol")


def strategies_of(view: dict[str, Any]) -> Document:
    """Return what each strategy holds as fractions of the equity."""
    equity, most = view.get("account", {}).get("equity"), view.get("limits", {}).get("max_strategy")
    rows = []
    for name, row in strategies(view)["by"].items():
        gross = view["strategies"][name].get("gross")
        share = gross / equity if equity and equity > 0.0 and gross is not None else None
        used = share / most if share is not None and most else None
        rows.append({
            "name": name, "tone": row["tone"], "title": row["title"], "book": row["state"], "net": row["stance"],
            "gross": share, "used": used, "state": closeness(used, share) if most is not None else None,
        })  # fmt: skip
    return keyed(rows, "name")


def vetoes_of(view: dict[str, Any]) -> tuple[Document, Document]:
    """Return what each code's denials saved and cost, and their sums."""
    table = view.get("vetoes", {})
    rows = [{"code": code, **row} for code, row in table.items()]
    total = {name: sum(row[name] for row in rows) for name in ("count", "pending", "saved", "cost", "net")}
    return keyed(rows, "code"), total if rows else {}


def risk(snapshot: Snapshot) -> Document:
    """Return the Risk page's live part."""
    view = snapshot.view or {}
    used, single = limits_of(view)
    vetoes, total = vetoes_of(view)
    held = [f"{row['rule']} of {scope_words(view, row['scope'])} ({row['level']})" for row in tripped_of(view)]
    return {
        "seq": view.get("seq"),
        "configuration": view.get("configuration"),
        "limits": used,
        "single": single,
        "breakers": breakers_of(view),
        "tripped": held,
        "symbols": symbols_of(view),
        "strategies": strategies_of(view),
        "vetoes": vetoes,
        "veto_total": total,
        "var": {**(view.get("var") or {}), "used": var_used(view), "limit": view.get("limits", {}).get("max_var")},
    }

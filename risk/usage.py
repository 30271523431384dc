"""How much of each limit is used, from the worker's view (docs/architecture.md): what `risk limits` and pages show."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

View = Mapping[str, Any]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. ``used`` and ``share`` (used / limit) are None for a limit of single orders, and if nobody knows."""

    name: str
    limit: float
    used: float | None = None
    share: float | None = None
    where: str = ""  # the symbol or strategy that uses most


def usages(view: View) -> list[Usage]:
    """Return every limit of the configuration in force, in its order, with what is used of it."""
    found = []
    for name, limit in view["limits"].items():
        reading = READINGS.get(name)
        used, where = reading(view) if reading else (None, "")
        share = None if used is None else used / limit if limit else (0.0 if used <= 0.0 else None)
        found.append(Usage(name=name, limit=float(limit), used=used, share=share, where=where))
    return found


def _of_equity(value: float, view: View) -> float:
    equity = float(view["account"]["equity"])
    return value / equity if equity > 0.0 else 0.0


def _largest(values: Mapping[str, float], view: View) -> tuple[float, str]:
    where = max(values, key=lambda name: values[name], default="")
    return (_of_equity(values[where], view), where) if where else (0.0, "")


def _position(view: View) -> tuple[float, str]:
    return _largest({symbol: abs(row["value"]) for symbol, row in view["positions"].items()}, view)


def _strategy(view: View) -> tuple[float, str]:
    return _largest({name: row["gross"] for name, row in view["strategies"].items()}, view)


def _of_breakers(rule: str) -> "Reading":
    def read(view: View) -> tuple[float, str]:
        standing = {row["scope"]: row["value"] for row in view.get("breakers", []) if row["rule"] == rule}
        where = max(standing, key=lambda scope: standing[scope], default="")
        return (float(standing[where]), where.partition(":")[2]) if where else (0.0, "")

    return read


def _var(view: View) -> tuple[float | None, str]:
    return (view.get("var") or {}).get("share"), ""


def _covariance_age(view: View) -> tuple[float | None, str]:
    return (view.get("var") or {}).get("age_sessions"), ""


def _daily_loss(view: View) -> tuple[float, str]:
    account = view["account"]
    start = float(account["day_start_equity"])
    return (max(0.0, -float(account["day_pnl"]) / start) if start > 0.0 else 0.0), ""


def _drawdown(view: View) -> tuple[float, str]:
    return float(view["account"]["drawdown"]), ""


Reading = Callable[[View], tuple[float | None, str]]
READINGS: dict[str, Reading] = {
    "max_position": _position,
    "max_strategy": _strategy,
    "max_gross": lambda view: (_of_equity(float(view["account"]["gross"]), view), ""),
    "max_net": lambda view: (_of_equity(abs(float(view["account"]["net"])), view), ""),
    "max_var": _var,
    "covariance_max_age_sessions": _covariance_age,
    "daily_loss": _daily_loss,
    "drawdown_warning": _drawdown,
    "drawdown_reducing": _drawdown,
    "drawdown_halted": _drawdown,
    "strategy_drawdown_warning": _of_breakers("STRATEGY_DRAWDOWN"),
    "strategy_drawdown": _of_breakers("STRATEGY_DRAWDOWN"),
    "strategy_daily_loss": _of_breakers("STRATEGY_DAILY_LOSS"),
}
"""Limit to what reads its usage off the view; a limit that is not here is one of single orders or messages."""

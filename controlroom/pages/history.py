"""What the sparklines begin with: the hub's own memory, and the store's marks where the hub has just begun."""

from collections.abc import Mapping
from typing import Any

from controlroom.live.source import known_history
from controlroom.pages.store import station_store
from market.store.port import EquityRow, StoreUnavailableError

ENOUGH = 30  # points from which on the hub's memory is a line of its own
POINTS = 120
BACK_NS = 2 * 3_600_000_000_000


def _stored(engine_ns: int) -> dict[str, tuple[float, ...]]:
    try:
        rows = station_store().equity(max(0, engine_ns - BACK_NS), None, POINTS)
    except StoreUnavailableError:
        return {}
    marks = [row for row in rows if row.equity]
    found = {
        "header:kpi.equity": tuple(row.equity for row in marks),
        "header:kpi.day_pnl": tuple(row.day_pnl for row in marks),
        "header:kpi.gross": tuple(row.gross / row.equity for row in marks),
        "header:kpi.net": tuple(row.net / row.equity for row in marks),
        "header:kpi.drawdown": tuple(row.drawdown for row in marks),
    }
    return found | _by_strategy(marks)


def _by_strategy(marks: list[EquityRow]) -> dict[str, tuple[float, ...]]:
    names = marks[-1].strategies if marks else {}
    return {
        f"overview:strategies.by.{name}.pnl": tuple(row.strategies.get(name, 0.0) for row in marks) for name in names
    }


def history(view: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Return the latest values of each number that has a sparkline, by the path of its field, oldest first."""
    remembered = known_history()
    if len(remembered.get("header:kpi.equity", ())) >= ENOUGH:
        return remembered
    return remembered | _stored(int(view.get("engine_ns") or 0))

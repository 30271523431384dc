"""A day's statement as lines for a person."""

from typing import Any

COLUMNS = (
    "qty_before", "qty", "average_price", "mark", "realised", "unrealised_change", "fees", "dividends", "financing",
)  # fmt: skip


def readable(found: dict[str, Any]) -> str:
    """Return the statement as a table."""
    opening, closing, totals = found["opening"], found["closing"], found["totals"]
    lines = [
        f"Statement of {found['date']} (UTC), {found['currency']}",
        f"opening  cash {opening['cash']:>18,.6f}  equity {opening['equity']:>18,.6f}",
        f"closing  cash {closing['cash']:>18,.6f}  equity {closing['equity']:>18,.6f}",
        f"{len(found['fills'])} fills · " + " · ".join(f"{n.replace('_', ' ')} {v:,.6f}" for n, v in totals.items()),
        f"realised {found['realised']:,.6f} · change of unrealised {found['unrealised_change']:,.6f}",
        "",
        f"{'symbol':<10}" + "".join(f"{name.replace('_', ' '):>19}" for name in COLUMNS),
    ]
    for symbol, row in found["symbols"].items():
        lines.append(f"{symbol:<10}" + "".join(f"{row[name]:>19,.6f}" for name in COLUMNS))
    lines += ["", f"{'strategy':<18}{'profit and loss':>18}"]
    lines += [f"{name:<18}{row['pnl']:>18,.6f}" for name, row in found["strategies"].items()]
    lines += ["", "difference: " + " · ".join(f"{n.replace('_', ' ')} {v:.9f}" for n, v in found["difference"].items())]
    return "\n".join(lines) + "\n"

"""The result of `run --until-done`, from the journals alone: what they do not hold has not happened."""

from typing import Any

from audit.verification import verify_data_directory
from events.paths import DataPaths

FIELDS = (
    "bars", "orders", "denied", "fills", "equity", "cash", "positions", "journal", "seconds", "by_strategy", "chain_ok",
    "orders_sha256", "tick_to_order_ms",
)  # fmt: skip


def collect(paths: DataPaths, seconds: float) -> dict[str, Any]:
    """Return the result's fields in their documented order, the chains of both journals verified."""
    from worker.summary import summarise  # noqa: PLC0415 - a station that runs for months never needs it

    found = summarise(paths)
    record = verify_data_directory(paths)
    found["journal"] = {writer: {"seq": end["seq"], "head": end["head"]} for writer, end in record["writers"].items()}
    found["chain_ok"] = record["ok"]
    found["seconds"] = round(seconds, 3)
    return {name: found[name] for name in FIELDS}


def readable(result: dict[str, Any]) -> str:
    """Return the result as lines for a person."""
    counts = " · ".join(f"{result[name]:,} {name}" for name in ("bars", "orders", "denied", "fills"))
    lines = [
        f"{counts} · {result['seconds']:.1f} s",
        f"equity {result['equity']:,.2f} = cash {result['cash']:,.2f} + positions",
    ]
    lines += [
        f"  {symbol:<10} {position['qty']:>14,.4f} at {position['mark']:>12,.4f} = {position['value']:>16,.2f}"
        for symbol, position in result["positions"].items()
    ]
    lines += [
        f"{name:<16} {counts['orders']:,} orders, {counts['fills']:,} fills"
        for name, counts in result["by_strategy"].items()
    ]
    lines += [
        f"journal {writer:<10} {end['seq']:,} records, head {end['head']}" for writer, end in result["journal"].items()
    ]
    lines.append(f"chain {'verified' if result['chain_ok'] else 'BROKEN'} · orders {result['orders_sha256']}")
    return "\n".join(lines) + "\n"

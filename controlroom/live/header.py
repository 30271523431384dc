"""The header's document: state, phase, source, ages and key figures, the same on every page."""

from typing import Any

from controlroom.live.patch import Document
from controlroom.live.risk import tripped_of, var_used
from controlroom.live.snapshot import Snapshot, milliseconds

LIMITS_MS = {"worker": 3000, "journal": 3000, "equity": 10_000, "feed": 5000}
"""Older than this is stale. Bars have a limit of their own: two intervals and five seconds of arrival time."""
AWAY_S = 1.0  # without an answer from the store: from then on every page says so
BEHIND = 20_000  # records, about a second of work for the recorder
RELAY_AWAY_MS = 5000


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
        "var_used": var_used(view),
        "open_orders": len(view["open_orders"]) if "open_orders" in view else None,
        "p99_ms": latency.get("p99") if latency.get("n", 0) else None,
        "journal_seq": view.get("journal", {}).get("seq"),
        "unsynced": view.get("journal", {}).get("unsynced"),
    }


def projection_of(snapshot: Snapshot) -> Document | None:
    """Return how far the store is behind the journals and how long it has not answered; None while all is well."""
    metrics = snapshot.beats.get("recorder", {}).get("metrics", {})
    away_s = metrics.get("store_away_s", 0.0)
    behind = int(metrics.get("lag_records", 0) + metrics.get("station_lag_records", 0))
    if away_s < AWAY_S and behind < BEHIND and not metrics.get("not_projected"):
        return None
    return {"behind": behind, "away_ms": int(away_s * 1000), "stopped": bool(metrics.get("not_projected"))}


def relay_away(snapshot: Snapshot) -> Document | None:
    """Return since when the relay gives no sign of life, None while it does or nobody can be heard at all."""
    if not snapshot.beats:
        return None
    last = milliseconds(snapshot.beats.get("relay", {}).get("beat_ns"))
    if last is not None and snapshot.now_ms - last <= RELAY_AWAY_MS:
        return None
    return {"away": True, "since_ms": last}


def header(snapshot: Snapshot) -> Document:
    """Return what every page shows above its content."""
    view = snapshot.view or {}
    state, detail = state_of(snapshot.view)
    source = source_of(snapshot)
    return {
        "seq": view.get("seq"),
        "mode": view.get("mode", "PAPER"),
        "single_operator": "SINGLE OPERATOR" if view.get("operators") == 1 else "",
        "state": state,
        "state_detail": detail,
        "killed": [str(scope) for scope in view.get("killed", [])],
        "phase": phase_of(view),
        "market_ms": milliseconds(view.get("engine_ns")),
        "source": source,
        "simulated": source["label"] == "SIMULATED",
        "unreachable": snapshot.view is None,
        "relay_away": relay_away(snapshot),
        "failed": [process["name"] for process in snapshot.supervised if process.get("failed")],
        "projection": projection_of(snapshot),
        "stamps": stamps_of(snapshot),
        "limits": LIMITS_MS,
        "alerts": sum(alert.get("severity") != "info" for alert in view.get("alerts", [])),
        "tripped": len(tripped_of(view)),
        "kpi": key_figures(view),
        "positions": sum(1 for position in view.get("positions", {}).values() if position.get("lots")),
    }

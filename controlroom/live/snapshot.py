"""What documents are made of."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Snapshot:
    """All that a document is made of.

    ``view`` is the worker's (docs/architecture.md) or None while there is none, ``beats`` the last status of each
    process, ``supervised`` what the supervisor says of them, ``run`` the run's description, ``extra`` what only the
    System page shows.
    """

    view: dict[str, Any] | None
    beats: dict[str, dict[str, Any]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    now_ms: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    supervised: list[dict[str, Any]] = field(default_factory=list)


def milliseconds(nanoseconds: float | None) -> int | None:
    """Return an instant in milliseconds, None for one that never was."""
    return int(nanoseconds // 1_000_000) if nanoseconds else None

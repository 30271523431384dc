"""What the charts draw: capital by strategy and pool through time, and beneath it what each round's evidence said.

Instants are New York's clock without an offset, as Plotly's axes take them; the axes' titles name the zone.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from controlroom.pages.allocation.weights import Split, Told
from controlroom.pages.formats import NEW_YORK, SPACE, plain
from controlroom.pages.store import station_store
from controlroom.pages.tournaments.shown import Agent, percent
from market.store.port import EventFilter, StoreUnavailableError

if TYPE_CHECKING:
    from controlroom.pages.allocation.past import Decided

MOST_STATES = 200
FELL = {"halved": "halved", "benched": "benched"}


def moment(at_ns: int) -> str:
    """Return an instant as New York's clock has it."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).astimezone(NEW_YORK).replace(tzinfo=None).isoformat()


def capital(splits: Sequence[Split], agents: Mapping[str, Agent]) -> dict[str, Any]:
    """Return the areas as columns, in percent of the capital, bottom first: base, then competitive, then cash."""
    return {
        "at": [moment(each.at_ns) for each in splits],
        "said": [_said(each, agents) for each in splits],
        "areas": [
            *_areas("base", [each.base for each in splits], agents),
            *_areas("competitive", [each.competitive for each in splits], agents),
            {"title": "Cash", "pool": "cash", "tone": 0, "share": [_points(each.cash) for each in splits]},
        ],
    }


def _areas(pool: str, weights: list[Mapping[str, float]], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    return [
        {
            "title": agent.title, "pool": pool, "tone": agent.tone,
            "share": [_points(each.get(name, 0.0)) for each in weights],
        }
        for name, agent in agents.items()
    ]  # fmt: skip


def _points(share: float) -> float:
    return round(share * 100, 6)


def _said(split: Split, agents: Mapping[str, Agent]) -> str:
    held = ", ".join(agents[name].title for name in sorted(split.held) if name in agents)
    parts = [f"version {split.version}" if split.version else "SHADOW", split.round_id]
    return " · ".join(part for part in (*parts, f"override of {held}" if held else "") if part)


def decisions(rounds: "Sequence[Decided]", full_at: float) -> dict[str, Any]:
    """Return what each round's decision rested on, as columns; ``needed`` is the ln E that opens the pool fully."""
    made = [each.allocated for each in rounds]
    return {
        "at": [moment(each.at_ns) for each in rounds], "round": [each.round_id for each in rounds],
        "evidence": [each.evidence for each in made], "needed": math.log(full_at),
        "pool": [_points(each.pool) for each in made], "raw": [each.raw_regret for each in made],
        "bound": [each.regret_bound for each in made], "deployed": [each.deployed_regret for each in made],
        "diversity": [each.diversity_index for each in made],
    }  # fmt: skip


def override_marks(versions: Sequence[Told], splits: Sequence[Split], agents: Mapping[str, Agent]) -> list[Any]:
    """Return where an override began, or gave way, oldest first; versions are those acknowledged, oldest first."""
    by_version = {each.version: each for each in versions}
    found, before = [], frozenset[tuple[str, float]]()
    for each in splits:
        overrides = by_version[each.version].content.overrides
        running = frozenset((name, overrides[name].weight) for name in each.held)
        for name, weight in sorted(running - before):
            text = f"{_title(agents, name)} held at {percent(weight, 1)}"
            found.append(_mark(each.at_ns, "override", f"{text} by {by_version[each.version].actor}"))
        gone = {name for name, _ in before} - {name for name, _ in running}
        found += [_mark(each.at_ns, "ended", f"override of {_title(agents, name)} ended") for name in sorted(gone)]
        before = running
    return found


def standing_marks(rounds: "Sequence[Decided]", agents: Mapping[str, Agent]) -> list[Any]:
    """Return where a strategy was halved, benched or let in again."""
    found, before = [], dict.fromkeys(agents, "active")
    for each in rounds:
        for name, standing in sorted(each.allocated.standing.items()):
            if standing.status != before.get(name, "active"):
                word = FELL.get(standing.status, "re-admitted" if before[name] == "benched" else "whole again")
                found.append(_mark(each.at_ns, standing.status, f"{_title(agents, name)} {word}"))
            before[name] = standing.status
    return found


def settings_marks(versions: Sequence[Told]) -> list[Any]:
    """Return the versions before which the settings' weights were changed; when that was, no version knows."""
    pairs = pairwise(versions)
    return [
        _mark(later.at_ns, "settings", f"settings' weights were changed before version {later.version}")
        for earlier, later in pairs if later.settings != earlier.settings
    ]  # fmt: skip


def state_marks(start_ns: int, end_ns: int) -> list[Any]:
    """Return kills and halts of the station within a time, none where the store does not answer."""
    wanted = EventFilter(event_type="StateEvent", start_ns=start_ns, end_ns=end_ns)
    try:
        rows = station_store().events(wanted, limit=MOST_STATES).rows
    except StoreUnavailableError:
        return []
    found = []
    for row in rows:
        told = json.loads(row.metadata)
        word = "KILLED" if told.get("killed") else told.get("state", "")
        if word in {"KILLED", "HALTED"}:
            found.append(_mark(row.ts_ns, "state", word))
    return found


def _title(agents: Mapping[str, Agent], name: str) -> str:
    return agents[name].title if name in agents else name


def _mark(at_ns: int, kind: str, text: str) -> dict[str, str]:
    return {"at": moment(at_ns), "kind": kind, "text": text.replace(SPACE, " ")}


def shadow_splits(rounds: "Sequence[Decided]") -> list[Split]:
    """Return what rounds that were never deployed decided, as weights at their own instants."""
    return [Split(each.at_ns, 0, each.round_id, each.allocated.base, each.allocated.competitive) for each in rounds]


def errors(value: float, error: float, rounds: int) -> dict[str, str]:
    """Return a mean in basis points with its standard error in words: one round has none."""
    if math.isnan(error):
        return {"value": plain(value * 1e4, 3), "error": "no error yet: one settled round", "rounds": str(rounds)}
    return {"value": plain(value * 1e4, 3), "error": f"±{SPACE}{plain(error * 1e4, 3)}", "rounds": str(rounds)}

"""What a person asks for: an override, the end of one, a proposed version or a benched strategy; and what it would do.

A review is a page of its own address and changes nothing; its button sends the same words to the action.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from controlroom.pages.allocation.now import Station
from controlroom.pages.formats import NEW_YORK, SPACE, duration, plain, show
from controlroom.pages.tournaments.shown import percent
from engine.allocation import MOST_AUTOMATIC, Allocation, Override, added, fault, large

OVERRIDE, END, DEPLOY, READMIT = "override", "end", "deploy", "readmit"
FIELDS = {
    OVERRIDE: ("strategy", "weight", "until", "reason"), END: ("strategy", "reason"), DEPLOY: ("version", "reason"),
    READMIT: ("strategy", "reason"),
}  # fmt: skip
LONGEST = 500


class AskedError(ValueError):
    """One sentence: the field, its value and what is allowed."""


@dataclass(frozen=True)
class Review:
    """An act with its target, scope and consequence in words."""

    act: str
    title: str
    scope: str
    consequence: str
    button: str
    typed: Mapping[str, str]


def typed_in(given: Mapping[str, Any], act: str) -> dict[str, str]:
    """Return the fields of an act as typed."""
    return {name: str(given.get(name, "")).strip()[: LONGEST + 1] for name in FIELDS[act]}


def weight(text: str) -> float:
    """Return percent of the capital as a fraction."""
    try:
        value = float(text.removesuffix("%").replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 100.0:
        raise AskedError(f"weight = {text[:40]!r} must be a number from 0 to 100, percent of the capital")
    return value / 100.0


def until_ns(text: str) -> int:
    """Return an instant of the market as UTC nanoseconds; without an offset it is New York's clock."""
    words = text.removesuffix("ET").strip()
    try:
        given = datetime.fromisoformat(words)
    except ValueError as problem:
        raise AskedError(
            f"until = {text[:40]!r} is no instant; write New York's clock as 2019-02-20 16:00"
        ) from problem
    given = given if given.tzinfo is not None else given.replace(tzinfo=NEW_YORK)
    if not 1970 <= given.year < 2200:
        raise AskedError(f"until = {text[:40]!r} is outside 1970 to 2199")
    return int(given.astimezone(UTC).timestamp()) * 1_000_000_000


def version(text: str) -> int:
    """Return a version's number."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise AskedError(f"version = {text[:40]!r} must be a whole number")
    return int(text)


def review(act: str, typed: Mapping[str, str], station: Station) -> Review:
    """Return what an act would do, by what the worker says now; the action looks again.

    Raises
    ------
    AskedError
        naming the first field that is wrong.
    """
    if not 3 <= len(typed["reason"]) <= LONGEST:
        raise AskedError(f"reason has {len(typed['reason'])} characters; the journal wants 3 to {LONGEST}")
    if act == DEPLOY:
        return _deployment(typed, station)
    if typed["strategy"] not in station.in_use:
        names = ", ".join(station.in_use) or "none: the worker has not said any"
        raise AskedError(f"strategy = {typed['strategy'][:40]!r} is none; there are {names}")
    return {OVERRIDE: _override, END: _end, READMIT: _readmission}[act](typed, station)


def _override(typed: Mapping[str, str], station: Station) -> Review:
    name, share, until = typed["strategy"], weight(typed["weight"]), until_ns(typed["until"])
    now_ns, before, title = station.now_ns or 0, _held(station), station.agents[typed["strategy"]].title
    if until <= now_ns:
        raise AskedError(f"until = {typed['until'][:40]!r} is past; the market's time is {_instant(now_ns)}")
    running = {**before.overrides, name: Override(weight=share, until_ns=until)}
    given = msgspec.structs.replace(before, version=before.version + 1, overrides=running)
    if problem := fault(given, list(given.weights), before.version):
        raise AskedError(problem)
    used, back = station.in_use[name], given.weights.get(name, 0.0)
    who = _who(given, before, now_ns, name)
    freed = "; what it no longer uses is cash" if share < used else "; it is taken from cash, nobody else changes"
    return Review(
        act=OVERRIDE, title=f"Hold {title} at {percent(share, 2)} of the capital",
        scope=f"strategy {name} of the {_account(station)}",
        consequence=(
            f"{title} uses {percent(used, 2)} now and would use {percent(share, 2)}{freed}. It ends by itself in "
            f"{duration((until - now_ns) / 1e6)} of the market's time, {_instant(until)}; then {title} goes back to "
            f"{percent(back, 2)}, or to what a round has decided by then. {who}"
        ),
        button=f"Hold {title} at {percent(share, 2)} of the {_account(station)}", typed=typed,
    )  # fmt: skip


def _end(typed: Mapping[str, str], station: Station) -> Review:
    name, before, title = typed["strategy"], _held(station), station.agents[typed["strategy"]].title
    if name not in before.overrides:
        raise AskedError(f"strategy = {name} has no override that runs")
    rest = {other: each for other, each in before.overrides.items() if other != name}
    given = msgspec.structs.replace(before, version=before.version + 1, overrides=rest)
    used, back = station.in_use[name], given.weights.get(name, 0.0)
    who = _who(given, before, station.now_ns or 0, name)
    return Review(
        act=END, title=f"End the override of {title}", scope=f"strategy {name} of the {_account(station)}",
        consequence=f"{title} uses {percent(used, 2)} now and goes back to {percent(back, 2)}. {who}",
        button=f"End the override of {title} in the {_account(station)}", typed=typed,
    )  # fmt: skip


def _deployment(typed: Mapping[str, str], station: Station) -> Review:
    number = version(typed["version"])
    row = next((each for each in station.rows if each.version == number), None)
    if row is None or row.state != "proposed":
        raise AskedError(f"version = {number} is {'unknown' if row is None else row.state}; a proposed one is needed")
    weights = station.of(row).content.at(station.now_ns or row.at_ns)
    changes = ", ".join(
        f"{agent.title} {percent(station.in_use.get(name), 2)} to {percent(weights.get(name, 0.0), 2)}"
        for name, agent in station.agents.items()
    )
    return Review(
        act=DEPLOY, title=f"Ask for the deployment of version {number}",
        scope=f"all strategies of the {_account(station)}",
        consequence=f"If a second person approves it: {changes}. Until then nothing changes.",
        button=f"Ask for version {number} in the {_account(station)}", typed=typed,
    )  # fmt: skip


def _readmission(typed: Mapping[str, str], station: Station) -> Review:
    name, title = typed["strategy"], station.agents[typed["strategy"]].title
    held = station.benched.get(name)
    if held is None:
        raise AskedError(f"strategy = {name} is not benched; benched are {', '.join(station.benched) or 'none'}")
    if held.readmitted_by:
        raise AskedError(f"{name} is let in again by {held.readmitted_by} already, from the next round on")
    return Review(
        act=READMIT, title=f"Ask that {title} is let in again", scope=f"strategy {name} of the {_account(station)}",
        consequence=(
            f"{held.round_id} says that {title} is benched for its drawdown. If a second person approves it, the next "
            "round on the station's own bars lets it in: with a new high-water mark, from no capital, and no faster "
            "than the rules' weekly moves. Until then nothing changes."
        ),
        button=f"Ask for {title} in the {_account(station)}", typed=typed,
    )  # fmt: skip


def _held(station: Station) -> Allocation:
    """Return the allocation that the worker holds, or what the settings' weights say as one."""
    held = station.view.get("allocation")
    if held is None:
        return Allocation(version=0, round_id="", weights=station.in_use)
    return msgspec.convert(held, Allocation)


def _who(given: Allocation, before: Allocation, now_ns: int, name: str) -> str:
    most, more = f"{plain(MOST_AUTOMATIC * 100, 0)}{SPACE}%", added(given, before, now_ns).get(name, 0.0)
    if name in large(given, before, now_ns, by_round=False):
        why = "it is overridden already" if more <= MOST_AUTOMATIC else f"beyond {most}"
        return f"That may give it {percent(more, 2)} of the capital more, {why}: a second person must approve."
    if not more:
        return "It gives nothing more: the worker is told at once."
    return f"At most {percent(more, 2)} more, within {most}: the worker is told at once."


def _account(station: Station) -> str:
    return f"{station.view.get('mode', 'PAPER')} account"


def _instant(at_ns: int) -> str:
    at_ms = at_ns // 1_000_000
    return f"{show(at_ms, 'et_full').text} ({show(at_ms, 'utc_full').text})"

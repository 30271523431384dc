"""One round as data: where it stands, what each step gave, and which step comes next; resumable after any crash.

A step's result is computed elsewhere, from frozen inputs, and recorded here once: the caller writes the round that
:func:`advance` returns and the step's events in one transaction. The same result again changes nothing, another one is
refused, so a step that a crash cut off is simply run again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from market.calendars import Session
from market.occurrences import MINUTE_NS, Occurrence, predicted_sessions
from tournaments.rules import DEADLINES, Rules, fingerprint

HOUR_NS = 60 * MINUTE_NS
SHA256_LETTERS = 64

StepName = Literal["open", "predict", "challenge", "defend", "rule", "score", "allocate", "settle"]
State = Literal["open", "predict", "challenge", "defend", "rule", "score", "allocate", "settle", "settled", "void"]
TERMINAL = ("settled", "void")


class RoundError(ValueError):
    """Why an event is refused: one sentence that names the round, the step and what is allowed."""


@dataclass(frozen=True)
class Step:
    """A step and what follows it.

    ``waits``: it waits for agents (settle: for prices) until its deadline, and then goes on with what came; the others
    go on past theirs, marked late, until the cut-off. ``counts``: fewer agents than the rules ask for void the round.
    """

    name: StepName
    following: State
    waits: bool = False
    counts: bool = False


STEPS: tuple[Step, ...] = (
    Step("open", "predict", counts=True),
    Step("predict", "challenge", waits=True, counts=True),
    Step("challenge", "defend", waits=True),
    Step("defend", "rule", waits=True),
    Step("rule", "score"),
    Step("score", "allocate"),
    Step("allocate", "settle"),
    Step("settle", "settled", waits=True),
)
BY_NAME: dict[str, Step] = {step.name: step for step in STEPS}


class Plain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is stored of a round: immutable, keyword-only, unknown fields refused."""


class Result(Plain, frozen=True):
    """What a step gave: the hash of its full result, when it was recorded, and whether that was past its deadline.

    ``agents`` are open's entrants and predict's agents with a valid entry.
    """

    step: StepName
    sha256: str
    at_ns: int
    late: bool
    agents: tuple[str, ...] = ()


class Round(Plain, frozen=True):
    """A round; ``state`` is the step that it waits for, or how it ended.

    ``sessions`` are the predicted ones by calendar, ``settles_ns`` is the last one's close. ``cutoff_ns`` is when the
    occurrence's session opens: what is not allocated by then never is. Deadlines are by step; all UTC nanoseconds.
    """

    round_id: str
    rules_version: int
    rules_sha256: str
    min_strategies: int
    started_ns: int
    cutoff_ns: int
    settles_ns: int
    sessions: dict[str, Session]
    deadlines_ns: dict[str, int]
    state: State = "open"
    results: tuple[Result, ...] = ()
    reason: str = ""
    ended_ns: int | None = None

    @property
    def late_steps(self) -> list[str]:
        """Return the steps that overran their deadlines."""
        return [result.step for result in self.results if result.late]

    def result(self, step: str) -> Result | None:
        """Return what a step gave, None before."""
        return next((each for each in self.results if each.step == step), None)


@dataclass(frozen=True)
class Done:
    """A step is done: the SHA-256 of its result, when, and its agents (of open and predict).

    ``challengers`` among these do not count as strategies.
    """

    step: StepName
    sha256: str
    at_ns: int
    agents: tuple[str, ...] = ()
    challengers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Voided:
    """A round ends without (more) effect; allocations stay as they are."""

    reason: str
    at_ns: int


@dataclass(frozen=True)
class Move:
    """What a driver is to do: run a step, close it with what has come, wait, void the round, or nothing any more.

    ``until_ns`` is the step's deadline (of "wait": when to look again).
    """

    kind: Literal["run", "close", "wait", "void", "nothing"]
    step: str = ""
    until_ns: int = 0
    reason: str = ""


def new_round(occurrence: Occurrence, rules: Rules, *, started_ns: int, calendars: Iterable[str]) -> Round:
    """Return a round that has just begun under a version of the rules; its id is the occurrence's key.

    Parameters
    ----------
    started_ns : when it really starts; deadlines count from then, so that a late start has its whole time, but none
        of them is later than the predicted session's opening.
    calendars : those of the round's symbols.

    Raises
    ------
    RoundError
        if it would start before its occurrence, or when the session that it predicts has opened.
    """
    session, key = occurrence.session, occurrence.key
    if not occurrence.opens_ns <= started_ns < session.open_ns:
        raise RoundError(
            f"round {key} cannot start at {started_ns}; allowed is from {occurrence.opens_ns} until its session "
            f"{session.date} opens at {session.open_ns}"
        )
    within = {name.removesuffix("_by"): started_ns + getattr(rules, name) * MINUTE_NS for name in DEADLINES}
    deadlines = {step: min(at, session.open_ns - 1) for step, at in within.items()}
    sessions = {rules.calendar: session, **predicted_sessions(calendars, deadlines["predict"])}
    settles = max(each.close_ns for each in sessions.values())
    return Round(
        round_id=key, rules_version=rules.version, rules_sha256=fingerprint(rules),
        min_strategies=rules.min_strategies, started_ns=started_ns, cutoff_ns=session.open_ns, settles_ns=settles,
        sessions=sessions, deadlines_ns={**deadlines, "settle": settles + rules.settle_by * HOUR_NS},
    )  # fmt: skip


def missed_round(occurrence: Occurrence, rules: Rules, *, at_ns: int, reason: str) -> Round:
    """Return the void round of an occurrence that nobody started in time, for the record."""
    begun = new_round(occurrence, rules, started_ns=occurrence.opens_ns, calendars=())
    return advance(begun, Voided(reason, at_ns))


def advance(held: Round, event: Done | Voided) -> Round:
    """Return the round after an event; the very same object where the event is known already.

    Raises
    ------
    RoundError
        if the round has ended otherwise, the step is not the one it waits for, was done with another result, comes
        after the cut-off or before the predicted sessions have closed, or the event itself is malformed.
    """
    return _voided(held, event) if isinstance(event, Voided) else _done(held, event)


def next_move(held: Round, now_ns: int) -> Move:
    """Return what is to be done at an instant: a pure function of the stored round, so any process may resume it."""
    if held.state in TERMINAL:
        return Move("nothing", reason=held.reason)
    deadline = held.deadlines_ns[held.state]
    if held.state == "settle":
        if now_ns < held.settles_ns:
            return Move("wait", "settle", held.settles_ns)
    elif now_ns >= held.cutoff_ns:
        return Move("void", held.state, held.cutoff_ns, _overrun(held))
    closes = BY_NAME[held.state].waits and now_ns > deadline
    return Move("close" if closes else "run", held.state, deadline)


def event_id(round_id: str, step: StepName, type_: str, *items: str) -> str:
    """Return the id by which a reader drops the second copy of an event: one a round, step, type and items."""
    return "/".join((round_id, step, type_, *items))


def encode(held: Round) -> bytes:
    """Return a round's JSON, declared field order."""
    return msgspec.json.encode(held)


def decode(raw: bytes | str) -> Round:
    """Return the round that JSON holds; raises RoundError if it cannot be read."""
    try:
        return msgspec.json.decode(raw, type=Round)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RoundError(f"the round cannot be read: {error}") from error


def _done(held: Round, event: Done) -> Round:
    name = f"round {held.round_id}"
    before = held.result(event.step)
    if before is not None:
        if (before.sha256, before.agents) == (event.sha256, event.agents):
            return held
        raise RoundError(f"{name}: {event.step} is done with result {before.sha256[:12]}, not {event.sha256[:12]}")
    if held.state in TERMINAL:
        raise RoundError(f"{name} is {held.state}{': ' if held.reason else ''}{held.reason}; it takes no {event.step}")
    if event.step != held.state:
        raise RoundError(f"{name} waits for {held.state}; it cannot take {event.step}")
    _check(held, event)
    late = event.at_ns > held.deadlines_ns[event.step]
    result = Result(step=event.step, sha256=event.sha256, at_ns=event.at_ns, late=late, agents=event.agents)
    step, results = BY_NAME[event.step], (*held.results, result)
    if step.counts and len(set(event.agents) - event.challengers) < held.min_strategies:
        reason = _too_few(event, held.min_strategies)
        return msgspec.structs.replace(held, state="void", results=results, reason=reason, ended_ns=event.at_ns)
    ended = event.at_ns if step.following in TERMINAL else None
    return msgspec.structs.replace(held, state=step.following, results=results, ended_ns=ended)


def _check(held: Round, event: Done) -> None:
    """Refuse an event of the right step that cannot be true."""
    name = f"round {held.round_id}: {event.step}"
    if len(event.sha256) != SHA256_LETTERS or not set(event.sha256) <= set("0123456789abcdef"):
        raise RoundError(f"{name} has sha256 = {event.sha256!r}; it must be 64 hexadecimal letters")
    if len(set(event.agents)) < len(event.agents):
        raise RoundError(f"{name} names an agent twice: {', '.join(event.agents)}")
    if event.agents and not BY_NAME[event.step].counts:
        raise RoundError(f"{name} names agents; open and predict alone do")
    opened = held.result("open")
    if opened is not None and (strange := sorted(set(event.agents) - set(opened.agents))):
        raise RoundError(f"{name} names {', '.join(strange)}, not among the entrants: {', '.join(opened.agents)}")
    if event.step == "settle" and event.at_ns < held.settles_ns:
        raise RoundError(f"{name} at {event.at_ns} is before the predicted sessions' close, {held.settles_ns}")
    if event.step != "settle" and event.at_ns >= held.cutoff_ns:
        raise RoundError(f"{name} comes too late: {_overrun(held)}")


def _voided(held: Round, event: Voided) -> Round:
    if not event.reason.strip():
        raise RoundError(f"round {held.round_id} cannot be void without a reason")
    if held.state == "void" and held.reason == event.reason:
        return held
    if held.state in TERMINAL:
        said = f": {held.reason}" if held.reason else ""
        raise RoundError(f"round {held.round_id} is {held.state}{said}; it cannot be void for another reason")
    return msgspec.structs.replace(held, state="void", reason=event.reason, ended_ns=event.at_ns)


def _too_few(event: Done, wanted: int) -> str:
    what = "entrants" if event.step == "open" else "valid entries"
    counted = [name for name in event.agents if name not in event.challengers]
    named = f" ({', '.join(counted)})" if counted else ""
    return f"{len(counted)} {what}{named} are fewer than min_strategies = {wanted}; allocations stay as they are"


def _overrun(held: Round) -> str:
    return f"the predicted session opened before the step {held.state} was done; allocations stay as they are"

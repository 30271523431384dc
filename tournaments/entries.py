"""What the agents hand in: entries, challenges, defences; and what is refused of them, with the reason.

An entry that is late, unreadable or wrong in any part is no entry: its agent abstains, and the reason stays with it.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

SUM_TOLERANCE = 1e-6
LARGEST_RETURN = 1.0  # of the price, in one session
LOWEST_LEVEL, HIGHEST_LEVEL, HIGHEST_THRESHOLD = 1e-9, 1e12, 1e3
LONGEST_RATIONALE, LONGEST_TEXT = 4_000, 2_000
LONGEST_FACTOR, MOST_FACTORS = 200, 10  # the same of precedents
MOST_CLAIMS, LARGEST_BYTES = 20, 1_000_000

T = TypeVar("T")
AbstentionCode = Literal["missing", "late", "refused", "unreadable", "invalid"]
Ranges = Mapping[str, Mapping[str, tuple[float, float]]]
"""Scenario family to its parameters' names to the lowest and the highest value allowed."""


class EntryError(ValueError):
    """One sentence a problem: the field, its value, what is allowed."""


class Submission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what an agent submits."""


class Probabilities(Submission, frozen=True):
    """Of one symbol's next session, open to close: how probable its return is down, flat, up; confidence in [0, 1]."""

    symbol: str
    down: float
    flat: float
    up: float
    confidence: float


class Prediction(Probabilities, frozen=True):
    """What an entry says of one symbol; the return is a fraction, levels are prices in the instrument's currency."""

    expected_return: float
    entry_level: float
    exit_level: float
    risk_factors: tuple[str, ...]
    rationale: str


class Entry(Submission, frozen=True):
    """What one agent predicts in a round, one prediction for each symbol of the round's universe."""

    round_id: str
    agent: str
    predictions: tuple[Prediction, ...]


class Claim(Submission, frozen=True):
    """A falsifiable sentence: in the scenario ``family`` with ``parameters``, the excess loss passes ``threshold``.

    ``threshold`` is the excess loss over the risk budget (1.0: all of it); ``probability`` is the challenger's that
    the claim holds.
    """

    family: str
    parameters: dict[str, float]
    statement: str
    threshold: float
    probability: float


class Challenge(Submission, frozen=True):
    """The claims that a challenger makes against one agent's entry."""

    round_id: str
    challenger: str
    agent: str
    claims: tuple[Claim, ...]


class Answer(Submission, frozen=True):
    """What the defender says to one claim; ``probability`` is the defender's that the claim holds."""

    precedents: tuple[str, ...]
    stands: str
    changes_mind: str
    probability: float


class Defence(Submission, frozen=True):
    """An agent's answers, one for each claim in its order, and what it revises, once."""

    round_id: str
    agent: str
    answers: tuple[Answer, ...]
    revisions: tuple[Probabilities, ...] = ()


class Ruling(Submission, frozen=True):
    """What the simulator measured of one claim (its place in the challenge, from 0), and both sides' Brier scores.

    A score is (probability - outcome) squared, 0 is best (Brier 1950, "Verification of forecasts").
    """

    round_id: str
    agent: str
    claim: int
    holds: bool
    measured: float
    challenger_brier: float
    defender_brier: float


class Abstention(Submission, frozen=True):
    """Why an agent takes no part in a round's predictions."""

    round_id: str
    agent: str
    code: AbstentionCode
    reason: str


def canonical_bytes(entry: Entry) -> bytes:
    """Return the bytes that an entry's commitment is over: JSON, declared field order, predictions by symbol."""
    ordered = tuple(sorted(entry.predictions, key=lambda each: each.symbol))
    return msgspec.json.encode(msgspec.structs.replace(entry, predictions=ordered))


def problems(entry: Entry, universe: Collection[str]) -> list[str]:
    """Return one sentence for each thing wrong with an entry; ``universe`` are the symbols that it must cover."""
    symbols = [each.symbol for each in entry.predictions]
    found = _cover_problems(symbols, universe)
    if missing := sorted(set(universe) - set(symbols)):
        found.append(f"predictions have nothing for {', '.join(missing)}; every symbol of the round needs one")
    for each in entry.predictions:
        found += [f"{each.symbol}: {text}" for text in _prediction_problems(each)]
    return found


def received(
    raw: bytes | None, *, round_id: str, agent: str, universe: Collection[str], received_ns: int, deadline_ns: int
) -> Entry | Abstention:
    """Return the entry in an agent's bytes (None: nothing came), or its abstention; the deadline is still in time."""

    def abstains(code: AbstentionCode, reason: str) -> Abstention:
        return Abstention(round_id=round_id, agent=agent, code=code, reason=reason)

    if raw is None:
        return abstains("missing", "no entry came before the deadline")
    if received_ns > deadline_ns:
        late = (received_ns - deadline_ns) / 1e9
        return abstains("late", f"the entry came {late:.3f} s after the deadline")
    try:
        entry = read(raw, Entry)
    except EntryError as error:
        return abstains("unreadable", str(error))
    if (entry.round_id, entry.agent) != (round_id, agent):
        return abstains("invalid", f"the entry is of {entry.agent} in round {entry.round_id}")
    wrong = problems(entry, universe)
    return abstains("invalid", "; ".join(wrong)) if wrong else entry


def read(raw: bytes, type_: type[T]) -> T:
    """Return the submission that JSON holds; raises EntryError if it is too long, no JSON, or has a wrong field."""
    if len(raw) > LARGEST_BYTES:
        raise EntryError(f"the {type_.__name__} has {len(raw)} bytes; at most {LARGEST_BYTES} are read")
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EntryError(f"the {type_.__name__} cannot be read: {error}") from error


def challenge_problems(challenge: Challenge, *, least_claims: int, ranges: Ranges) -> list[str]:
    """Return one sentence for each thing wrong with a challenge; claims must differ and lie in the families' ranges."""
    if found := _number_problem("claims", len(challenge.claims), least_claims, MOST_CLAIMS):
        return found
    for number, claim in enumerate(challenge.claims):
        found += [f"claim {number + 1}: {text}" for text in _claim_problems(claim, ranges)]
    scenarios = [(each.family, sorted(each.parameters.items()), each.threshold) for each in challenge.claims]
    first = [scenarios.index(each) for each in scenarios]
    again = [(number, one) for number, one in enumerate(first) if one < number]
    return found + [
        f"claim {number + 1} is claim {one + 1} again; each must say something else" for number, one in again
    ]


def defence_problems(defence: Defence, *, claims: int, universe: Collection[str]) -> list[str]:
    """Return one sentence for each thing wrong with a defence against ``claims`` claims."""
    if len(defence.answers) != claims:
        return [f"answers = {len(defence.answers)}; each of the {claims} claims needs one"]
    found = []
    for number, answer in enumerate(defence.answers):
        found += [f"answer {number + 1}: {text}" for text in _answer_problems(answer)]
    found += _cover_problems([each.symbol for each in defence.revisions], universe)
    for each in defence.revisions:
        found += [f"{each.symbol}: {text}" for text in _probability_problems(each)]
    return found


def revised(entry: Entry, defence: Defence) -> Entry:
    """Return an entry with the probabilities and confidences of its agent's defence; levels and texts stay.

    Raises EntryError if the defence is another agent's or another round's, or revises a symbol that the entry lacks.
    """
    if (defence.round_id, defence.agent) != (entry.round_id, entry.agent):
        raise EntryError(f"the defence is of {defence.agent} in round {defence.round_id}, the entry of {entry.agent}")
    new = {each.symbol: each for each in defence.revisions}
    if strange := sorted(new.keys() - {each.symbol for each in entry.predictions}):
        raise EntryError(f"revisions name {', '.join(strange)}, which the entry does not predict")
    predictions = tuple(
        msgspec.structs.replace(each, **msgspec.structs.asdict(new[each.symbol])) if each.symbol in new else each
        for each in entry.predictions
    )
    return msgspec.structs.replace(entry, predictions=predictions)


def ruling(challenge: Challenge, defence: Defence | None, claim: int, measured: float) -> Ruling:
    """Return the ruling on a claim (from 0): it holds where what the simulator measured passes its threshold.

    A defender without an answer is scored as one that said 0.5. Raises EntryError where nothing can be decided.
    """
    if not 0 <= claim < len(challenge.claims) or not math.isfinite(measured):
        raise EntryError(f"claim = {claim}, measured = {measured!r}; a ruling needs a claim and a finite number")
    made = challenge.claims[claim]
    holds = measured > made.threshold
    own = defence.answers[claim].probability if defence is not None and claim < len(defence.answers) else 0.5
    return Ruling(
        round_id=challenge.round_id, agent=challenge.agent, claim=claim, holds=holds, measured=measured,
        challenger_brier=(made.probability - holds) ** 2, defender_brier=(own - holds) ** 2,
    )  # fmt: skip


def _cover_problems(symbols: Sequence[str], universe: Collection[str]) -> list[str]:
    counts = sorted(Counter(symbols).items())
    found = [f"{each} is predicted {count} times; once is allowed" for each, count in counts if count > 1]
    if strange := sorted(set(symbols) - set(universe)):
        found.append(f"{', '.join(strange)} is not in the round's universe: {', '.join(sorted(universe))}")
    return found


def _prediction_problems(given: Prediction) -> list[str]:
    found = _probability_problems(given)
    found += _number_problem("expected_return", given.expected_return, -LARGEST_RETURN, LARGEST_RETURN)
    found += _number_problem("entry_level", given.entry_level, LOWEST_LEVEL, HIGHEST_LEVEL)
    found += _number_problem("exit_level", given.exit_level, LOWEST_LEVEL, HIGHEST_LEVEL)
    found += _list_problems("risk_factors", given.risk_factors, MOST_FACTORS)
    return found + _text_problem("rationale", given.rationale, LONGEST_RATIONALE)


def _probability_problems(given: Probabilities) -> list[str]:
    names = ("down", "flat", "up", "confidence")
    found = [text for name in names for text in _number_problem(name, getattr(given, name), 0.0, 1.0)]
    total = given.down + given.flat + given.up
    if not found and abs(total - 1.0) > SUM_TOLERANCE:
        found.append(f"down + flat + up = {total:.9g}; they must add up to 1 within {SUM_TOLERANCE:g}")
    return found


def _claim_problems(claim: Claim, ranges: Ranges) -> list[str]:
    found = _text_problem("statement", claim.statement, LONGEST_TEXT)
    found += _number_problem("threshold", claim.threshold, 0.0, HIGHEST_THRESHOLD)
    found += _number_problem("probability", claim.probability, 0.0, 1.0)
    if claim.family not in ranges:
        return [*found, f"family = {claim.family!r} is none of {', '.join(ranges)}"]
    allowed = ranges[claim.family]
    if claim.parameters.keys() != allowed.keys():
        named = ", ".join(sorted(claim.parameters)) or "nothing"
        return [*found, f"parameters name {named}; {claim.family} has {', '.join(sorted(allowed)) or 'none'}"]
    for name, (low, high) in allowed.items():
        found += _number_problem(f"parameters.{name}", claim.parameters[name], low, high)
    return found


def _answer_problems(answer: Answer) -> list[str]:
    return [
        *_number_problem("probability", answer.probability, 0.0, 1.0),
        *_list_problems("precedents", answer.precedents, MOST_FACTORS),
        *_text_problem("stands", answer.stands, LONGEST_TEXT),
        *_text_problem("changes_mind", answer.changes_mind, LONGEST_TEXT),
    ]


def _number_problem(name: str, value: float, low: float, high: float) -> list[str]:
    return [] if low <= value <= high else [f"{name} = {value!r} is outside {low:g} to {high:g}"]  # NaN is in no range


def _list_problems(name: str, texts: tuple[str, ...], most: int) -> list[str]:
    found = [text for each in texts for text in _text_problem(f"each of {name}", each, LONGEST_FACTOR)]
    return found if len(texts) <= most else [*found, f"{name} has {len(texts)} texts; at most {most} are allowed"]


def _text_problem(name: str, text: str, longest: int) -> list[str]:
    if not text.strip():
        return [f"{name} is empty; 1 to {longest} letters are needed"]
    return [] if len(text) <= longest else [f"{name} has {len(text)} letters; at most {longest} are allowed"]

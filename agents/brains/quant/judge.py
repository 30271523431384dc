"""Score a reply by whether it is complete, from its words alone: no name of an agent goes in, no view on who is right.

A short checklist of things that are there or not is scored more alike by different judges than a grade is.
"""

import re
from collections.abc import Sequence

from agents.brains.port import Judgement, JudgeQuestion

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
CONDITION = re.compile(r"\b(if|when|once|unless|should)\b", re.IGNORECASE)
TOLERANCE = 0.02  # of a number: a rounded one is still the number
ROUNDED = 0.005  # a probability of two decimals
SHORTEST_WORDS, LONGEST_WORDS = 8, 150
STATES_NONE = re.compile(r"\b(no|none|without|never)\b", re.IGNORECASE)


def judge(question: JudgeQuestion) -> Judgement:
    """Return the mean of seven items, each 0 or 1.

    * ``names_the_scenario``: the claim's family is named;
    * ``names_the_threshold``: so is its threshold, as a fraction or in per cent;
    * ``precedents_are_right``: both true counts stand in the precedents, or it says so where there are none;
    * ``gives_a_reason``: why it stands holds a number;
    * ``changes_its_mind``: a condition with a number says when;
    * ``agrees_with_itself``: its own probability stands in the text;
    * ``is_readable``: each part has 8 to 150 words, and none repeats another.
    """
    reply = question.reply
    parts = (reply.precedents, reply.why_it_stands, reply.changes_mind_when)
    text = " ".join(parts)
    items = {
        "names_the_scenario": _names(text, question.claim.family),
        "names_the_threshold": _has(text, question.claim.threshold, 0.0),
        "precedents_are_right": _precedents(question),
        "gives_a_reason": bool(NUMBER.search(reply.why_it_stands)),
        "changes_its_mind": bool(CONDITION.search(reply.changes_mind_when) and NUMBER.search(reply.changes_mind_when)),
        "agrees_with_itself": _has(text, reply.probability, ROUNDED),
        "is_readable": _readable(parts),
    }
    return Judgement(
        score=sum(items.values()) / len(items), items={name: float(value) for name, value in items.items()}
    )


def blinded(text: str, names: Sequence[str]) -> str:
    """Return the text with every name of an agent taken out, whatever its case; "_" and "-" match a space too."""
    for name in sorted(names, key=len, reverse=True):
        words = [re.escape(word) for word in re.split(r"[\s_-]+", name) if word]
        if words:
            text = re.sub(rf"\b{'[ _-]?'.join(words)}\b", "the agent", text, flags=re.IGNORECASE)
    return text


def _names(text: str, family: str) -> bool:
    return _plain(family) in _plain(text)


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text).casefold()


def _numbers(text: str) -> list[float]:
    return [float(found) for found in NUMBER.findall(text)]


def _has(text: str, value: float, rounding: float) -> bool:
    """Whether the value stands in the text, as it is or in per cent."""
    near = max(TOLERANCE * abs(value), rounding)
    return any(min(abs(number - value), abs(number / 100.0 - value)) <= near for number in _numbers(text))


def _precedents(question: JudgeQuestion) -> bool:
    text = question.reply.precedents
    if question.precedents == 0:
        return bool(STATES_NONE.search(text)) or 0.0 in _numbers(text)
    said = _numbers(text)
    return float(question.precedents) in said and float(question.precedents_held) in said


def _readable(parts: Sequence[str]) -> bool:
    plain = [_plain(part).strip() for part in parts]
    right = all(SHORTEST_WORDS <= len(part.split()) <= LONGEST_WORDS for part in plain)
    return right and len(set(plain)) == len(plain)

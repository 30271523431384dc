"""What became of a round's weights: SHADOW on files that somebody chose, else where they are on their way."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tournaments.models import AllocationVersion, TournamentRound

SAID = {
    "proposed": "Its weights give a strategy much more than it has: they wait for people, and nothing has changed.",
    "told": "Its weights are on their way to the engine, which has not answered yet.",
    "acknowledged": "The engine has taken its weights as allocation {version}.",
    "refused": "The engine has not taken its weights: {answer}.",
}


def capital_of(row: "TournamentRound", version: "AllocationVersion | None") -> dict[str, Any]:
    """Return whether a round is SHADOW, the state of its weights ("" before there are any) and a sentence on them."""
    if not row.station_bars:
        return {"shadow": True, "state": "", "sentence": ""}
    if version is None:
        words = "It decides no capital." if row.state == "void" else "It has decided no weights yet."
        return {"shadow": False, "state": "", "sentence": words}
    sentence = SAID[version.state].format(version=version.version, answer=version.answer.rstrip("."))
    return {"shadow": False, "state": version.state, "sentence": sentence}

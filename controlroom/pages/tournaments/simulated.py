"""What a simulation came to, as tables: a line a figure with its error, a column a version of the rules."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from controlroom.live.rows import strategy_title
from controlroom.pages.formats import NOTHING, SPACE, plain, signed
from controlroom.pages.tournaments.shown import error, percent, span

if TYPE_CHECKING:
    from tournaments.scores.clustered import Estimate
    from tournaments.simulation import Simulated

POINTS, BASIS_POINTS = f"{SPACE}points", f"{SPACE}bp"
TWO_ERRORS = 2.0  # to each side of a share's picture: about 95 %

Cell = dict[str, Any]
Line = tuple[str, str, "Callable[[Simulated], Cell]"]


def sections(found: "Sequence[Simulated]") -> list[dict[str, Any]]:
    """Return the tables; ``found`` has one entry a version, all of the same agents, rounds and seeds."""
    first, between = found[0], _differences(found)
    same, one, none = first.identical, first.planted, first.evidence
    planted = f"{one.seasons} seasons of {one.horizon} rounds; its views correlate by {one.edge:g} with what comes"
    parts = [
        ("Who wins", f"{_count(first.wins)} whole rounds", _winners(first)),
        ("Whole rounds", "on resampled histories", _whole()),
        ("Identical agents", f"{_count(same.wins)} no skill, {same.rounds} rounds", _identical(first)),
        ("One better agent", planted, _planted(first)),
        ("No skill at all", f"{none.seasons} seasons of {none.rounds} rounds", _evidence()),
    ]  # fmt: skip
    return [
        {
            "title": title, "says": says,
            "rows": [
                {
                    "name": name, "help": told, "cells": [cell(one) for one in found],
                    "difference": between.get(title, {}).get(name, {}),
                }
                for name, told, cell in lines
            ],
        }
        for title, says, lines in parts
    ]  # fmt: skip


def _differences(found: "Sequence[Simulated]") -> dict[str, dict[str, Cell]]:
    """Return A less B by table and line, where two versions saw the same histories."""
    from tournaments.simulation import paired  # noqa: PLC0415 - the package's docstring says why

    told = paired(*found) if len(found) == 2 else {}
    if not told:
        return {}
    whole = {
        "P(first is best)": _less(told["first_is_best"], 100.0, 1, POINTS),
        "raw regret a round": _less(told["regret"], 1.0, 5, ""),
        "diversity index": _less(told["diversity"], 1.0, 3, ""),
        "competitive delta": _less(told["delta"], 1e4, 4, BASIS_POINTS),
    }  # fmt: skip
    wins = {strategy_title({}, name): _less(told[name], 100.0, 1, POINTS) for name in found[0].wins}
    return {"Who wins": wins, "Whole rounds": whole}


def _less(given: "Estimate", times: float, decimals: int, unit: str) -> Cell:
    wrong = None if given.error is None else given.error * times
    return {
        "words": signed(given.mean * times, decimals, arrow=False).text,
        "unit": unit,
        "error": error(wrong, decimals),
    }


def _winners(first: "Simulated") -> list[Line]:
    def win(name: str) -> "Callable[[Simulated], Cell]":
        return lambda found: _share(found.wins[name] / found.rounds, found.wins_error[name])

    return [(strategy_title({}, name), "", win(name)) for name in first.wins]


def _whole() -> list[Line]:
    return [
        ("rounds settled", "", lambda found: _figure(found.rounds)),
        ("rounds void", "", lambda found: _figure(found.void)),
        ("histories", "errors are clustered by history", lambda found: _figure(found.histories)),
        ("P(first is best)", "mean of what is reported", lambda found: _share(found.first_is_best, None, 0)),
        ("raw regret a round", "of AdaHedge's weights", lambda found: _figure(found.regret, 5)),
        ("its bound", "", lambda found: _figure(found.regret_bound, 5)),
        ("diversity index", "independent entrants, a share", lambda found: _figure(found.diversity, 2)),
        ("competitive delta", "bp of the capital a round, beyond the same capital by base weights", _delta),
    ]


def _delta(found: "Simulated") -> Cell:
    if found.delta is None:
        return {"words": NOTHING, "error": ""}
    wrong = None if found.delta_error is None else found.delta_error * 1e4
    return {"words": signed(found.delta * 1e4, 4, arrow=False).text, "error": error(wrong, 4)}


def _identical(first: "Simulated") -> list[Line]:
    def wins(agent: int) -> "Callable[[Simulated], Cell]":
        return lambda found: _share(found.identical.wins[agent] / found.identical.rounds, found.identical.share_error)

    sure = percent(first.identical.threshold, 0)
    return [
        *((f"agent {k + 1}", "", wins(k)) for k in range(len(first.identical.wins))),
        ("P(first is best)", "an even share is true", lambda found: _share(found.identical.first_is_best, None, 0)),
        (
            "false winners", f"rounds that name one with P above {sure}",
            lambda found: _share(found.false_winner_rate, found.false_winner_error),
        ),
    ]  # fmt: skip


def _planted(first: "Simulated") -> list[Line]:
    def after(found: "Simulated") -> Cell:
        rounds = found.planted.rounds
        return _figure(rounds) if rounds is not None else {"words": "found in fewer than half", "error": ""}

    sure = percent(first.planted.threshold, 0)
    return [
        (
            "named best in time",
            f"with P of {sure}",
            lambda found: _share(found.planted.found, found.planted.found_error),
        ),
        ("rounds until then", "median", after),
        ("another named before", "", lambda found: _share(found.planted.misnamed, found.planted.misnamed_error)),
    ]


def _evidence() -> list[Line]:
    return [
        (
            "pool ever fully open", "seasons in which chance alone opened it",
            lambda found: _share(found.evidence.fully_open, found.evidence.fully_open_error),
        ),
        ("raw regret a round", "of AdaHedge's weights", lambda found: _figure(found.evidence.regret, 5)),
        ("its bound", "", lambda found: _figure(found.evidence.regret_bound, 5)),
        ("bound broken", "seasons", lambda found: _figure(found.evidence.above_bound)),
    ]  # fmt: skip


def _count(wins: "Sequence[float] | dict[str, float]") -> str:
    return f"{len(wins)} agents, an even share is {percent(1.0 / len(wins))};"


def _share(value: float, wrong: float | None, decimals: int = 1) -> Cell:
    reach = TWO_ERRORS * (wrong or 0.0)
    beside = "" if wrong is None else error(100.0 * wrong, decimals)
    return {"words": percent(value, decimals), "error": beside, "span": span(value - reach, value + reach, value)}


def _figure(value: float, decimals: int = 0) -> Cell:
    return {"words": plain(value, decimals), "error": ""}

"""Step 8 of a round: what came true of the predicted sessions, and how good every entry was."""

from collections.abc import Mapping

import numpy as np

from agents.brains.observations import FLAT_SIGMAS, classify
from tournaments.allocation.evidence import least_difference
from tournaments.market import Market
from tournaments.record import RoundRecord, Settlement
from tournaments.scores.accuracy import ranked_probability_score, skill
from tournaments.unit_book import UnitBook


def settle(
    record: RoundRecord, market: Market, books: Mapping[str, UnitBook], *, flat_band: float = FLAT_SIGMAS
) -> Settlement:
    """Return what came of the predicted sessions: of each symbol that traded in its own, with the sigma frozen before.

    ``market`` and ``books`` reach beyond the sessions; only bars that lie in them are looked at.
    """
    assert record.opened is not None  # noqa: S101 - a round that settles has opened
    returns: dict[str, float] = {}
    classes: dict[str, int] = {}
    for k, instrument in enumerate(market.instruments):
        session, sigma = record.round.sessions[instrument.calendar], record.opened.sigma.get(instrument.symbol)
        inside = market.daily.bars["present"][:, k] & (market.daily.session_open_ns[:, k] == session.open_ns)
        bars = market.daily.bars[inside, k]
        if len(bars):
            returns[instrument.symbol] = float(bars["close"][-1] / bars["open"][0] - 1.0)
            if sigma is not None:
                found = classify(np.array([returns[instrument.symbol]]), np.array([sigma]), flat_band)
                classes[instrument.symbol] = int(found[0])
    skills = {name: _skill(record, name, classes) for name in record.revised}
    difference, floor = _ensemble(record, classes)
    closes_ns = min(record.round.sessions[each.calendar].close_ns for each in market.instruments)
    earned, gross = {}, {}
    for name, book in books.items():
        mine = (book.known_ns >= closes_ns) & (book.known_ns <= record.round.settles_ns)
        earned[name] = float(book.returns[mine].sum())
        if mine.any():
            gross[name] = float(book.gross[mine].mean())
    return Settlement(
        settled_ns=record.round.settles_ns, returns=returns, classes=classes, skill=skills, difference=difference,
        floor=floor, returns_of=earned, gross_of=gross,
    )  # fmt: skip


def unpriced(record: RoundRecord, market: Market) -> list[str]:
    """Return the predicted symbols that have no bar in their sessions: halted, or their bars are late."""
    assert record.opened is not None  # noqa: S101 - a round that settles has opened
    found = []
    for k, instrument in enumerate(market.instruments):
        session = record.round.sessions.get(instrument.calendar)
        inside = session is not None and market.daily.session_open_ns[:, k] == session.open_ns
        if instrument.symbol in record.opened.symbols and not (market.daily.bars["present"][:, k] & inside).any():
            found.append(instrument.symbol)
    return found


def _skill(record: RoundRecord, name: str, classes: Mapping[str, int]) -> float | None:
    told = [each for each in record.revised[name] if each.symbol in classes]
    if not told:
        return None
    chances, usual = [each.probabilities for each in told], [record.climatology[each.symbol] for each in told]
    return float(skill(chances, [classes[each.symbol] for each in told], usual).mean())


def _ensemble(record: RoundRecord, classes: Mapping[str, int]) -> tuple[float, float]:
    """Return how much better the equal-weight ensemble's mean score is than climatology's, and its least possible.

    Challengers are not in it: the evidence that opens the pool is the strategies' own.
    """
    left_out = record.opened.challengers if record.opened else ()
    entries = sorted((name, entry) for name, entry in record.revised.items() if name not in left_out)
    told = {
        symbol: [each.probabilities for _, entry in entries for each in entry if each.symbol == symbol]
        for symbol in classes
    }
    symbols = [symbol for symbol, given in told.items() if given]
    if not symbols:
        return 0.0, -1.0
    mixed = np.array([np.mean(told[symbol], axis=0) for symbol in symbols])
    mixed /= mixed.sum(axis=1, keepdims=True)
    usual = np.array([record.climatology[symbol] for symbol in symbols])
    came = np.array([classes[symbol] for symbol in symbols])
    better = ranked_probability_score(usual, came) - ranked_probability_score(mixed, came)
    return float(np.mean(better)), least_difference(mixed, usual)

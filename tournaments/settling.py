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
        session, sigma = record.round.sessions.get(instrument.calendar), record.opened.sigma.get(instrument.symbol)
        if session is None:
            continue  # the round was of another calendar
        inside = market.daily.bars["present"][:, k] & (market.daily.session_open_ns[:, k] == session.open_ns)
        bars = market.daily.bars[inside, k]
        if len(bars):
            returns[instrument.symbol] = float(bars["close"][-1] / bars["open"][0] - 1.0)
            if sigma is not None:
                found = classify(np.array([returns[instrument.symbol]]), np.array([sigma]), flat_band)
                classes[instrument.symbol] = int(found[0])
    skills = {name: _skill(record, name, classes) for name in record.revised}
    difference, floor = _ensemble(record, classes)
    closes_ns = min(each.close_ns for each in record.round.sessions.values())
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
    """Return the predicted symbols that have no bar in their sessions: halted, or their bars are late.

    One that had none in the session before the opening either is not expected back within a few hours.
    """
    opened = record.opened
    assert opened is not None  # noqa: S101 - a round that settles has opened
    columns = {each.symbol: (k, each.calendar) for k, each in enumerate(market.instruments)}
    present, sessions = market.daily.bars["present"], market.daily.session_open_ns
    before = present & (market.daily.now_ns <= opened.as_of_ns)[:, np.newaxis]
    newest = np.where(before, sessions, 0).max(axis=0)  # of each column, the last session that it traded in
    found = []
    for symbol in opened.symbols:
        column, calendar = columns.get(symbol, (None, ""))
        session = record.round.sessions.get(calendar)
        if column is None or session is None:
            found.append(symbol)
            continue
        last = max(newest[k] for k, each in enumerate(market.instruments) if each.calendar == calendar)
        if newest[column] == last and not (present[:, column] & (sessions[:, column] == session.open_ns)).any():
            found.append(symbol)
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

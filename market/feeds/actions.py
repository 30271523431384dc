"""Splits and dividends of a file as a feed's events, each at the instant from which its exchange trades without it."""

from collections.abc import Iterable
from pathlib import Path

from events.types import CorporateActionEvent
from market.actions import Action, read_actions
from market.calendars import next_session, session_containing
from market.feeds.port import FeedError
from market.instruments import Instrument

MICRO = 1_000_000


def read_action_events(
    path: Path, feed: str, instruments: Iterable[Instrument], first_ns: int, last_ns: int
) -> tuple[CorporateActionEvent, ...]:
    """Return a file's actions of these instruments that begin in (first_ns, last_ns], in the order of time.

    An action begins at its ts where that lies in a session of its calendar, else at the open of the next one: that of a
    listed share's ex-date. Other symbols of the file mean nothing here.

    Raises
    ------
    market.feeds.port.FeedError
        if the file cannot be read, or a row of it.
    """
    calendars = {instrument.symbol: instrument.calendar for instrument in instruments}
    made = [
        _event(path, feed, action, calendars[action.symbol])
        for action in read_actions(path)
        if action.symbol in calendars
    ]
    within = [event for event in made if first_ns < event.effective_from_ns <= last_ns]
    return tuple(sorted(within, key=lambda event: event.effective_from_ns))


def _event(path: Path, feed: str, action: Action, calendar: str) -> CorporateActionEvent:
    inside = session_containing(calendar, action.ts_ns)
    begins = action.ts_ns if inside is not None else next_session(calendar, action.ts_ns - 1).open_ns
    if action.kind == "split":
        return CorporateActionEvent(
            feed=feed, symbol=action.symbol, kind="split", effective_from_ns=begins,
            numerator=action.value.numerator, denominator=action.value.denominator, source=path.name,
        )  # fmt: skip
    amount = round(action.value * MICRO)
    if amount < 1:
        raise FeedError(f"{path} row {action.row}: a dividend of less than a millionth a unit cannot be paid")
    return CorporateActionEvent(
        feed=feed, symbol=action.symbol, kind="dividend", effective_from_ns=begins, amount_micro=amount,
        source=path.name,
    )  # fmt: skip

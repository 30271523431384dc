"""Slices, corporate actions and stances into one numbered order: the part that every feed of known data shares."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from events.types import Bar, CorporateActionEvent, FeedEnd, Quote, SliceEnd, StanceEvent
from market.feeds.port import Batch, FeedPayload


def _none() -> list[Quote]:
    return []


class Slice(NamedTuple):
    """A close with so many bars, and quotes before them.

    ``bars()`` and ``shown()`` make them, which a resuming feed never asks for what it has sent.
    """

    close_ns: int
    size: int
    bars: Callable[[], list[Bar]]
    quotes: int = 0
    shown: Callable[[], list[Quote]] = _none


def merge(
    feed: str, slices: Iterable[Slice], asides: Sequence[StanceEvent | CorporateActionEvent], from_ordinal: int
) -> Iterator[Batch]:
    """Yield batches from an ordinal on.

    What stands beside the bars goes before those of the first slice whose close is at or after its
    ``effective_from_ns``; what begins after the last slice goes before the FeedEnd. ``asides`` are sorted by that time.
    """
    ordinal, bars, given, close_ns = 1, 0, 0, 0
    for piece in slices:
        close_ns = piece.close_ns
        begun = given
        while given < len(asides) and asides[given].effective_from_ns <= close_ns:
            given += 1
        events_in_it = given - begun + piece.quotes + piece.size + 1
        bars += piece.size
        if ordinal + events_in_it > from_ordinal:
            events: list[FeedPayload] = [*asides[begun:given], *piece.shown(), *piece.bars()]
            events.append(SliceEnd(feed=feed, close_ns=close_ns, bars=piece.size))
            yield _rest(Batch(ordinal, close_ns, events, bars), from_ordinal)
        ordinal += events_in_it
    last: list[FeedPayload] = [*asides[given:], FeedEnd(feed=feed, bars=bars, last_close_ns=close_ns)]
    if ordinal + len(last) > from_ordinal:
        yield _rest(Batch(ordinal, close_ns, last, bars), from_ordinal)


def _rest(batch: Batch, from_ordinal: int) -> Batch:
    sent = max(0, from_ordinal - batch.first)
    return Batch(batch.first + sent, batch.close_ns, batch.events[sent:], batch.bars) if sent else batch

"""What a feed is: it describes its source once, then hands out its events in one fixed, numbered order."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from events.types import Bar, CorporateActionEvent, FeedEnd, Quote, SliceEnd, StanceEvent
from market.instruments import Instrument

FeedPayload = Bar | Quote | CorporateActionEvent | StanceEvent | SliceEnd | FeedEnd
Label = Literal["SIMULATED", "REPLAY", "SAMPLE", "LIVE"]


class FeedError(ValueError):
    """One sentence: the file or argument, the value, what is allowed or what to do."""


@dataclass(frozen=True)
class FeedRequest:
    """What a person asked for.

    ``argument`` is what stands after the feed's name (of "replay:A,B": "A,B"); no ``symbols`` means all of the source;
    ``interval_s`` overrides the bars' length; ``strategies`` are the names a stance may carry, None: any.
    """

    argument: str = ""
    symbols: tuple[str, ...] = ()
    interval_s: int | None = None
    stances: Path | None = None
    strategies: Collection[str] | None = None
    actions: Path | None = None


@dataclass(frozen=True)
class SourceDescription:
    """What a source holds: instruments in symbol order, each symbol's bar length in seconds, how pages name it."""

    label: Label
    detail: str
    instruments: tuple[Instrument, ...]
    intervals_s: dict[str, int]
    bars: int
    warnings: tuple[str, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, sorted."""
        return tuple(instrument.symbol for instrument in self.instruments)

    @property
    def interval_s(self) -> int:
        """The shortest bar length among the symbols."""
        return min(self.intervals_s.values())


@dataclass(frozen=True)
class Batch:
    """One close: actions and stances that begin by then, quotes, bars in symbol order, its SliceEnd; the last: FeedEnd.

    ``first`` is the ordinal of ``events[0]``, counted from 1 over the whole feed; ``bars`` counts the source's bars
    from the beginning through this batch.
    """

    first: int
    close_ns: int
    events: list[FeedPayload] = field(default_factory=list)
    bars: int = 0

    @property
    def last(self) -> int:
        """Ordinal of the last event."""
        return self.first + len(self.events) - 1


@dataclass(frozen=True)
class Health:
    """Whether a source can be read now, and in which words."""

    ok: bool
    detail: str


class Feed(Protocol):
    """A source of bars. Event N is the same at every start and in every process: a feed can be killed at any time."""

    @property
    def name(self) -> str:
        """The name of its stream, market.NAME."""

    def describe(self) -> SourceDescription:
        """Return what the source holds."""

    def batches(self, from_ordinal: int = 1) -> Iterator[Batch]:
        """Yield everything from an ordinal on; the first batch may be the rest of one."""

    def history(self, start_ns: int, end_ns: int) -> Iterator[Bar]:
        """Yield the bars that close in (start_ns, end_ns], by close and symbol: warm-up, and what a gap left out."""

    def health(self) -> Health:
        """Return whether the source can be read."""

"""From entries of the bus to inputs of the machine: bars wait for their slice's end, the rest passes in order."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from engine.output import Output
from events.bus import Entry
from events.codec import CodecError, decode_envelope, decode_payload
from events.types import (
    Bar,
    ControlEvent,
    CorporateActionEvent,
    Envelope,
    FeedEnd,
    MarketSlice,
    ModelEvent,
    Quote,
    Refusal,
    SliceEnd,
    StanceEvent,
)

Validate = Callable[[Bar, int], str | None]
"""A bar and the last slice's close -> the code of why it is refused, or None: market.validation.Validator.check."""

ValidateQuote = Callable[[Quote, int], str | None]
"""The same of a quote: market.validation.Validator.check_quote."""

UNREADABLE = "UNREADABLE"
"""Code of an entry that is no event, counted with the refused bars."""

OTHER_CLOSE = "OTHER_CLOSE"
"""Code of a bar that closes at another instant than the slice it was sent in."""


class Incoming(NamedTuple):
    """An input, and when its last entry was added to the bus (wall ns; 0 where nobody measures)."""

    event: Output
    sent_ns: int = 0


class EntriesLostError(Exception):
    """The stream does not go on where the journal stands."""


class MarketIntake:
    """Makes slices of one feed's entries.

    Parameters
    ----------
    stream, position : where to go on; entries up to it are in the journal.
    stance_position : the last stance or corporate action that the journal holds; it may be after ``position``,
        inside an unfinished slice.
    last_close_ns : close of the last slice that the journal holds.
    validate, validate_quote : judge a bar, a quote.
    """

    def __init__(
        self, stream: str, position: str, stance_position: str, last_close_ns: int, validate: Validate,
        *, validate_quote: ValidateQuote = lambda _quote, _close: None,
    ) -> None:  # fmt: skip
        self.stream = stream
        self.cursor = position
        self._last_close_ns = last_close_ns
        self._stance_position = stance_position
        self._validate = validate
        self._validate_quote = validate_quote
        self._quotes: list[Quote] = []
        self._bars: list[Bar] = []
        self._refused: list[Refusal] = []

    def take(self, entry: Entry) -> Incoming | None:
        """Take the next entry; return the input that it completes.

        Raises
        ------
        EntriesLostError
            if it is not the one after the last.
        """
        if number(entry.id) != number(self.cursor) + 1:
            raise EntriesLostError(f"{self.stream} goes on with {entry.id}, the journal stands at {self.cursor}")
        self.cursor = entry.id
        try:
            envelope = decode_envelope(entry.event)
            return self._event(envelope, entry)
        except CodecError:
            self._refused.append(Refusal(code=UNREADABLE, symbol="", open_ns=0))
            return None

    def _event(self, envelope: Envelope, entry: Entry) -> Incoming | None:
        payload = decode_payload(envelope.type, envelope.payload)
        match payload:
            case Bar():
                self._bars.append(payload)
            case Quote():
                self._quotes.append(payload)
            case SliceEnd():
                return self._slice(payload.feed, payload.close_ns, entry.id, envelope, ended=False)
            case FeedEnd():
                return self._slice(payload.feed, payload.last_close_ns, entry.id, envelope, ended=True)
            case StanceEvent() | CorporateActionEvent():
                return self._aside(payload, entry, envelope)
        return None

    def _slice(self, feed: str, close_ns: int, position: str, envelope: Envelope, *, ended: bool) -> Incoming:
        close_ns = max(close_ns, self._last_close_ns)  # engine time never runs backwards
        market = MarketSlice(
            feed=feed,
            position=position,
            close_ns=close_ns,
            bars=self._valid(close_ns),
            quotes=self._valid_quotes(close_ns),
            refused=self._refused,
            ended=ended,
        )
        self._bars, self._quotes, self._refused, self._last_close_ns = [], [], [], close_ns
        return Incoming(Output("MarketSlice", envelope.agent_id or f"feed:{feed}", market), envelope.timestamp)

    def _valid(self, close_ns: int) -> list[Bar]:
        """Return the slice's bars in symbol order; of two revisions of one bar the higher one stays."""
        valid: dict[tuple[str, int], Bar] = {}
        for bar in self._bars:
            # a bar of a later close is not shown to the validator: remembered there, it would refuse the true one
            code = OTHER_CLOSE if bar.close_ns > close_ns else self._validate(bar, self._last_close_ns)
            if code is None and bar.close_ns != close_ns:
                code = OTHER_CLOSE
            if code is not None:
                self._refused.append(Refusal(code=code, symbol=bar.symbol, open_ns=bar.open_ns))
                continue
            key = (bar.symbol, bar.interval_s)
            if key not in valid or bar.revision >= valid[key].revision:
                valid[key] = bar
        return [valid[key] for key in sorted(valid)]

    def _valid_quotes(self, close_ns: int) -> list[Quote]:
        """Return the slice's quotes in order of time; one that is late or of a later close changes nothing."""
        valid = []
        for quote in self._quotes:
            late = quote.ts_ns > close_ns
            code = OTHER_CLOSE if late else self._validate_quote(quote, self._last_close_ns)
            if code is None:
                valid.append(quote)
            else:
                self._refused.append(Refusal(code=code, symbol=quote.symbol, open_ns=quote.ts_ns))
        return sorted(valid, key=lambda quote: (quote.ts_ns, quote.symbol))

    def _aside(self, payload: StanceEvent | CorporateActionEvent, entry: Entry, envelope: Envelope) -> Incoming | None:
        """Let an input pass that stands beside the bars; one that the journal holds already does not."""
        known = self._stance_position.partition(" ")
        if known[0] == self.stream and number(entry.id) <= number(known[2]):
            return None
        placed = msgspec.structs.replace(payload, position=f"{self.stream} {entry.id}")
        return Incoming(Output(envelope.type, envelope.agent_id, placed, envelope.confidence_score))


def control_input(entry: Entry) -> Output | None:
    """Return the input of an entry of control.worker: a control or model event; None for anything else."""
    try:
        envelope = decode_envelope(entry.event)
        payload = decode_payload(envelope.type, envelope.payload)
    except CodecError:
        return None
    if not isinstance(payload, ControlEvent | ModelEvent):
        return None
    placed = msgspec.structs.replace(payload, position=f"{entry.stream} {entry.id}")
    return Output(envelope.type, envelope.agent_id, placed, envelope.confidence_score)


def number(entry_id: str) -> int:
    """Return the feed's counter in an entry's id."""
    return int(entry_id.partition("-")[0])

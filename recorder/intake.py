"""From the bus to the station journal: read by consumer group, append, sync, and only then acknowledge."""

import base64
import logging
from collections.abc import Iterable

import msgspec
import redis

from events import bus
from events.codec import CodecError, decode_envelope, encode_payload
from events.journal import Entry, JournalReader, JournalWriter
from events.paths import DataPaths
from events.streams import STREAMS, market_stream
from events.types import BusPosition, UnreadableEntry

GROUP = "recorder"
ENTRIES_AT_ONCE = 2000  # of each stream
MARKET = "market.*"
FIXED = frozenset(
    stream.pattern for stream in STREAMS if GROUP in stream.readers and not stream.pattern.startswith("market.")
)
"""Streams of the table that the recorder reads; each feed's own is found on the bus."""

log = logging.getLogger(__name__)


class Intake:
    """Takes market and control streams into the station journal, each entry once.

    An entry that was synced but not acknowledged comes again: the last record of each batch in the journal says how far
    it holds every stream.
    """

    def __init__(self, paths: DataPaths, journal: JournalWriter) -> None:
        self._paths, self._journal = paths, journal
        self._streams: set[str] = set()
        self._again: set[str] = set()  # streams whose unacknowledged entries have not been asked for yet
        found = JournalReader(journal.folder).last_of("BusPosition")
        self.positions: dict[str, str] = dict(
            msgspec.json.decode(found.record.payload, type=BusPosition).streams if found else {}
        )
        self.taken = 0
        self.unreadable = 0

    def discover(self, client: redis.Redis, *, connected: bool = False) -> None:
        """Join every stream that is there, and the run's own even before its first entry.

        Parameters
        ----------
        connected : the connection is new: ask for what was delivered and never acknowledged, and look whether the bus
            still has what the journal has.
        """
        if connected:
            self._streams.clear()
        wanted = {*FIXED, *bus.streams_like(client, MARKET), *_feeds_of_run(self._paths)}
        for stream in sorted(wanted - self._streams):
            bus.ensure_group(client, stream, GROUP)
            self._check_position(client, stream)
            self._streams.add(stream)
            self._again.add(stream)

    def step(self, client: redis.Redis, block_ms: int | None) -> int:
        """Record what is there, waiting at most ``block_ms`` for it; return the number of entries taken.

        Raises
        ------
        redis.RedisError
            if the bus is away; what was not acknowledged comes again.
        JournalWriteFailed, JournalSyncFailed
            if the disk does not take it: the process must end.
        """
        if not self._streams:
            self.discover(client)
        if self._again:
            entries = bus.read_group(client, sorted(self._again), GROUP, count=ENTRIES_AT_ONCE, delivered_again=True)
            self._again = {entry.stream for entry in entries}
        else:
            try:
                entries = bus.read_group(client, sorted(self._streams), GROUP, count=ENTRIES_AT_ONCE, block_ms=block_ms)
            except redis.ResponseError as error:
                if "NOGROUP" in str(error) or "UNBLOCKED" in str(error):  # a stream was removed: join it anew
                    self._streams.clear()
                    return 0
                raise
        self._record(entries)
        if entries:
            bus.acknowledge(client, GROUP, entries)
        return len(entries)

    def lag(self, client: redis.Redis) -> int:
        """Return how many entries of the market streams are not in the journal."""
        return sum(bus.lag(client, stream, GROUP) for stream in self._streams - FIXED)

    def _record(self, entries: Iterable[bus.Entry]) -> None:
        positions = dict(self.positions)
        batch: list[Entry] = []
        for entry in entries:
            if bus.order(entry.id) <= bus.order(positions.get(entry.stream, "0-0")):
                continue
            positions[entry.stream] = entry.id
            batch.append(self._journal_entry(entry))
        if not batch:
            return
        position = encode_payload(BusPosition(streams=positions))
        self._journal.append([*batch, ("BusPosition", "recorder", None, None, position)])
        self._journal.sync()
        self.positions = positions
        self.taken += len(batch)

    def _journal_entry(self, entry: bus.Entry) -> Entry:
        try:
            event = decode_envelope(entry.event)
        except CodecError as error:
            self.unreadable += 1
            log.warning("entry %s of %s is no event: %s", entry.id, entry.stream, error)
            kept = UnreadableEntry(
                stream=entry.stream, entry=entry.id, content=base64.b64encode(entry.event).decode("ascii")
            )
            return "UnreadableEntry", "recorder", None, None, encode_payload(kept)
        return event.type, event.agent_id, event.confidence_score, event.competitive_score, bytes(event.payload)

    def _check_position(self, client: redis.Redis, stream: str) -> None:
        last, held = bus.last_id(client, stream), self.positions.get(stream, "0-0")
        if bus.order(last) < bus.order(held):
            log.error("stream %s ends at %s but the journal holds it up to %s: the bus was emptied", stream, last, held)
            if stream in FIXED:  # a feed sends what was lost again under the same ids, others go on with whatever ids
                self.positions[stream] = "0-0"


def _feeds_of_run(paths: DataPaths) -> set[str]:
    try:
        described = msgspec.json.decode((paths.run / "run.json").read_bytes(), type=_Run)
    except (OSError, msgspec.DecodeError):
        return set()
    return {market_stream(described.source.feed)} if described.source else set()


class _Source(msgspec.Struct):
    feed: str


class _Run(msgspec.Struct):
    source: _Source | None = None

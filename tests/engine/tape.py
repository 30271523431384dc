"""Slices of a real feed, and an engine that takes them with its own policies."""

from pathlib import Path

from engine.configuration import Configuration, Settings, Source, load_settings
from engine.output import Output
from events.types import Bar, MarketSlice, Quote, SliceEnd
from market.feeds.port import Feed, FeedRequest
from market.feeds.replay import feed as replay
from market.feeds.sample import feed as sample
from tests.engine.desk import Desk, encoded, start


def of_files(*paths: Path, symbols: tuple[str, ...] = ()) -> Feed:
    return replay.open_feed(FeedRequest(argument=",".join(map(str, paths)), symbols=symbols))


def of_sample() -> Feed:
    """The daily bars inside the arch wheel."""
    return sample.open_feed(FeedRequest())


def slices(feed: Feed) -> list[MarketSlice]:
    made: list[MarketSlice] = []
    for batch in feed.batches():
        bars = [event for event in batch.events if isinstance(event, Bar)]
        quotes = [event for event in batch.events if isinstance(event, Quote)]
        for event in batch.events:
            if isinstance(event, SliceEnd):
                position = f"{batch.first}-0"
                made.append(
                    MarketSlice(feed=event.feed, position=position, close_ns=event.close_ns, bars=bars, quotes=quotes)
                )
    return made


def configuration_of(feed: Feed, chosen: Settings | None = None) -> Configuration:
    described = feed.describe()
    return Configuration(
        version=1,
        mode="PAPER",
        settings=chosen or load_settings(),
        instruments=list(described.instruments),
        source=Source(feed="replay", label=described.label, detail=described.detail, interval_s=described.interval_s),
    )


class Tape:
    """Runs slices through one engine; ``record`` is what it said, byte for byte, slice by slice."""

    def __init__(self, chosen: Configuration) -> None:
        self.desk = Desk("NONE")
        self.desk.engine = start(chosen)
        self.outputs: list[list[Output]] = []

    def run(self, given: list[MarketSlice]) -> list[list[bytes]]:
        fresh = [self.desk.feed(market) for market in given]
        self.outputs += fresh
        return [encoded(each) for each in fresh]

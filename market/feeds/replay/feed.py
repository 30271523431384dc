"""`replay:A,B`: Parquet and CSV files of bars, merged by close, then symbol; files of quotes beside them."""

from pathlib import Path

from market.feeds.bar_table import Rows
from market.feeds.known import KnownFeed
from market.feeds.port import Feed, FeedError, FeedRequest
from market.feeds.quote_table import QuoteRows
from market.feeds.replay.reader import read_rows

NAME = "replay"


def normalise(argument: str) -> str:
    """Return the argument with absolute paths, so that it means the same in every process.

    Raises
    ------
    FeedError
        if it names no file, or one twice.
    """
    paths = [part.strip() for part in argument.split(",")]
    if not all(paths):
        raise FeedError(
            f'--feed = "{NAME}:{argument}" must name files, as {NAME}:bars.parquet or {NAME}:A.parquet,B.csv'
        )
    absolute = [str(Path(path).expanduser().absolute()) for path in paths]
    if len(set(absolute)) < len(absolute):
        raise FeedError(f'--feed = "{NAME}:{argument}" names a file twice; name each once')
    return ",".join(absolute)


def open_feed(request: FeedRequest) -> Feed:
    """Return the feed of the files that the request's argument names.

    Raises
    ------
    FeedError
        if a file, a symbol or the stances cannot be used.
    """
    paths = tuple(Path(part) for part in normalise(request.argument).split(","))
    names: list[str] = []
    parts = [read_rows(path, names) for path in paths]
    bars = [part for part in parts if isinstance(part, Rows)]
    quotes = [part for part in parts if isinstance(part, QuoteRows)]
    if not bars:
        raise FeedError(
            f"{paths[0]} holds quotes (bid_c, ask_c) and no bars; name the bars too, as {NAME}:BARS.parquet,{paths[0]}"
        )
    return KnownFeed(NAME, "REPLAY", bars, request, paths=paths, quotes=quotes)

"""`replay:A,B`: Parquet and CSV files, merged by close, then symbol."""

from pathlib import Path

from market.feeds.known import KnownFeed
from market.feeds.port import Feed, FeedError, FeedRequest
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
    return KnownFeed(NAME, "REPLAY", parts, request, paths)

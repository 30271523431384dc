"""Files that are sent while they are read."""

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from asgiref.sync import sync_to_async

PIECE = 500  # lines


class Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        """Return the text."""
        return text


async def later(lines: Iterator[str]) -> AsyncIterator[str]:
    """Yield the lines in pieces, read in the thread that holds the store's connection."""
    while piece := await sync_to_async(lambda: "".join(islice(lines, PIECE)))():
        yield piece

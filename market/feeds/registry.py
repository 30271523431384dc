"""Which feeds there are: a new one is a closed folder and one line here."""

from collections.abc import Callable
from types import ModuleType

from market.feeds.port import Feed, FeedError, FeedRequest
from market.feeds.replay import feed as replay
from market.feeds.sample import feed as sample
from market.feeds.simulated import feed as simulated

FEEDS: dict[str, ModuleType] = {
    "replay": replay,
    "sample": sample,
    "simulated": simulated,
}
"""Name to the module with ``normalise(argument) -> str`` and ``open_feed(request) -> Feed``."""


def split(text: str) -> tuple[str, str]:
    """Return name and normalised argument of "NAME" or "NAME:ARGUMENT".

    Raises
    ------
    FeedError
        if there is no such feed or it cannot take the argument.
    """
    name, _, argument = text.partition(":")
    if name not in FEEDS:
        raise FeedError(f'--feed = "{text}" is unknown; use {", ".join(FEEDS)} (replay:PATH names its files)')
    normalise: Callable[[str], str] = FEEDS[name].normalise
    return name, normalise(argument)


def open_feed(name: str, request: FeedRequest) -> Feed:
    """Return the feed of this name.

    Raises
    ------
    FeedError
        one sentence on what cannot be used.
    """
    opened: Feed = FEEDS[name].open_feed(request)
    return opened

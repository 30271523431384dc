"""What `run` asks of a source before anything is started: the run's description, or one sentence on what is wrong."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from market.feeds.port import Feed, FeedError, FeedRequest
from market.feeds.registry import open_feed, split
from market.instruments import Instrument

__all__ = ["FeedError", "RunSource", "describe_run", "feed_of_run", "inspect_source"]

BARS_OF_A_FULL_RUN = "max"


class RunOptions(Protocol):
    """The options of `run` that concern the source."""

    @property
    def feed(self) -> str: ...
    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def speed(self) -> str | float | None: ...
    @property
    def interval_s(self) -> int | None: ...
    @property
    def stances(self) -> Path | None: ...
    @property
    def actions(self) -> Path | None: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def until_done(self) -> bool: ...


class RunSource(msgspec.Struct, frozen=True, kw_only=True):
    """run.json: docs/architecture.md has its fields; ``source`` is engine.configuration.Source."""

    feed: str
    source: dict[str, Any]
    instruments: list[Instrument]
    symbols: list[str]
    speed: str | float
    stances: str | None
    interval_s: int | None
    port: int
    host: str
    until_done: bool
    requested_symbols: list[str]
    bars: int
    warnings: list[str]
    actions: str | None = None


def describe_run(options: RunOptions, strategies: Collection[str] | None = None) -> dict[str, Any]:
    """Return what run.json holds, as JSON-ready values.

    Everything is read and checked: the files, the symbols, the stances (whose strategies must be among ``strategies``
    where these are given). Without a speed a replay shows one bar length a second, and `max` if it runs until done.

    Raises
    ------
    FeedError
        one sentence on what cannot be used.
    """
    described = inspect_source(options, strategies)
    plain: dict[str, Any] = msgspec.to_builtins(described)
    return plain


def inspect_source(options: RunOptions, strategies: Collection[str] | None = None) -> RunSource:
    """Return the run's description; see :func:`describe_run`."""
    name, argument = split(options.feed)
    request = FeedRequest(argument, options.symbols, options.interval_s, options.stances, strategies, options.actions)
    description = open_feed(name, request).describe()
    speed = options.speed
    if speed is None:
        speed = BARS_OF_A_FULL_RUN if options.until_done else float(description.interval_s)
    return RunSource(
        feed=f"{name}:{argument}" if argument else name,
        source={
            "feed": name,
            "label": description.label,
            "detail": description.detail,
            "interval_s": description.interval_s,
            "waits": True,
        },
        instruments=list(description.instruments),
        symbols=list(description.symbols),
        speed=speed,
        stances=None if options.stances is None else str(options.stances),
        interval_s=options.interval_s,
        port=options.port,
        host=options.host,
        until_done=options.until_done,
        requested_symbols=list(options.symbols),
        bars=description.bars,
        warnings=list(description.warnings),
        actions=None if options.actions is None else str(options.actions),
    )


def feed_of_run(run: Mapping[str, Any]) -> Feed:
    """Return the feed that a run.json describes.

    Raises
    ------
    FeedError
        as :func:`describe_run`: a file may have changed or gone since.
    """
    name, argument = split(str(run["feed"]))
    stances, actions = run.get("stances"), run.get("actions")
    return open_feed(
        name,
        FeedRequest(
            argument=argument,
            symbols=tuple(run.get("symbols") or ()),
            interval_s=run.get("interval_s"),
            stances=None if stances is None else Path(stances),
            actions=None if actions is None else Path(actions),
        ),
    )

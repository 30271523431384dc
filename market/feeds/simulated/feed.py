"""`simulated[:seed=7,sessions=20,start=2024-01-02]`: minute bars of eight made-up shares in New York sessions."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from events.types import Bar, StanceEvent
from market.calendars import LAST_DATE, Session, next_session, session_on, sessions
from market.feeds.merge import Slice, merge
from market.feeds.port import Batch, Feed, FeedError, FeedRequest, Health, SourceDescription
from market.feeds.simulated.model import Float64Array, sessions_of_bars
from market.feeds.stances import read_stances
from market.instruments import SIMULATED_EXCHANGE, instrument_for

NAME = "simulated"
CALENDAR = "XNYS"
MINUTE_NS = 60_000_000_000
SYMBOLS = {
    "SIM-ALDER": (42.0, 9_000.0),
    "SIM-BIRCH": (118.0, 5_000.0),
    "SIM-CEDAR": (260.0, 2_500.0),
    "SIM-HAZEL": (17.5, 20_000.0),
    "SIM-LARCH": (75.0, 6_000.0),
    "SIM-MAPLE": (510.0, 1_200.0),
    "SIM-ROWAN": (33.0, 12_000.0),
    "SIM-WILLOW": (160.0, 4_000.0),
}
"""Name to (first price in USD, mean volume a minute)."""
DEFAULTS = {"seed": "1", "sessions": "2500", "start": "2024-01-02"}
MOST_SESSIONS = 5000
MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Plan:
    """What the argument asks for."""

    seed: int
    sessions: int
    start: str

    def __str__(self) -> str:
        """Return it as an argument."""
        return f"seed={self.seed},sessions={self.sessions},start={self.start}"


def normalise(argument: str) -> str:
    """Return the argument complete with its defaults.

    Raises
    ------
    FeedError
        if it names an unknown setting or a value out of range.
    """
    return str(_plan(argument))


def open_feed(request: FeedRequest) -> Feed:
    """Return the made-up market.

    Raises
    ------
    FeedError
        if the argument, a symbol, the interval or the stances cannot be used.
    """
    return SimulatedFeed(_plan(request.argument), request)


class SimulatedFeed:
    """Sessions generated one by one, in order; what a resuming feed has sent is generated again and thrown away."""

    name = NAME

    def __init__(self, plan: Plan, request: FeedRequest) -> None:
        if request.interval_s not in {None, 60}:
            raise FeedError(f"--interval = {request.interval_s}: the simulated market has bars of 60 s only")
        absent = [symbol for symbol in request.symbols if symbol not in SYMBOLS]
        if absent:
            raise FeedError(
                f"--symbols: {', '.join(absent)} not in the simulated market, which has {', '.join(SYMBOLS)}"
            )
        if request.actions is not None:
            raise FeedError(
                f"--actions = {request.actions}: made-up companies split nothing; use it with replay or sample"
            )
        self._plan = plan
        self._symbols = sorted(request.symbols or SYMBOLS)
        self._sessions = _sessions(plan)
        self._stances: tuple[StanceEvent, ...] = ()
        if request.stances is not None:
            self._stances = read_stances(request.stances, self._symbols, request.strategies)

    def describe(self) -> SourceDescription:
        """Return what the made-up market holds."""
        return SourceDescription(
            label="SIMULATED",
            detail=str(self._plan),
            instruments=tuple(
                instrument_for(symbol, SIMULATED_EXCHANGE, SYMBOLS[symbol][0]) for symbol in self._symbols
            ),
            intervals_s=dict.fromkeys(self._symbols, 60),
            bars=sum(_minutes(session) for session in self._sessions) * len(self._symbols),
        )

    def batches(self, from_ordinal: int = 1) -> Iterator[Batch]:
        """Yield everything from an ordinal on."""
        return merge(NAME, self._slices(), self._stances, from_ordinal)

    def history(self, start_ns: int, end_ns: int) -> Iterator[Bar]:
        """Yield the bars that close in (start_ns, end_ns]."""
        for piece in self._slices():
            if piece.close_ns > end_ns:
                return
            if piece.close_ns > start_ns:
                yield from piece.bars()

    def health(self) -> Health:
        """Return that it can be read: it needs nothing."""
        return Health(ok=True, detail=str(self._plan))

    def _slices(self) -> Iterator[Slice]:
        names = list(SYMBOLS)
        shown = [(symbol, names.index(symbol)) for symbol in self._symbols]
        prices = np.array([price for price, _ in SYMBOLS.values()])
        volumes = np.array([volume for _, volume in SYMBOLS.values()])
        lengths = [_minutes(session) for session in self._sessions]
        generated = sessions_of_bars(self._plan.seed, lengths, prices, volumes)
        for session, numbers in zip(self._sessions, generated, strict=True):
            for minute in range(numbers.shape[1]):
                open_ns = session.open_ns + minute * MINUTE_NS

                def bars(minute: int = minute, open_ns: int = open_ns, numbers: Float64Array = numbers) -> list[Bar]:
                    return [_bar(symbol, open_ns, numbers[:, minute, column].tolist()) for symbol, column in shown]

                yield Slice(open_ns + MINUTE_NS, len(shown), bars)


def _bar(symbol: str, open_ns: int, ohlcv: list[float]) -> Bar:
    return Bar(
        feed=NAME,
        symbol=symbol,
        open_ns=open_ns,
        interval_s=60,
        open=ohlcv[0],
        high=ohlcv[1],
        low=ohlcv[2],
        close=ohlcv[3],
        volume=ohlcv[4],
        close_ns=open_ns + MINUTE_NS,
        exchange=SIMULATED_EXCHANGE,
        data_source=NAME,
    )


def _plan(argument: str) -> Plan:
    given = dict(DEFAULTS)
    for part in filter(None, argument.split(",")):
        name, equals, value = part.partition("=")
        if name not in DEFAULTS or not equals:
            raise FeedError(
                f'--feed = "{NAME}:{argument}": {part} is unknown; use {NAME}:seed=7,sessions=20,start=2024-01-02'
            )
        given[name] = value
    return Plan(
        seed=_whole("seed", given["seed"], 0, MOST_SEED),
        sessions=_whole("sessions", given["sessions"], 1, MOST_SESSIONS),
        start=_start(given["start"]),
    )


def _whole(name: str, text: str, low: int, high: int) -> int:
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not low <= value <= high:
        raise FeedError(f'--feed {NAME}: {name} = "{text}" must be a whole number from {low} to {high}')
    return value


def _start(text: str) -> str:
    try:
        date = str(np.datetime64(text, "D"))
    except ValueError:
        date = ""
    if not "1990-01-01" <= date <= "2029-12-31":
        raise FeedError(f'--feed {NAME}: start = "{text}" must be a date from 1990-01-01 to 2029-12-31')
    return date


def _sessions(plan: Plan) -> list[Session]:
    start_ns = int(np.datetime64(plan.start, "ns").astype(np.int64))
    first = session_on(CALENDAR, plan.start) or next_session(CALENDAR, start_ns)
    known = sessions(CALENDAR, first.open_ns, int(np.datetime64(LAST_DATE, "ns").astype(np.int64)))
    return [known.session(index) for index in range(min(plan.sessions, len(known)))]


def _minutes(session: Session) -> int:
    return (session.close_ns - session.open_ns) // MINUTE_NS

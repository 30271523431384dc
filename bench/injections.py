"""What acts when something goes terribly wrong on real bars: a flash crash, a day of -20 %, NaNs, a runaway strategy.

Each run drives the engine, the bar validator and the paper broker's fills over one real week of minutes, with the event
laid over the bars at a chosen minute. Policies speak as always; in the runs of crashes all strategies are made to hold
all that they may, so that there is something to lose. It prints which breaker acted first, after how many bars, what
equity was lost from the event on, and how many orders were sent.

example: ./station bench injections --data ../shared/data
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.configuration import Configuration, Source, load_settings
from engine.engine import Engine
from engine.layout import STATES
from engine.output import Output
from events.types import Bar, BrokerEvent, ControlEvent, MarketSlice, Refusal, SliceEnd, TimerEvent
from market.feeds.port import Feed, FeedRequest
from market.feeds.replay import feed as replay
from market.validation import Validator

ROOT = Path(__file__).resolve().parent.parent
WEEK = "us_min1_2019-02-11_2019-02-15_24sym.parquet"
SYMBOLS = ("AAPL", "AMZN", "BAC", "JPM", "MSFT", "MU", "SPY", "TSLA")
AT = 500  # slice of the event: the second session's second hour
AFTER = 120  # slices that are run from it on

Change = Callable[[int, Bar], Bar]


def main(argv: list[str]) -> int:
    """Run all and print a table; return 1 where an event met no breaker."""
    parser = argparse.ArgumentParser(prog="bench injections", description=__doc__.partition("\n")[0])
    data = Path(os.environ.get("STATION_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=data, help=f"folder of the market data ({data})")
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    given = parser.parse_args(argv)
    if not (given.data / WEEK).is_file():
        parser.error(f"--data = {given.data} holds no {WEEK}")
    feed = replay.open_feed(FeedRequest(argument=str(given.data / WEEK), symbols=SYMBOLS))
    rows = [run(name, feed) for name in EVENTS]
    print(json.dumps(rows) if given.json else "\n".join(table(rows)))
    return 0 if all(row["acted"] for row in rows) else 1


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the rows as a Markdown table."""
    lines = [
        "| Event | What acted | After | State | Equity lost | Orders sent | Denied |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        acted = ", ".join(row["acted"][:4]) + (f" and {len(row['acted']) - 4} more" if len(row["acted"]) > 4 else "")
        lines.append(
            f"| {row['event']} | {acted} | {row['bars']} bar{'s' if row['bars'] != 1 else ''} | {row['state']} | "
            f"{row['lost']:,.0f} ({row['lost_share']:.2%}) | {row['orders']} | {row['denied']} |"
        )
    return lines


def run(name: str, feed: Feed, at: int = AT) -> dict[str, Any]:
    """Run one event over a feed; ``at`` is its slice, counted from 0."""
    event = EVENTS[name]
    station = Station(feed, event)
    for k, market in enumerate(slices(feed, at + event.after)):
        station.step(k, at, market)
    return station.result(name)


def slices(feed: Feed, count: int) -> Iterator[tuple[int, list[Bar]]]:
    """Yield the first closes of a feed with their bars."""
    made = 0
    for batch in feed.batches():
        bars = [event for event in batch.events if isinstance(event, Bar)]
        for end in batch.events:
            if isinstance(end, SliceEnd) and made < count:
                made += 1
                yield end.close_ns, bars


@dataclasses.dataclass(frozen=True)
class Event:
    """``change`` bends bar k slices after the event began; ``invested``: all strategies hold all they may before."""

    title: str
    change: Change
    invested: bool = False
    runaway: bool = False
    after: int = AFTER


class Station:
    """The engine with the worker's loop around it, and an event that is laid over its bars."""

    def __init__(self, feed: Feed, event: Event) -> None:
        described = feed.describe()
        self.configuration = Configuration(
            version=1, mode="PAPER", settings=load_settings(), instruments=list(described.instruments),
            source=Source(
                feed=feed.name, label=described.label, detail=described.detail,
                interval_s=min(described.intervals_s.values()),
            ),
        )  # fmt: skip
        self.engine, self.event = Engine(self.configuration), event
        raw = msgspec.Raw(msgspec.json.encode(self.configuration))
        for action in ("configure", "reconciled"):
            self.engine.on_control(ControlEvent(
                action=action, scope="all", target="", actor="bench", reason="bench", request_id=action, content=raw,
            ))  # fmt: skip
        self.validator, self.last_ns = Validator(described.instruments), 0
        self.orders = self.denied = 0
        self.equity = self.least = 0.0
        self.acted: list[str] = []
        self.first = -1

    def step(self, k: int, at: int, market: tuple[int, list[Bar]]) -> None:
        """Take one close as the worker does."""
        close_ns, bars = market
        since = k - at
        if since == 0:
            self.equity = self.least = float(self.engine.state.account[0]["equity"])
            self.orders = self.denied = 0
        self._aim(k, since)
        if since >= 0:
            bars = [self.event.change(since, bar) for bar in bars]
        slice_ = self._validated(close_ns, bars)
        for refusal in slice_.refused if since >= 0 else ():
            self._acts(f"bars refused ({refusal.code})", since)
        outputs = self._feed(slice_)
        for output in outputs:
            self._note(output, since)
        if since >= 0:
            self.least = min(self.least, float(self.engine.state.account[0]["equity"]))

    def _aim(self, k: int, since: int) -> None:
        """Set the targets of an invested account, or of the strategy that runs away."""
        state = self.engine.state
        if k == 0 and (self.event.invested or self.event.runaway):
            for run in state.runs:
                run.policy = dataclasses.replace(run.policy, loop=lambda *_: None)
        if self.event.invested:
            state.books["target"] = 1.0
        if self.event.runaway and since >= 0:
            state.books["target"][state.rows["momentum"]] = 1.0 if since % 2 else -1.0

    def _validated(self, close_ns: int, bars: list[Bar]) -> MarketSlice:
        """Refuse bars as the worker's intake does."""
        good, refused = [], []
        for bar in bars:
            code = self.validator.check(bar, self.last_ns)
            if code:
                refused.append(Refusal(code=code, symbol=bar.symbol, open_ns=bar.open_ns))
            else:
                good.append(bar)
        self.last_ns = close_ns
        return MarketSlice(feed="bench", position="0-0", close_ns=close_ns, bars=good, refused=refused)

    def _feed(self, market: MarketSlice) -> list[Output]:
        engine, outputs = self.engine, []
        while (instant := engine.due(market.close_ns)) is not None:
            outputs += engine.on_timer(TimerEvent(instant_ns=instant))
        for fill in engine.simulated_fills(market, "paper"):
            outputs += engine.on_fill(fill)
        outputs += engine.on_slice(market)
        for output in list(outputs):
            kind = {"INTENT": "ACCEPTED", "PENDING_CANCEL": "CANCELED"}.get(getattr(output.payload, "state", ""))
            if output.type == "OrderEvent" and kind:
                outputs += engine.on_order_event(BrokerEvent(
                    broker="paper", order_id=output.payload.order_id, kind=kind, broker_ns=market.close_ns
                ))  # fmt: skip
        return outputs

    def _note(self, output: Output, since: int) -> None:
        if output.type == "OrderEvent" and output.payload.state == "INTENT":
            self.orders += 1
        elif output.type == "OrderEvent" and output.payload.state == "RISK_DENIED":
            self.denied += 1
            if since >= 0 and not self.event.invested:
                self._acts(output.payload.reason, since)
        elif output.type == "RiskAlert" and since >= 0 and output.payload.severity == "critical":
            self._acts(f"{output.payload.rule} {output.payload.scope.partition(':')[2] or 'station'}", since)

    def _acts(self, what: str, since: int) -> None:
        if self.first < 0:
            self.first = since
        if what not in self.acted:
            self.acted.append(what)

    def result(self, name: str) -> dict[str, Any]:
        """Return what happened from the event on."""
        account = self.engine.state.account[0]
        return {
            "event": self.event.title, "name": name, "acted": self.acted, "bars": self.first + 1,
            "state": STATES[int(account["state"])], "lost": round(self.equity - self.least, 2),
            "lost_share": (self.equity - self.least) / self.equity, "orders": self.orders, "denied": self.denied,
            "off": [n for n, row in self.engine.view()["strategies"].items() if row["state"] != "active"],
        }  # fmt: skip


def scaled(bar: Bar, factor: float) -> Bar:
    """Return a bar at other prices."""
    prices = {name: round(getattr(bar, name) * factor, 4) for name in ("open", "high", "low", "close")}
    return msgspec.structs.replace(bar, **prices)


def flash_crash(since: int, bar: Bar) -> Bar:
    """Every price falls 9 % within three minutes and is back ten minutes later, as on 2010-05-06."""
    fall = (0.03, 0.06, 0.09, 0.09, 0.08, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01)
    return scaled(bar, 1.0 - (fall[since] if since < len(fall) else 0.0))


def black_day(since: int, bar: Bar) -> Bar:
    """Every price falls by a sixth of a percent each minute, 20 % in two hours, and stays, as on 1987-10-19."""
    return scaled(bar, 1.0 - 0.20 * min(since + 1, 120) / 120)


def no_numbers(since: int, bar: Bar) -> Bar:  # noqa: ARG001 - one shape for all events
    """Every price is NaN: JSON carries none."""
    return msgspec.structs.replace(bar, open=None, high=None, low=None, close=None)


def unchanged(since: int, bar: Bar) -> Bar:  # noqa: ARG001
    """Leave the market as it was."""
    return bar


EVENTS = {
    "flash_crash": Event("flash crash: all symbols -9 % in 3 minutes, back in 10", flash_crash, invested=True),
    "black_day": Event("-20 % day: all symbols, evenly over 2 hours", black_day, invested=True),
    "nan_feed": Event("feed of NaNs, all symbols", no_numbers, invested=True),
    "runaway": Event("runaway strategy: from all long to all short at every tick", unchanged, runaway=True, after=700),
}

"""A week of real minutes three times: at once, TWAP and participation; and the slippage model against the spread's.

The same decisions are not made: what is not filled yet changes what is wanted next. So the shortfall is that of each
run's own decisions, with its standard error.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from agents.execution.fitting import Request, fit
from agents.execution.orders import Collector, collect
from agents.execution.refit import observations
from agents.execution.shortfall import PARTS, report
from engine.configuration import Configuration, Execution, Source, load_settings
from engine.output import Output
from events.journal import JournalWriter
from events.reader import JournalReader
from events.types import Bar, ControlEvent, MarketSlice, SliceEnd
from market.feeds.port import Feed, FeedRequest
from market.feeds.replay import feed as replay
from worker.core import Core
from worker.keeper import Keeper
from worker.kill import KillSwitch
from worker.machine import Machine
from worker.orders import OrderDesk

WEEK = "us_min1_2019-02-11_2019-02-15_24sym.parquet"
EIGHT = ("AAPL", "MSFT", "AMZN", "BAC", "JPM", "SPY", "TSLA", "MU")
RUNS = {
    "market": Execution(),
    "twap": Execution(algorithm="twap"),
    "twap above 0.5 %": Execution(algorithm="twap", slice_above=0.005),
    "participation": Execution(algorithm="participation", participation=0.005),
}


def main(argv: list[str]) -> int:
    """Print a line a run, or one JSON object; 0 always."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=Path, default=Path("../shared/data") / WEEK)
    parser.add_argument("--symbols", default=",".join(EIGHT), help="empty for all")
    parser.add_argument("--cash", type=float, default=1_000_000.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    symbols = tuple(filter(None, given.symbols.split(",")))
    results: dict[str, Any] = {}
    for name, execution in RUNS.items():
        began = time.monotonic()
        feed = replay.open_feed(FeedRequest(argument=str(given.bars), symbols=symbols))
        with tempfile.TemporaryDirectory() as folder:
            core, collected = run(feed, execution, given.cash, Path(folder))
        equity = core.machine.in_force().view()["account"]["equity"]
        results[name] = figures(collected) | {"equity": equity, "seconds": time.monotonic() - began}
        if name == "market":
            results["model"] = against_spread(collected)
    if given.json:
        print(json.dumps(results))
        return 0
    for name, found in results.items():
        print(name, *(f"{key} {value:,.4g}" if value < 1e4 else f"{key} {value:,.2f}" for key, value in found.items()))
    return 0


def figures(collected: Collector) -> dict[str, float]:
    """Return counts, the share of decisions that were sliced, and the shortfall in basis points by part."""
    found = report(collected.decisions(), collected.instruments, collected.currency)
    total = found.total
    sliced = sum(order["order_id"].startswith("P") for order in found.orders)
    return {
        "decisions": total.orders,
        "sliced_share": sliced / max(1, total.orders),
        "orders": len(collected.orders),
        "fills": total.fills,
        "value": total.value,
        "shortfall_bps": total.total.bps or 0.0,
        "standard_error_bps": total.total.standard_error_bps or 0.0,
    } | {f"{part}_bps": total.parts[part].bps or 0.0 for part in PARTS}


def against_spread(collected: Collector) -> dict[str, float]:
    """Return the model's error out of sample beside the spread model's; ``used`` 1 where it would be."""
    given = observations(list(collected.orders.values()))
    model = fit(Request(version=1, fitted_through_ns=0, observations=given))
    walked = msgspec.structs.asdict(model.walk_forward) if model.walk_forward is not None else {}
    return {"observations": len(given), "used": float(bool(model.onnx)), **walked}


def run(feed: Feed, execution: Execution, cash: float, folder: Path) -> tuple[Core, Collector]:
    """Trade a feed in the worker's core and return it with what its journal tells of orders."""
    described, settings = feed.describe(), load_settings()
    settings = msgspec.structs.replace(
        settings, execution=execution, account=msgspec.structs.replace(settings.account, initial_cash=cash)
    )
    configuration = Configuration(
        version=1, mode="PAPER", settings=settings, instruments=list(described.instruments),
        source=Source(feed="replay", label=described.label, detail="bench", interval_s=described.interval_s),
    )  # fmt: skip
    journal = JournalWriter(folder / "execution", "execution", "bench")
    switch = KillSwitch(folder / "kill" / "KILL")
    core = Core(Machine(), Keeper(journal), switch, OrderDesk(switch))
    content = msgspec.Raw(msgspec.json.encode(configuration))
    core.apply(Output("ControlEvent", "bench", ControlEvent(
        action="configure", scope="all", target="", actor="bench", reason="bench", request_id="c", content=content,
    )))  # fmt: skip
    core.reconcile()
    for batch in feed.batches():
        bars = [event for event in batch.events if isinstance(event, Bar)]
        for event in batch.events:
            if isinstance(event, SliceEnd):
                market = MarketSlice(feed=event.feed, position="1-0", close_ns=event.close_ns, bars=bars)
                core.apply(Output("MarketSlice", "bench", market))
    core.keeper.sync()
    return core, collect(JournalReader(folder / "execution").read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The market: watchlist with ages, and one symbol's candles, volume and fills."""

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from controlroom.live.source import read_now
from controlroom.pages.ranges import LIVE, TimeRange, range_of
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from market.store.port import StoreUnavailableError, TradeFilter

INTERVALS = {60: "1 min", 300: "5 min", 900: "15 min", 3600: "1 h", 86400: "1 day"}
MOST_BARS = 3000
MOST_FILLS = 1000


def _interval_of(request: HttpRequest, shortest: int) -> int:
    """Return the bars' length that the URL asks for, else the shortest there is."""
    asked = request.GET.get("interval", "")
    wanted = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 8 else shortest
    return wanted if wanted >= shortest and wanted % shortest == 0 else shortest


def _offered(shortest: int) -> list[tuple[int, str]]:
    lengths = sorted({shortest, *(length for length in INTERVALS if length >= shortest and length % shortest == 0)})
    return [(length, INTERVALS.get(length, f"{length} s")) for length in lengths]


@require_GET
def page(request: HttpRequest, symbol: str = "") -> HttpResponse:
    """Show the market, beginning with the first symbol."""
    now = read_now()
    view = now[0].view or {}
    known = sorted(view.get("symbols", {}))
    if symbol and known and symbol not in known:
        raise Http404(f"symbol {symbol!r} is not in this run; there are {', '.join(known)}")
    symbol = symbol or (known[0] if known else "")
    shortest = int((view.get("source") or {}).get("interval_s") or 60)
    interval = _interval_of(request, shortest)
    span = range_of(request, view.get("engine_ns"), "day")
    topics = ("overview", f"market.{symbol}") if symbol else ("overview",)
    context: dict[str, Any] = {
        "symbol": symbol,
        "topic": f"market.{symbol}",
        "interval": interval,
        "intervals": [(length, label, urlencode({"interval": length})) for length, label in _offered(shortest)],
        "range": span,
        "ranges": LIVE,
        "query": f"{span.query}&interval={interval}",
    }
    return station_page(request, "pages/market.html", page="Market", topics=topics, context=context, now=now)


@require_GET
def bars(request: HttpRequest, symbol: str) -> HttpResponse:
    """Return a symbol's bars and fills as columns, oldest first; ``after`` (ms) asks only for what is not older."""
    view = read_now()[0].view or {}
    shortest = int((view.get("source") or {}).get("interval_s") or 60)
    span = range_of(request, view.get("engine_ns"), "day")
    after = request.GET.get("after", "")
    start_ns = (
        max(span.start_ns, int(after) * 1_000_000)
        if after.isascii() and after.isdigit() and len(after) < 15
        else span.start_ns
    )
    span = TimeRange(span.name, start_ns, span.end_ns)
    try:
        return JsonResponse(_columns(symbol, _interval_of(request, shortest), span))
    except StoreUnavailableError as error:
        return JsonResponse({"error": str(error)}, status=503)


def _columns(symbol: str, interval: int, span: TimeRange) -> dict[str, Any]:
    store = station_store()
    rows = store.bars(symbol, interval, span.start_ns, span.end_ns, MOST_BARS)
    fills = store.fills(TradeFilter(symbol=symbol, start_ns=span.start_ns, end_ns=span.end_ns), limit=MOST_FILLS).rows
    return {
        "at_ms": [row.ts_ns // 1_000_000 for row in rows],
        **{name: [getattr(row, name) for row in rows] for name in ("open", "high", "low", "close", "volume")},
        "fills": [
            {
                "at_ms": fill.engine_ns // 1_000_000,
                "price": fill.price,
                "lots": fill.lots,
                "side": fill.side,
                "strategies": fill.strategy_id,
            }
            for fill in reversed(fills)
        ],
    }

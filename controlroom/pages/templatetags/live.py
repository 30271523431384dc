"""Tags that write a value once for the server and for the socket: the element carries where its value comes from.

``{% field "header" "kpi.equity" "money" %}`` shows a value of a topic's document, ``{% cell "qty" "position" %}`` one
of the row around it, ``{% rows "overview" "orders" "pages/rows/order.html" %}`` all rows with the empty one that the
browser copies.
"""

from collections.abc import Mapping
from typing import Any

from django import template
from django.template import Context
from django.template.loader import get_template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlroom.live.patch import Document
from controlroom.pages.ages import age as age_of
from controlroom.pages.ages import bars_age, stale_beyond
from controlroom.pages.formats import FORMATS, NOTHING, Shown, show

register = template.Library()
BEAT_LIMIT_MS = 3000


def at(document: Mapping[str, Any], path: str) -> Any:
    """Return what lies at a dotted path, None if nothing does."""
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def element(tag: str, attributes: dict[str, Any], text: str) -> SafeString:
    """Return an element with the attributes that are not None."""
    given = format_html_join("", ' {}="{}"', ((name, value) for name, value in attributes.items() if value is not None))
    return format_html("<{}{}>{}</{}>", tag, given, text, tag)


def _value_attributes(value: Any, shown: Shown) -> dict[str, Any]:
    raw = None if value is None else (str(value).lower() if isinstance(value, bool) else value)
    return {"data-value": raw, **{f"data-{name}": attribute for name, attribute in shown.attributes.items()}}


@register.simple_tag(takes_context=True)
def field(context: Context, topic: str, path: str, form: str = "text", *, css: str | None = None) -> SafeString:
    """Show a value of a topic's document."""
    value = at(context["documents"].get(topic, {}), path)
    shown = show(value, form)
    place = {"class": css, "data-topic": topic, "data-field": path, "data-format": form}
    return element("span", place | _value_attributes(value, shown), shown.text)


@register.simple_tag(takes_context=True)
def cell(context: Context, path: str, form: str = "text", *, css: str | None = None) -> SafeString:
    """Show a value of the row."""
    value = at(context["row"], path)
    shown = show(value, form) if form in FORMATS else Shown("")
    text = "" if value is None and context.get("blank") else shown.text
    place = {"class": css, "data-cell": path, "data-format": form}
    return element("span", place | _value_attributes(value, shown), text)


@register.simple_tag
def shown_value(shown: Shown, value: Any) -> SafeString:
    """Show a value that the view has formatted."""
    return element("span", _value_attributes(value, shown), shown.text)


@register.simple_tag
def shown_as(value: Any, form: str) -> SafeString:
    """Show a value that no topic carries."""
    return shown_value(show(value, form), value)


@register.simple_tag(takes_context=True)
def since(context: Context, stamp: int) -> SafeString:
    """Show how long ago an instant was when the page was made."""
    return shown_as(max(0, context["now_ms"] - stamp), "duration")


@register.simple_tag(takes_context=True)
def strategy_pnl(context: Context, name: str) -> SafeString:
    """Show a strategy's profit and loss, as the positions' document has it."""
    return field(context, "positions", f"strategies.by.{name}.pnl", "gain")


@register.simple_tag(takes_context=True)
def number(context: Context, path: str, form: str, css: str = "") -> SafeString:
    """Show a number of the row in a cell of its own, aligned right."""
    return format_html('<td class="{}">{}</td>', f"n {css}".strip(), cell(context, path, form))


@register.simple_tag(takes_context=True)
def row_age(context: Context, path: str = "arrival_ms") -> SafeString:
    """Show how long ago the row's bar arrived."""
    row, header = context["row"], context["header"]
    text, stale = bars_age(header, row.get(path), context["now_ms"], in_session=bool(row.get("in_session")))
    place = {"class": "age", "data-row-age": path, "data-session": str(bool(row.get("in_session"))).lower()}
    return element(
        "span",
        {**place, "data-value": row.get(path), "data-stale": str(stale).lower()},
        "" if context.get("blank") else text,
    )


@register.simple_tag(takes_context=True)
def stored_age(context: Context, stamp: int, limit_ms: int | None = None) -> SafeString:
    """Show how old what was stored is; with a limit, the word STALE beyond it."""
    limit = float("inf") if limit_ms is None else limit_ms
    text, stale = stale_beyond(max(0, context["now_ms"] - stamp), limit)
    place = {"class": "age", "data-row-age": "", "data-limit": "Infinity" if limit_ms is None else limit}
    return element("span", {**place, "data-value": stamp, "data-stale": str(stale).lower()}, text)


@register.simple_tag(takes_context=True)
def meter(context: Context, path: str, label: str) -> SafeString:
    """Draw a share of a limit of the row as a bar; the words and the number stand beside it."""
    value = at(context["row"], path)
    place = {"min": 0, "max": 1, "low": 0.8, "high": 1, "optimum": 0, "value": value or 0, "data-meter": path}
    return element("meter", {**place, "aria-label": label}, "")


@register.simple_tag(takes_context=True)
def beat(context: Context, path: str = "beat_ms") -> SafeString:
    """Show how long ago the row's process gave a sign of life."""
    stamp = context["row"].get(path)
    text, stale = stale_beyond(max(0, context["now_ms"] - stamp), BEAT_LIMIT_MS) if stamp else (NOTHING, False)
    place = {
        "class": "age",
        "data-row-age": path,
        "data-limit": BEAT_LIMIT_MS,
        "data-value": stamp,
        "data-stale": str(stale).lower(),
    }
    return element("span", place, "" if context.get("blank") else text)


@register.simple_tag(takes_context=True)
def age(context: Context, name: str) -> SafeString:
    """Show how old a part of the station is, with the word STALE beyond its limit."""
    text, stale = age_of(context["header"], name, context["now_ms"])
    return element("span", {"class": "age", "data-age": name, "data-stale": str(stale).lower()}, text)


@register.simple_tag(takes_context=True)
def rows(
    context: Context, topic: str, path: str, row_template: str, *, body: str = "tbody", css: str | None = None
) -> SafeString:
    """Show a table's rows, with the blank row that the browser copies for new ones."""
    table: Document = at(context["documents"].get(topic, {}), path) or {}
    loaded = get_template(row_template)
    shared: dict[str, Any] = dict(context.flatten())  # type: ignore[arg-type]  # names of variables

    def drawn(row: Document, *, blank: bool) -> SafeString:
        return SafeString(loaded.render({**shared, "row": row, "blank": blank}))

    found = SafeString("".join(drawn(table["by"][key], blank=False) for key in table.get("order", [])))
    content = format_html("<template>{}</template>{}", drawn({}, blank=True), found)
    return element(body, {"class": css, "data-topic": topic, "data-rows": path}, content)


@register.simple_tag(takes_context=True)
def when_empty(context: Context, topic: str, path: str, sentence: str) -> SafeString:
    """Show a sentence while a table has no rows."""
    table: Document = at(context["documents"].get(topic, {}), path) or {}
    hidden = SafeString(" hidden" if table.get("order") else "")
    return format_html('<p class="empty" data-topic="{}" data-empty="{}"{}>{}</p>', topic, path, hidden, sentence)


@register.simple_tag(takes_context=True)
def spark(context: Context, series: str) -> SafeString:
    """Draw the latest values of a number as a small line."""
    return _sparkline(series, context["history"].get(series, ()))


@register.simple_tag(takes_context=True)
def row_spark(context: Context, prefix: str, key: str, suffix: str) -> SafeString:
    """Draw the latest values of a number of the row."""
    name = context["row"].get(key)
    return _sparkline(
        f"{prefix}.{name}.{suffix}" if name else "",
        context["history"].get(f"{prefix}.{name}.{suffix}", ()),
        f"{prefix}.*.{suffix}",
    )


def _sparkline(series: str, values: tuple[float, ...], pattern: str | None = None) -> SafeString:
    trend = None if len(values) < 2 else "up" if values[-1] >= values[0] else "down"
    place = {"class": "spark", "data-spark": series, "data-spark-row": pattern, "data-trend": trend}
    place |= {"viewBox": "0 0 100 20", "preserveAspectRatio": "none", "aria-hidden": "true"}
    given = format_html_join("", ' {}="{}"', ((name, value) for name, value in place.items() if value is not None))
    return format_html('<svg{}><polyline points="{}"/></svg>', given, points(values))


def points(values: tuple[float, ...]) -> str:
    """Return a polyline of 100 by 20 for these values, as ``points`` in static/station.js draws it."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = 100 / (len(values) - 1)
    return " ".join(f"{index * step:.1f},{19 - (value - low) / span * 18:.1f}" for index, value in enumerate(values))

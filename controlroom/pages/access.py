"""Which permission each page asks for; controlroom/access/routes.py reads this table."""

from controlroom.access.routes import SIGNED_IN, Rule, holding

ROUTES: dict[str, Rule] = {
    "overview": holding("view_overview"),
    "equity-data": holding("view_overview"),
    "market": holding("view_market"),
    "market-symbol": holding("view_market"),
    "bars-data": holding("view_market"),
    "positions": holding("view_positions"),
    "orders": holding("view_orders"),
    "orders-csv": holding("view_orders"),
    "order": holding("view_orders"),
    "system": holding("view_system"),
    "sparks-data": SIGNED_IN,
    "replay": holding("control_replay"),
    "theme": SIGNED_IN,
}

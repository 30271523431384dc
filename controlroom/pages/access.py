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
    "audit": holding("view_audit"),
    "audit-csv": holding("view_audit"),
    "audit-jsonl": holding("view_audit"),
    "audit-open": holding("view_audit"),
    "audit-record": holding("view_audit"),
    "audit-verify": holding("verify_record"),
    "audit-export": holding("export_record"),
    "audit-cancel": holding("verify_record"),
    "audit-bundle": holding("export_record"),
    "audit-requests": holding("view_audit"),
    "request-data": SIGNED_IN,
    "audit-tournaments": holding("view_audit"),
    "audit-event": holding("view_audit"),
    "audit-proof": holding("view_audit"),
    "system": holding("view_system"),
    "sparks-data": SIGNED_IN,
    "replay": holding("control_replay"),
    "theme": SIGNED_IN,
}

"""Routes of the pages; who may use each stands in controlroom/pages/access.py."""

from django.urls import path

from controlroom.pages import acts, approvals, controls, limits, market, orders, overview, positions, risk, system
from controlroom.pages.audit import event, record, requests, search, tournaments
from controlroom.pages.tournaments import one_round, rules, season

urlpatterns = [
    path("", overview.page, name="overview"),
    path("data/equity", overview.equity, name="equity-data"),
    path("data/sparks", overview.sparks, name="sparks-data"),
    path("market/", market.page, name="market"),
    path("market/<str:symbol>", market.page, name="market-symbol"),
    path("data/bars/<str:symbol>", market.bars, name="bars-data"),
    path("tournaments/", season.page, name="tournaments"),
    path("tournaments/run", season.run, name="tournament-run"),
    path("tournaments/rules", rules.page, name="tournament-rules"),
    path("tournaments/rules/draft", rules.draft, name="tournament-rules-draft"),
    path("tournaments/rules/<int:version>/activate", rules.activate, name="tournament-rules-activate"),
    path("tournaments/<path:round_id>", one_round.page, name="tournament"),
    path("positions/", positions.page, name="positions"),
    path("orders/", orders.page, name="orders"),
    path("orders/orders.csv", orders.as_csv, name="orders-csv"),
    path("orders/<str:order_id>", orders.life, name="order"),
    path("risk/", risk.page, name="risk"),
    path("risk/figures", risk.figures, name="risk-figures"),
    path("data/var", risk.history, name="var-data"),
    path("audit/", search.page, name="audit"),
    path("audit/events.csv", search.download, {"form": "csv"}, name="audit-csv"),
    path("audit/events.jsonl", search.download, {"form": "jsonl"}, name="audit-jsonl"),
    path("audit/open", event.by_number, name="audit-open"),
    path("audit/record", record.page, name="audit-record"),
    path("audit/verify", record.verify, name="audit-verify"),
    path("audit/export", record.export, name="audit-export"),
    path("audit/jobs/<int:job_id>/cancel", record.stop, name="audit-cancel"),
    path("audit/jobs/<int:job_id>/bundle", record.take, name="audit-bundle"),
    path("audit/requests", requests.page, name="audit-requests"),
    path("data/requests/<int:number>", requests.one, name="request-data"),
    path("audit/tournaments", tournaments.page, name="audit-tournaments"),
    path("audit/<slug:writer>/<int:seq>", event.page, name="audit-event"),
    path("audit/<slug:writer>/<int:seq>/proof", event.proof, name="audit-proof"),
    path("limits/", limits.page, name="limits"),
    path("limits/change", limits.change, name="limits-change"),
    path("approvals/", approvals.page, name="approvals"),
    path("approvals/<int:number>/approve", approvals.approve, name="approval-approve"),
    path("approvals/<int:number>/refuse", approvals.refuse, name="approval-refuse"),
    path("operators", acts.operators_page, name="operators"),
    path("acts/<str:operation>", acts.act, name="act"),
    path("system/", system.page, name="system"),
    path("replay", controls.replay, name="replay"),
    path("theme", controls.theme, name="theme"),
]

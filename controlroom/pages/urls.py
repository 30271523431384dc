"""Routes of the pages; who may use each stands in controlroom/pages/access.py."""

from django.urls import path

from controlroom.pages import controls, market, orders, overview, positions, system

urlpatterns = [
    path("", overview.page, name="overview"),
    path("data/equity", overview.equity, name="equity-data"),
    path("data/sparks", overview.sparks, name="sparks-data"),
    path("market/", market.page, name="market"),
    path("market/<str:symbol>", market.page, name="market-symbol"),
    path("data/bars/<str:symbol>", market.bars, name="bars-data"),
    path("positions/", positions.page, name="positions"),
    path("orders/", orders.page, name="orders"),
    path("orders/orders.csv", orders.as_csv, name="orders-csv"),
    path("orders/<str:order_id>", orders.life, name="order"),
    path("system/", system.page, name="system"),
    path("replay", controls.replay, name="replay"),
    path("theme", controls.theme, name="theme"),
]

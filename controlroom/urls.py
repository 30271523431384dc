"""Every route of the control room. Who may use it stands in controlroom/access/routes.py, by the name given here."""

from django.contrib import admin
from django.urls import include, path

from controlroom.access import step_up_views, views
from controlroom.api.api import api

urlpatterns = [
    path("favicon.ico", views.favicon, name="favicon"),
    path("healthz", views.healthz, name="healthz"),
    path("login", views.log_in, name="login"),
    path("logout", views.log_out, name="logout"),
    path("first-password", views.first_password, name="first-password"),
    path("kill", views.press_kill, name="kill"),
    path("release", views.release, name="release"),
    path("one-time-codes", step_up_views.one_time_codes, name="one-time-codes"),
    path("step-up", step_up_views.step_up, name="step-up"),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("", include("controlroom.pages.urls")),
]

handler403 = "controlroom.access.refusal.refused"
handler404 = "controlroom.access.refusal.missing"
handler500 = "controlroom.access.refusal.failed"

"""The theme that a browser chose, for every page: the station's, the login, and what is said when all else fails."""

from django.http import HttpRequest

THEMES = ("dark", "light")
THEME_COOKIE = "station_theme"


def theme_of(request: HttpRequest) -> str:
    """Return the theme that this browser chose; dark until it does."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]

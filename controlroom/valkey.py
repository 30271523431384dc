"""Where Celery and the cache find their server: the embedded `web`, or the one that ``REDIS_URL`` names."""

from typing import Any, Literal

from controlroom.environment import text
from events.embedded import EmbeddedServerError, web_url
from events.paths import DataPaths


def server_url(paths: DataPaths, scheme: Literal["redis+socket", "unix"]) -> str | None:
    """Return the server's URL, None where no server was ever set up (a type checker, a test)."""
    given = text("REDIS_URL")
    if given:
        return given
    try:
        return web_url(paths, scheme)
    except EmbeddedServerError:
        return None


def cache_configuration(paths: DataPaths) -> dict[str, dict[str, Any]]:
    """Return Django's CACHES; nothing in the cache may not be lost."""
    url = server_url(paths, "unix")
    if url is None:
        return {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    return {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url, "KEY_PREFIX": "station"}
    }

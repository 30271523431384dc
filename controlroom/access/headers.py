"""Security headers. Scripts, styles and sockets come from this host alone, and none of them inline."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
_INLINE = "csp_inline_styles"


def allow_inline_styles(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Mark a page whose charts (Plotly) write their own style elements."""

    @wraps(view)
    def marked(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        response = view(request, *arguments, **named)
        setattr(response, _INLINE, True)
        return response

    return marked


def policy(host: str, *, inline_styles: bool) -> str:
    """Return the Content-Security-Policy of ``host``; its sockets are named for browsers whose 'self' excludes them."""
    styles = "'self' 'unsafe-inline'" if inline_styles else "'self'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src {styles}",
            "img-src 'self' data:",
            "font-src 'self'",
            "manifest-src 'self'",
            f"connect-src 'self' ws://{host} wss://{host}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class SecurityHeaders:
    """Middleware: adds the headers to every answer that has not set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with headers."""
        response = self._get_response(request)
        host = request.META.get("HTTP_HOST", "localhost")
        safe = host if all(letter.isalnum() or letter in ".:-[]" for letter in host) else "localhost"
        response.headers.setdefault(
            "Content-Security-Policy", policy(safe, inline_styles=getattr(response, _INLINE, False))
        )
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("X-Frame-Options", "DENY")
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

"""What Daphne serves: pages over HTTP, the live socket beside them."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlroom.settings")

from django.core.asgi import get_asgi_application

_pages = get_asgi_application()  # loads the apps; everything below needs them

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402

from controlroom.live.routing import websocket_urlpatterns  # noqa: E402
from events import logs  # noqa: E402

logs.configure("web", settings.DATA if settings.DATA.root.is_dir() else None)

application = ProtocolTypeRouter(
    {
        "http": _pages,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)

"""Where the websocket lives: ``controlroom/asgi.py`` mounts these patterns behind its session and host checks."""

from django.urls import path

from controlroom.live.consumer import LiveConsumer

websocket_urlpatterns = [path("live", LiveConsumer.as_asgi(), name="live")]

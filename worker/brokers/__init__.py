"""Brokers by mode: one line a broker."""

from collections.abc import Callable

from engine.configuration import Configuration
from engine.engine import Engine
from worker.brokers.paper import PaperBroker
from worker.brokers.port import Broker

BROKERS: dict[str, Callable[[Configuration, Engine], Broker]] = {
    "PAPER": PaperBroker,
}


def open_broker(configuration: Configuration, engine: Engine) -> Broker:
    """Return the broker of a configuration's mode."""
    return BROKERS[configuration.mode](configuration, engine)

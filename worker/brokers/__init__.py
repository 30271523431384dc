"""Brokers by mode: one line a broker."""

from collections.abc import Callable

from engine.configuration import Configuration
from engine.engine import Engine
from worker.brokers.paper import PaperBroker
from worker.brokers.port import Broker
from worker.routing import RoutedBroker, moneyless

BROKERS: dict[str, Callable[[Configuration, Engine], Broker]] = {
    "PAPER": PaperBroker,
}


def open_broker(configuration: Configuration, engine: Engine) -> Broker:
    """Return the broker of a configuration's mode; with a routing table all brokers that it names, as one."""
    made = BROKERS[configuration.mode]
    if not configuration.settings.routing:
        return made(configuration, engine)
    return RoutedBroker(
        lambda _name, first: made(configuration if first else moneyless(configuration), engine), configuration
    )

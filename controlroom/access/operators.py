"""One operator or two: how many people a loosening takes; in the configuration, so that worker and journal know."""

import msgspec

from engine.configuration import Configuration
from risk.selectors import current_configuration


def held_configuration() -> Configuration | None:
    """Return the newest configuration of the database, None before the first run."""
    current = current_configuration()
    return None if current is None else msgspec.json.decode(current.content, type=Configuration)


def operators() -> int:
    """Return how many people a loosening takes."""
    held = held_configuration()
    return 1 if held is None else held.operators

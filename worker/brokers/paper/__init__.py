"""The paper broker: fills from the engine's fill model, in the process, on money that does not exist."""

from worker.brokers.paper.broker import PaperBroker

__all__ = ["PaperBroker"]

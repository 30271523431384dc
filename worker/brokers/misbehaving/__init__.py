"""A venue on paper that can be told to misbehave: with books of its own, answers that get lost, and worse."""

from worker.brokers.misbehaving.broker import MisbehavingBroker
from worker.brokers.misbehaving.venue import FAULTS, Fault, Venue, faults_of

__all__ = ["FAULTS", "Fault", "MisbehavingBroker", "Venue", "faults_of"]

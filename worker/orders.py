"""The order desk: the only place that calls a broker. Everything it sends is on the disk before."""

from collections.abc import Iterable
from typing import Literal

from events.metrics import Histogram
from events.ports import SYSTEM_CLOCK, Clock
from events.types import BrokerEvent, OrderEvent
from worker.brokers.port import Broker, BrokerTimeoutError, BrokerUnavailableError
from worker.kill import KillSwitch, blocks


class UncheckedOrderError(RuntimeError):
    """An order without the record of its checks was about to leave: a way round the checks. The process must end."""


class OrderDesk:
    """Sends intents, changes and cancels; the kill is looked at again before each order."""

    def __init__(self, switch: KillSwitch, clock: Clock = SYSTEM_CLOCK) -> None:
        self.latency_ms = Histogram()
        self._switch = switch
        self._clock = clock

    def send(self, broker: Broker, intents: Iterable[OrderEvent], sent_ns: int = 0) -> list[BrokerEvent]:
        """Submit orders and return the broker's answers.

        Parameters
        ----------
        sent_ns : wall time of the XADD of the slice's end, for tick-to-order; 0 where no slice caused the orders.
        """
        return [self._submit(broker, order, sent_ns) for order in list(intents)]

    def resend(self, broker: Broker, intents: Iterable[OrderEvent]) -> list[BrokerEvent]:
        """After a crash: ask the broker of each order first, and send only what it never heard of."""
        answers = []
        for order in list(intents):
            known = ask(broker, order.order_id)
            answers.append(self._submit(broker, order, 0) if known is None else known)
        return answers

    def cancel(self, broker: Broker, order_ids: Iterable[str]) -> list[BrokerEvent]:
        """Cancel orders and return the broker's answers; the kill never holds back a cancel."""
        answers = []
        for order_id in list(order_ids):
            try:
                answers.append(broker.cancel(order_id))
            except (BrokerTimeoutError, BrokerUnavailableError) as error:
                answers.append(_unknown(broker, order_id, str(error)))
        return answers

    def modify(self, broker: Broker, orders: Iterable[OrderEvent]) -> list[BrokerEvent]:
        """Ask for the changes of working orders and return the broker's answers."""
        return [self._modify(broker, order) for order in list(orders)]

    def cancel_killed(self, broker: Broker) -> int:
        """Cancel every working order under the kill, from whatever thread; return how many there were."""
        words = self._switch.words
        try:
            working = broker.working()
        except (BrokerTimeoutError, BrokerUnavailableError):
            return 0  # it is asked again with the next look
        found = [order for order in working if blocks(words, order.symbol, order.lots_by_strategy)]
        return len(self.cancel(broker, [order.order_id for order in found]))

    def _submit(self, broker: Broker, order: OrderEvent, sent_ns: int) -> BrokerEvent:
        if order.checked is None or not order.checked.codes:
            raise UncheckedOrderError(f"order {order.order_id} has no record of its checks: it is not sent")
        if self._held_back(order):
            return _refused(broker, order, "REJECTED", "KILLED: not sent")
        lacks = broker.capabilities.lacks(order)
        if lacks:
            return _refused(broker, order, "REJECTED", lacks)
        if sent_ns:
            self.latency_ms.observe(max(self._clock.utc_ns() - sent_ns, 0) / 1e6)
        try:
            return broker.submit(order)
        except (BrokerTimeoutError, BrokerUnavailableError) as error:
            return _unknown(broker, order.order_id, str(error))

    def _modify(self, broker: Broker, order: OrderEvent) -> BrokerEvent:
        if self._held_back(order):
            return _refused(broker, order, "UPDATE_REJECTED", "KILLED: not changed")
        if not broker.capabilities.modify:
            return _refused(broker, order, "UPDATE_REJECTED", f"{broker.name} changes no orders")
        try:
            return broker.modify(order)
        except (BrokerTimeoutError, BrokerUnavailableError) as error:
            return _unknown(broker, order.order_id, str(error))

    def _held_back(self, order: OrderEvent) -> bool:
        """Whether a kill holds an order back: a flatten's own orders alone pass, as far as its scope goes."""
        if not blocks(self._switch.check(), order.symbol, order.lots_by_strategy):
            return False
        permitted = blocks(self._switch.permits, order.symbol, order.lots_by_strategy)
        return not (order.purpose == "flatten" and permitted)


def ask(broker: Broker, order_id: str) -> BrokerEvent | None:
    """Return what the broker knows of an order: None only if it said that it never heard of it."""
    try:
        return broker.query(order_id)
    except (BrokerTimeoutError, BrokerUnavailableError) as error:
        return _unknown(broker, order_id, str(error))


def _unknown(broker: Broker, order_id: str, reason: str) -> BrokerEvent:
    return BrokerEvent(broker=broker.name, order_id=order_id, kind="UNKNOWN", broker_ns=0, reason=reason)


def _refused(broker: Broker, order: OrderEvent, kind: Literal["REJECTED", "UPDATE_REJECTED"], why: str) -> BrokerEvent:
    return BrokerEvent(
        broker=broker.name, order_id=order.order_id, kind=kind, broker_ns=order.engine_ns, reason=why
    )  # fmt: skip

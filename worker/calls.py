"""What other threads ask of the trading thread: small pieces of work that it does between two steps."""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from queue import Empty, SimpleQueue
from typing import Any


class Calls:
    """A queue of functions with their answers."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    def ask(self, work: Callable[[], Any]) -> Future[Any]:
        """Hand over a piece of work; its answer, or the exception it raised, comes in the future."""
        future: Future[Any] = Future()
        self._queue.put((work, future))
        return future

    def serve(self) -> None:
        """Do what waits, in the trading thread. A failed journal is not answered but raised: the process must end."""
        while not self._queue.empty():
            with contextlib.suppress(Empty):
                work, future = self._queue.get_nowait()
                if future.set_running_or_notify_cancel():
                    with contextlib.suppress(InvalidStateError):
                        future.set_result(work())

    def __bool__(self) -> bool:
        return not self._queue.empty()

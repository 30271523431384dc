"""Speaking to one QuestDB within bounded time: SQL over its PostgreSQL wire, rows over its line protocol."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import questdb

from market.store.port import StoreUnavailableError
from market.store.questdb.address import Address

ANSWER_S = 1.0
"""How long a reader waits for one answer. A page asks several times, but only its first question waits: see REST_S."""
REST_S = 2.0
"""How long a server that did not answer is not asked again by this client."""
IDLE = 4  # connections that are kept for the next question
SEND_S, SEND_BYTES_PER_S = 5.0, 4_000_000
"""A request of rows may take 5 s, and a second more for every 4 MB of it."""

Rows = list[tuple[Any, ...]]


class _Connection(psycopg.Connection[Any]):
    """A connection on which no wait is longer than ``answer_s``: a stopped server keeps its sockets open."""

    answer_s = ANSWER_S

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, self.answer_s if timeout is None else timeout)


class Client:
    """Readers of any thread, one writer.

    Parameters
    ----------
    answer_s : how long one answer of SQL is waited for.
    """

    def __init__(self, address: Address, *, answer_s: float = ANSWER_S) -> None:
        self.address = address
        self._answer_s = answer_s
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._silent_since: float | None = None  # UTC seconds
        self._why = ""
        self._again = 0.0
        self._sender: questdb.Sender | None = None

    def rows(self, sql: str, parameters: Sequence[str] = ()) -> Rows:
        """Return what a statement gives; text travels as parameters, and ~ stands before the name of a table.

        Raises
        ------
        StoreUnavailableError
            if the server is not there, does not answer in time or refuses the statement.
        """
        self._refuse_while_silent()
        sql = sql.replace("~", self.address.prefix)
        while True:
            connection, fresh = self._take()
            try:
                cursor = connection.execute(sql, parameters or None, prepare=False, binary=True)
                found = cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError as error:
                lost = connection.broken  # else it is there and did not answer in time
                connection.close()
                if fresh or not lost:
                    raise self._silent(error) from error
                self._drop_idle()  # of a server that is gone; another one may be there
                continue
            except psycopg.Error as error:
                connection.close()
                raise StoreUnavailableError(f"{self.address}: {_sentence(error)}") from error
            self._give(connection)
            self._silent_since = None
            return found

    def sender(self) -> questdb.Sender:
        """Return the sender of rows; it sends nothing by itself.

        Raises
        ------
        StoreUnavailableError
            if the server cannot be reached.
        """
        if self._sender is None:
            at = self.address
            with _sending(at):
                sender = questdb.Sender(
                    questdb.Protocol.Https if at.tls else questdb.Protocol.Http,
                    at.host,
                    at.http_port,
                    username=at.user,
                    password=at.password,
                    auto_flush=False,
                    protocol_version=2,  # doubles as eight bytes; naming it saves the question which one is spoken
                    retry_timeout=0,
                    request_timeout=int(SEND_S * 1000),
                    request_min_throughput=SEND_BYTES_PER_S,
                    init_buf_size=1 << 20,
                )
                establish: Callable[[], None] = sender.establish  # which has no types
                establish()
            self._sender = sender
        return self._sender

    def flush(self) -> None:
        """Send the sender's rows and wait until the server has them in its log.

        Raises
        ------
        StoreUnavailableError
            if that is not certain; some of the rows may be there.
        """
        if self._sender is not None:
            try:
                with _sending(self.address):
                    self._sender.flush()
            except StoreUnavailableError:
                self.forget_rows()
                raise

    def forget_rows(self) -> None:
        """Drop rows that were not sent."""
        if self._sender is not None:
            self._sender.close(flush=False)
            self._sender = None

    def close(self) -> None:
        """Give every connection back."""
        self.forget_rows()
        self._drop_idle()

    def _take(self) -> tuple[_Connection, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        return self._connect(), True

    def _connect(self) -> _Connection:
        at = self.address
        self._probe()  # libpq waits two seconds at least; this waits no longer than an answer may take
        try:
            connection = _Connection.connect(
                host=at.host,
                port=at.pg_port,
                user=at.user,
                password=at.password,
                dbname="qdb",
                sslmode="require" if at.tls else "disable",
                connect_timeout=2,
                autocommit=True,
            )
        except psycopg.Error as error:
            raise self._silent(error) from error
        connection.answer_s = self._answer_s
        return connection

    def _probe(self) -> None:
        kind = http.client.HTTPSConnection if self.address.tls else http.client.HTTPConnection
        line = kind(self.address.host, self.address.http_port, timeout=self._answer_s)
        try:
            line.request("GET", "/ping")
            line.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error
        finally:
            line.close()

    def _give(self, connection: _Connection) -> None:
        with self._lock:
            if len(self._idle) < IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()

    def _refuse_while_silent(self) -> None:
        if self._silent_since is not None and time.monotonic() < self._again:
            raise StoreUnavailableError(self._said())

    def _silent(self, error: BaseException) -> StoreUnavailableError:
        self._silent_since = self._silent_since or time.time()
        self._again = time.monotonic() + REST_S
        self._why = _sentence(error)
        return StoreUnavailableError(self._said())

    def _said(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self._silent_since))
        return f"the projection is not answering since {since} ({self.address}: {self._why})"


@contextlib.contextmanager
def _sending(address: Address) -> Iterator[None]:
    try:
        yield
    except questdb.QuestDBError as error:
        raise StoreUnavailableError(f"{address}: {_sentence(error)}") from error


def _sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

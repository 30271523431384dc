"""Is a process ready? Each probe asks the process itself and answers within a quarter of a second."""

import http.client
import socket
from collections.abc import Callable
from contextlib import closing

import psutil

from controlroom.supervisor import control
from events.paths import DataPaths
from market.store.port import StoreUnavailableError
from market.store.questdb.address import read_address

TIMEOUT_S = 0.25


def valkey(name: str) -> Callable[[DataPaths], bool]:
    """Return a probe of an embedded server: asking for a password is an answer, loading is not."""

    def probe(paths: DataPaths) -> bool:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as line:
            line.settimeout(TIMEOUT_S)
            try:
                line.connect(str(paths.socket(name)))
                line.sendall(b"PING\r\n")
                return line.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False

    return probe


def worker(paths: DataPaths) -> bool:
    """Return whether the worker answers on its control socket."""
    try:
        control.ask(paths, {"op": "status"}, timeout_s=TIMEOUT_S)
    except control.WorkerAwayError:
        return False
    return True


def beat(process: str) -> Callable[[DataPaths], bool]:
    """Return a probe of a process that beats on the bus; the last beat of one that is gone stays there for seconds."""

    def probe(paths: DataPaths) -> bool:
        found = control.beat(paths, process)
        return found is not None and psutil.pid_exists(int(found["pid"]))

    return probe


def port(host: str, number: int) -> Callable[[DataPaths], bool]:
    """Return a probe of a port that somebody should listen on."""

    def probe(_paths: DataPaths) -> bool:
        try:
            socket.create_connection((host, number), TIMEOUT_S).close()
        except OSError:
            return False
        return True

    return probe


def questdb_answers(paths: DataPaths) -> bool:
    """Return whether the station's own QuestDB answers."""
    try:
        address = read_address(paths)
    except StoreUnavailableError:
        return False
    with closing(http.client.HTTPConnection(address.host, address.http_port, timeout=TIMEOUT_S)) as line:
        try:
            line.request("GET", "/ping")
            return line.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False

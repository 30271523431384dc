"""`questdb`: QuestDB in the foreground, for this station or for one that QUESTDB_URL tells of it."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import ROOT
from controlroom.supervisor.probes import questdb_answers
from controlroom.supervisor.questdb_server import fetch_jar, java_command, need_java, prepare
from controlroom.supervisor.stop import StopRequest
from events.children import bound_to_us
from events.paths import DataPaths
from market.store.questdb.address import address_file

EXAMPLE = "example: ./station questdb --data-dir var"
LOOK_S = 0.25
STOP_S = 10.0


def main(argv: list[str]) -> int:
    """Run the server until it is told to stop; return 0, 1 if it ended by itself, 2 for bad input."""
    parser = Parser(prog="questdb", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--data-dir", type=Path, default=ROOT / "var", help="its data are in questdb/ there (var/)")
    parser.add_argument(
        "--http-port", type=int, help="port of HTTP and rows (default: last time's, 9000 or a free one)"
    )
    parser.add_argument("--pg-port", type=int, help="port of SQL (default: last time's, 8812 or a free one)")
    try:
        given = parser.parse_args(argv)
        need_java()
        paths = DataPaths(given.data_dir.absolute())
        jar = fetch_jar()
        address = prepare(paths, _port("--http-port", given.http_port), _port("--pg-port", given.pg_port))
    except BadInputError as error:
        return complain(error)
    stop = StopRequest()
    server = subprocess.Popen(bound_to_us(java_command(paths, jar)), stdin=subprocess.DEVNULL)
    try:
        return _watch(paths, server, stop, f"QUESTDB_URL=http://{address.user}:PASSWORD@{address.host}:"
                      f"{address.http_port}?pg={address.pg_port}")  # fmt: skip
    finally:
        _end(server)


def _port(name: str, port: int | None) -> int | None:
    if port is not None and not 1024 <= port <= 65535:
        raise BadInputError(f"{name} = {port} must be a port from 1024 to 65535")
    return port


def _watch(paths: DataPaths, server: subprocess.Popen[bytes], stop: StopRequest, form: str) -> int:
    """Look after the server: one whose files were removed under it answers nothing any more and must start anew."""
    tables, ready = paths.questdb / "db", False
    while not stop.wait(LOOK_S):
        if server.poll() is not None:
            sys.stderr.write(f"QuestDB ended by itself with exit code {server.returncode}\n")
            return 1
        if not ready and questdb_answers(paths):
            ready = True
            sys.stderr.write(f"QuestDB answers; {form} (the password is in {address_file(paths)})\n")
        if ready and not tables.exists():
            sys.stderr.write(f"{tables} was removed under QuestDB; it has to start again\n")
            server.kill()
            return 1
    return 0


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGCONT)  # a suspended one could not end
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_S)
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

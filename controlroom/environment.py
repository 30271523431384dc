"""Typed answers from the environment: each failure names the variable, its value and what is allowed."""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from events.paths import DataPaths


class SettingError(ValueError):
    """One sentence: the variable, the value, what is allowed."""


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
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise SettingError(f"DATABASE_URL = {parts.scheme}://… must be postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.strip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_HEALTH_CHECKS": True,
        }
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

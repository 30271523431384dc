"""JSON logs: one line an event, with the same fields in every process."""

import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from typing import Any

import msgspec

from events.paths import DataPaths

FILE_BYTES, FILES = 20 * 1024 * 1024, 3
CONTEXT = ("agent_id", "event_type", "correlation_id")
"""Fields that a caller gives by ``extra=``; absent ones are empty. What else ``extra`` holds goes below ``extra``."""

_SECRET = ("password", "secret", "token", "passphrase", "credential", "authorization", "cookie")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", *CONTEXT}


class JsonFormatter(logging.Formatter):
    """Turns a log record into one line of JSON; values whose name says that they are secret are not written."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what JSON cannot hold is written as text."""
        extra = {name: _shown(name, value) for name, value in vars(record).items() if name not in _OWN}
        line: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "process": self._process,
            "level": record.levelname,
            "logger": record.name,
            **{name: getattr(record, name, "") for name in CONTEXT},
            "message": record.getMessage(),
            "extra": extra,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(process: str, paths: DataPaths | None = None, *, level: int = logging.INFO) -> None:
    """Send this process's logs to standard error, and to ``logs/PROCESS.jsonl`` (20 MiB, three files) below ``paths``.

    Raises
    ------
    OSError
        if the log file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if paths is not None:
        paths.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = paths.logs / f"{process}.jsonl"
        file.touch(mode=0o600)
        handlers.append(RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8"))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(JsonFormatter(process))
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=True)


def _shown(name: str, value: object) -> object:
    return "[not logged]" if any(word in name.lower() for word in _SECRET) else value

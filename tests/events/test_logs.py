import logging

import msgspec
import pytest

from events import logs
from events.paths import DataPaths


@pytest.fixture(autouse=True)
def root_logger():
    root = logging.getLogger()
    before = list(root.handlers), root.level
    root.handlers = []
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before
    logging.captureWarnings(capture=False)


def test_each_event_is_one_line_of_json_on_stderr_and_in_the_file(tmp_path, capsys):
    paths = DataPaths(tmp_path)
    logs.configure("worker", paths)
    logging.getLogger("worker.orders").warning(
        "order %s\nrefused",
        "o-1",
        extra={"agent_id": "momentum", "event_type": "OrderEvent", "lots": 3, "where": tmp_path},
    )
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert (paths.logs / "worker.jsonl").read_text() == shown.err
    line = msgspec.json.decode(shown.err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "process": "worker",
        "level": "WARNING",
        "logger": "worker.orders",
        "agent_id": "momentum",
        "event_type": "OrderEvent",
        "correlation_id": "",
        "message": "order o-1\nrefused",
        "extra": {"lots": 3, "where": str(tmp_path)},
    }
    assert (paths.logs / "worker.jsonl").stat().st_mode & 0o777 == 0o600


def test_secrets_are_not_written_and_failures_are_told_with_their_trace(capsys):
    logs.configure("web")
    try:
        int("broken")
    except ValueError:
        logging.getLogger("x").exception("failed", extra={"api_token": "hunter2", "db_password": "hunter2"})
    shown = capsys.readouterr().err
    assert "hunter2" not in shown
    assert "ValueError: invalid literal" in msgspec.json.decode(shown)["exception"]
    logging.getLogger("x").debug("quiet")
    assert capsys.readouterr().err == ""


def test_configuring_again_replaces_what_was_there(capsys):
    logs.configure("one")
    logs.configure("two")
    logging.getLogger("x").info("hello")
    assert msgspec.json.decode(capsys.readouterr().err)["process"] == "two"

import subprocess
import sys

import pytest

from tests.operator.running import ROOT, manage

PLAIN = (
    "run", "worker", "feed", "recorder", "status", "kill", "release", "doctor", "signer", "keys", "audit", "ledger",
    "risk", "execution", "flatten", "maintenance", "enable", "external", "codes",
)  # fmt: skip


@pytest.mark.parametrize("command", PLAIN)
def test_the_trading_path_never_imports_django(command):
    code = (
        "import sys, importlib; sys.path.insert(0, '.'); import manage\n"
        f"importlib.import_module(manage.PLAIN[{command!r}])\n"
        "web = {'django', 'celery', 'guardian', 'channels'}\n"
        "found = sorted(name for name in sys.modules if name.split('.')[0] in web)\n"
        "sys.exit(found or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_worker_carries_no_database_and_no_estimator():
    heavy = "{'psycopg', 'questdb', 'pysqlite3', 'pyarrow', 'sklearn', 'onnxruntime', 'exchange_calendars'}"
    code = (
        "import sys; sys.path.insert(0, '.'); import worker.process\n"
        f"sys.exit(sorted({heavy} & {{name.partition('.')[0] for name in sys.modules}}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", PLAIN)
def test_help_has_an_example(command):
    done = manage(command, "--help")
    assert done.returncode == 0
    assert "example" in done.stdout.lower()


def test_help_lists_every_plain_command():
    done = manage("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in PLAIN)


def test_an_unknown_command_is_djangos_answer_and_no_success():
    done = manage("frobnicate")
    assert done.returncode != 0
    assert "frobnicate" in done.stderr

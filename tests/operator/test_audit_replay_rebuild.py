"""`audit replay` and `audit rebuild` as a person types them."""

import subprocess
import sys

import pytest

from controlroom.supervisor import audit
from tests.operator.running import ROOT, manage


@pytest.mark.parametrize("name", ["replay", "rebuild"])
def test_help_has_an_example_and_bad_input_is_one_sentence(name, tmp_path):
    shown = manage("audit", name, "--help")
    assert shown.returncode == 0
    assert f"example: manage.py audit {name}" in shown.stdout
    refused = manage("audit", name, "--data-dir", tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1
    assert "has no journal" in refused.stderr


@pytest.mark.parametrize("name", ["replay", "rebuild"])
def test_neither_imports_django(name):
    module = audit.SUBCOMMANDS[name][0]
    code = (
        f"import sys, importlib; importlib.import_module({module!r})\n"
        "sys.exit(sorted(name for name in sys.modules if name.split('.')[0] in {'django', 'celery'}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

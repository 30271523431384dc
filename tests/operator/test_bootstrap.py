"""The bash command `station`, in a small tree of its own: it makes .venv, installs a lock, hands over to manage.py."""

import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.operator.running import ROOT, wait_for

INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture
def tree(tmp_path):
    """A clone with a space in its path, a lock of nothing, and a manage.py that says how it was called."""
    root = tmp_path / "a clone"
    root.mkdir()
    shutil.copy(ROOT / "station", root / "station")
    (root / "requirements.txt").write_text("# nothing\n")
    (root / "manage.py").write_text("import sys\nprint(sys.prefix)\nprint(*sys.argv[1:], sep='|')\n")
    return root


def station(tree, *arguments, path=None, **options):
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "VIRTUAL_ENV"}}
    environment["PATH"] = path or f"{Path(sys.executable).resolve().parent}:{environment['PATH']}"
    return subprocess.run(
        [str(tree / "station"), *arguments], capture_output=True, text=True, check=False, timeout=120, env=environment,
        stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


def bare_path(tmp_path, *programs):
    """Return a PATH with nothing but a shell's usual helpers and these scripts (name, content)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (
        "bash",
        "env",
        "dirname",
        "readlink",
        "id",
        "cat",
        "sha256sum",
        "cut",
        "mkdir",
        "flock",
        "find",
        "rm",
        "grep",
    ):
        (folder / name).symlink_to(shutil.which(name))
    for name, content in programs:
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return str(folder)


def test_first_start_sets_up_and_second_does_not(tree):
    first = station(tree, "run", "--feed", "replay:a b.parquet", "--install")
    assert (first.returncode, first.stdout.splitlines()) == (0, [str(tree / ".venv"), "run|--feed|replay:a b.parquet"])
    assert "Installing" in first.stderr
    second = station(tree, "doctor")
    assert (second.returncode, second.stdout.splitlines()[1], second.stderr) == (0, "doctor", "")


def test_a_changed_lock_is_installed(tree):
    station(tree, "doctor")
    (tree / "requirements.txt").write_text("# still nothing\n")
    assert "Installing" in station(tree, "doctor").stderr


def test_a_lock_that_cannot_be_installed_is_a_sentence(tree):
    (tree / "requirements.txt").write_text("tiny==1 --hash=sha256:" + "0" * 64 + "\n")
    done = station(tree, "doctor", path=None)
    assert done.returncode == 2
    assert "could not be installed" in done.stderr
    assert done.stdout == ""


def test_an_installation_that_was_cut_short_is_made_anew(tree):
    station(tree, "doctor")
    (tree / ".venv" / ".installing").touch()
    half = tree / ".venv" / "lib" / "half-a-package"
    half.touch()
    done = station(tree, "doctor")
    assert done.returncode == 0
    assert not half.exists()
    assert not (tree / ".venv" / ".installing").exists()


def test_ctrl_c_during_the_installation_leaves_no_pip(tree):
    station(tree, "doctor")
    (tree / "requirements.txt").write_text("# changed: installed again, by a pip that takes a minute\n")
    slow = tree / ".venv" / "bin" / "python"
    target = slow.resolve()
    slow.unlink()
    slow.write_text(f'#!/bin/sh\ncase "$*" in *install*) exec sleep 60;; *) exec {target} "$@";; esac\n')
    slow.chmod(0o755)
    # a test run in the background inherits an ignored SIGINT, which no shell can trap
    interruptible = [sys.executable, "-c", INTERRUPTIBLE, str(tree / "station"), "doctor"]
    process = subprocess.Popen(interruptible, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for((tree / ".venv" / ".installing").exists, 20)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted" in err
    left = subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_two_first_starts_at_once_both_work(tree):
    both = [
        subprocess.Popen([str(tree / "station"), "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [out.splitlines()[1] for out, _ in answers] == ["doctor", "doctor"]
    assert sum("Installing" in err for _, err in answers) == 1


OLD = "#!/bin/sh\nexit 1\n"
NO_VENV = f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; *) exec {Path(sys.executable).resolve()} "$@";; esac\n'
APT = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/apt.log"\n'


def test_without_python_the_exact_line_is_printed(tree, tmp_path):
    path = bare_path(tmp_path, ("python3", OLD), ("apt-get", APT), ("sudo", '#!/bin/sh\nexec "$@"\n'))
    done = station(tree, "run", path=path)
    assert done.returncode == 2
    assert "Python 3.11" in done.stderr
    assert "apt-get update && " in done.stderr
    assert "apt-get install -y python3" in done.stderr
    assert not (tmp_path / "bin" / "apt.log").exists()
    assert not (tree / ".venv" / "bin").exists()


def test_without_the_venv_module_its_package_is_named(tree, tmp_path):
    path = bare_path(tmp_path, ("python3.11", NO_VENV), ("apt-get", APT), ("sudo", '#!/bin/sh\nexec "$@"\n'))
    done = station(tree, "run", path=path)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 2
    assert f"apt-get install -y python{version}-venv" in done.stderr


def test_install_runs_apt(tree, tmp_path):
    path = bare_path(tmp_path, ("python3", OLD), ("apt-get", APT), ("sudo", '#!/bin/sh\nexec "$@"\n'))
    done = station(tree, "run", "--install", path=path)
    log = (tmp_path / "bin" / "apt.log").read_text().splitlines()
    assert log[0].startswith("update")
    assert log[1].startswith("install -y")
    assert done.returncode == 2
    assert "still missing" in done.stderr


def test_a_terminal_is_asked(tree, tmp_path):
    path = bare_path(tmp_path, ("python3", OLD), ("apt-get", APT), ("sudo", '#!/bin/sh\nexec "$@"\n'))
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [str(tree / "station"), "run"], env={**os.environ, "PATH": path}, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    os.write(parent, b"n\n")
    assert process.wait(20) == 2
    said = os.read(parent, 4096).decode()
    os.close(parent)
    assert "Install it now" in said
    assert not (tmp_path / "bin" / "apt.log").exists()


def test_an_unknown_command_names_the_allowed_ones(tree):
    done = station(tree, "fly")
    assert done.returncode == 2
    assert 'unknown command "fly"' in done.stderr
    assert station(tree, "help").returncode == 0


def test_the_locks_agree_and_name_no_index():
    def pins(name):
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}

    assert pins("requirements.txt") <= pins("requirements-dev.txt")
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        assert text.count("--hash=sha256:") >= len(pins(name))

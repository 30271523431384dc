"""What a newcomer's host may lack or get wrong: a name, a locale, a home, a directory of its own, an intact record."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controlroom.supervisor.compiled import cache_directory
from controlroom.supervisor.errors import complain
from tests.operator.running import ROOT, manage, processes_of, unused_port


def run(data_dir, *arguments, **options):
    return manage("run", "--data-dir", data_dir, "--port", unused_port(), "--until-done", *arguments, **options)


def test_a_directory_of_somebody_else_is_left_alone(short_dir):
    folder = short_dir / "papers"
    folder.mkdir(mode=0o755)
    (folder / "letter.txt").write_text("mine")
    done = run(folder, "--feed", "sample")
    assert done.returncode == 2
    assert "holds other files" in done.stderr
    assert (folder.stat().st_mode & 0o777, [path.name for path in folder.iterdir()]) == (0o755, ["letter.txt"])


def test_a_damaged_record_ends_the_start_with_its_own_sentence(short_dir):
    data_dir = short_dir / "d"
    segment = data_dir / "journal" / "station" / f"{0:020d}.seg"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"\x10\0\0\0" + b"damaged!" * 1000)
    following = segment.with_name(f"{7:020d}.seg")
    following.write_bytes(b"")
    done = run(data_dir, "--feed", "sample")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "restore the files" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_of(data_dir) == []


def test_damaged_passwords_are_a_sentence(short_dir):
    file = short_dir / "d" / "secrets" / "bus-acl.json"
    file.parent.mkdir(parents=True)
    (short_dir / "d" / "station.lock").touch()
    file.write_text("{")
    done = run(short_dir / "d", "--feed", "sample")
    assert (done.returncode, file.read_text()) == (2, "{")
    assert done.stderr.startswith(f"passwords {file} are damaged")


def test_a_path_that_is_no_text_is_refused(short_dir):
    done = run(os.fsdecode(os.fsencode(short_dir) + b"/\xff"), "--feed", "sample")
    assert done.returncode == 2
    assert "UTF-8" in done.stderr
    assert list(short_dir.iterdir()) == []


def test_an_output_without_these_characters_ends_no_command():
    done = manage("--help", environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "run ? worker" in done.stdout


def test_what_a_file_says_never_steers_the_terminal(capsys):
    assert complain("a\x1b[2Jb\x07") == 2
    assert capsys.readouterr().err == "a?[2Jb?\n"


def test_the_system_s_python_goes_on_in_the_environment(tmp_path):
    """`./manage.py kill` in a hurry: the interpreter on PATH has none of the packages."""
    shutil.copy(ROOT / "manage.py", tmp_path / "manage.py")
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text('#!/bin/sh\necho "own environment: $*"\n')
    own.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "manage.py"), "kill"], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"own environment: {tmp_path / 'manage.py'} kill\n", done.stderr


def test_compiled_code_goes_elsewhere_where_no_home_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert cache_directory(tmp_path / "cache").parent == tmp_path / "cache"
    with pytest.raises(OSError, match="nowhere"):
        cache_directory()


def test_a_kill_by_a_user_without_a_name(short_dir):
    """A container's user is often a bare number."""
    script = (
        "import os, pwd, sys; sys.argv = ['kill'];"
        "pwd.getpwuid = lambda _uid: {}[_uid];"
        "[os.environ.pop(name, None) for name in ('LOGNAME', 'USER', 'LNAME', 'USERNAME')];"
        f"sys.path.insert(0, {str(ROOT)!r});"
        "from controlroom.supervisor.kill import main;"
        f"raise SystemExit(main(['--data-dir', {str(short_dir)!r}]))"
    )
    (short_dir / "station.lock").touch()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"uid {os.getuid()}" in Path(short_dir, "kill", "KILL").read_text()

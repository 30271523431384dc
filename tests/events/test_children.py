"""A child process ends with its parent, and one that comes too late for that never begins."""

import os
import signal
import subprocess
import sys

import psutil

from events.children import bound_to_named, bound_to_us, naming_itself
from tests.operator.running import wait_for

STARTS_A_CHILD = (
    "import subprocess, sys; from events.children import bound_to_us;"
    "print(subprocess.Popen(bound_to_us(['sleep', '600'])).pid, flush=True); sys.stdin.read()"
)


def test_a_child_ends_with_a_parent_that_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_A_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(lambda: child.name() == "sleep", 10, "the child's program")
        os.kill(parent.pid, signal.SIGKILL)
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10, "the end of the child")


def test_a_command_runs_for_its_parent_and_for_nobody_else(tmp_path):
    mark = tmp_path / "mark"
    somebody_else = ["sh", "-c", '"$@"; true', "sh"]  # as after the death of the parent: its child has another one now
    subprocess.run([*somebody_else, *bound_to_us(["touch", str(mark)])], check=True)
    assert not mark.exists()
    subprocess.run(bound_to_us(["touch", str(mark)]), check=True)
    assert mark.exists()


def test_a_command_runs_for_a_parent_that_named_itself(tmp_path):
    mark = tmp_path / "mark"
    stranger = {**os.environ, "STATION_PARENT": "1"}
    assert subprocess.run(bound_to_named(["touch", str(mark)]), env=stranger, check=False).returncode
    assert not mark.exists()
    parent = ["sh", "-c", '"$@"; true', "sh"]
    subprocess.run(naming_itself([*parent, *bound_to_named(["touch", str(mark)])]), check=True)
    assert mark.exists()

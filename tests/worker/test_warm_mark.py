"""What stands for "compiled already" must turn with everything that makes the compiler start again."""

import os
import sys
import time
from pathlib import Path

import psutil

from worker import fingerprint


def test_a_touched_source_is_compiled_anew_in_a_child_not_in_the_worker(tmp_path, monkeypatch):
    """Numba looks at a file's place and time, not at its content: so must the mark, or the worker compiles itself."""
    source = tmp_path / "engine" / "step.py"
    source.parent.mkdir()
    source.write_text("x = 1\n")
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    content, stamp = fingerprint.sources_hash(), fingerprint.sources_stamp()
    assert fingerprint.sources_stamp() == stamp
    os.utime(source, ns=(0, source.stat().st_mtime_ns + 1))
    assert fingerprint.sources_hash() == content
    assert fingerprint.sources_stamp() != stamp


def test_a_worker_that_is_killed_while_it_compiles_leaves_no_compiler(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", "from worker.warm import warm_up; warm_up()"]
    worker = psutil.Popen(command, env=environment, cwd=Path(__file__).resolve().parents[2])
    until = time.monotonic() + 60
    while not (children := worker.children()) and time.monotonic() < until:
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    assert children
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []

"""Fixtures of the worker's tests: a data directory, a real bus, a worker process, a core without a bus."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import worker_station as made


@pytest.fixture
def paths(short_dir):
    return made.data_paths(short_dir / "d")


@pytest.fixture
def bus(paths):
    running = made.Bus(paths).start()
    yield running
    running.stop()


@pytest.fixture
def worker(paths, bus):
    thread = made.WorkerThread(paths)
    yield thread
    thread.stop()


@pytest.fixture
def process(paths, bus):
    started = made.WorkerProcess(paths)
    yield started
    started.stop()


@pytest.fixture
def bench(tmp_path):
    """A core on a real journal, and what makes another one on the same journal."""
    return made.Bench(tmp_path)

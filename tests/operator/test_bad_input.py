"""Whatever cannot work: one sentence, exit code 2, nothing running, nothing left on disk."""

import shutil
import socket
import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.operator.running import ROOT, manage, processes_of, unused_port, wait_for

COLUMNS = ("ts", "sym", "o", "h", "l", "c", "v")
ROW = ("2019-02-11T14:30:00", "AAPL", 10.0, 11.0, 9.0, 10.5, 100.0)


def write_csv(path, header=COLUMNS, rows=(ROW,)):
    path.write_text("\n".join(",".join(map(str, row)) for row in (header, *rows)) + "\n")
    return path


def write_parquet(path):
    parquet.write_table(
        pa.table({"ts": pa.array([1549895400_000_000_000], pa.timestamp("ns")), "sym": ["AAPL"], "o": [1.0]}), path
    )
    return path


def refused(data_dir, *arguments, **options):
    """Run, and return the one sentence of a refusal that left nothing behind."""
    port = ("--port", unused_port()) if "--port" not in arguments else ()
    existed = data_dir.exists()
    done = manage("run", *arguments, *port, "--data-dir", data_dir, "--until-done", "--json", **options)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("Warning:", "●", "↻", "*"))]
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    assert processes_of(data_dir) == []
    assert data_dir.exists() == existed
    return lines[0]


def test_a_missing_file(short_dir):
    assert "nowhere.parquet" in refused(short_dir / "d", "--feed", f"replay:{short_dir}/nowhere.parquet")


def test_an_empty_file(short_dir):
    for name in ("empty.parquet", "empty.csv"):
        (short_dir / name).write_bytes(b"")
        assert name in refused(short_dir / "d", "--feed", f"replay:{short_dir / name}")


def test_a_truncated_file(short_dir):
    file = short_dir / "cut.parquet"
    parquet.write_table(pa.table({"ts": [1], "sym": ["A"]}), file)
    file.write_bytes(file.read_bytes()[:-20])
    assert "cut.parquet" in refused(short_dir / "d", "--feed", f"replay:{file}")


def test_wrong_columns(short_dir):
    sentence = refused(short_dir / "d", "--feed", f"replay:{write_parquet(short_dir / 'wrong.parquet')}")
    assert "wrong.parquet" in sentence
    assert "h" in sentence
    file = write_csv(short_dir / "wrong.csv", header=("time", "sym", "o", "h", "l", "c", "v"))
    assert "ts" in refused(short_dir / "d", "--feed", f"replay:{file}")


def test_an_unknown_symbol(short_dir):
    file = write_csv(short_dir / "bars.csv", rows=(ROW, ("2019-02-11T14:31:00", *ROW[1:])))
    assert "NOSUCH" in refused(short_dir / "d", "--feed", f"replay:{file}", "--symbols", "AAPL,NOSUCH")


def test_an_unknown_feed(short_dir):
    assert "crystal-ball" in refused(short_dir / "d", "--feed", "crystal-ball")


def test_a_bad_stance_file(short_dir):
    file = short_dir / "stances.parquet"
    file.write_bytes(b"not parquet")
    assert "stances.parquet" in refused(short_dir / "d", "--feed", "sample", "--stances", str(file))


def test_an_occupied_port(short_dir):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert str(port) in refused(short_dir / "d", "--feed", "sample", "--port", port)


def test_an_address_that_is_not_loopback(short_dir):
    assert "loopback" in refused(short_dir / "d", "--feed", "sample", "--host", "192.0.2.1")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\xff\xfe\x00", "UTF-8"),
        (b"[limits", "not TOML"),
        (b"[limits]\nmax_gros = 1.0\n", "max_gros"),
        (b"[limits]\nmax_gross = 99.0\n", "0 to 10"),
    ],
)
def test_unreadable_settings(short_dir, content, word):
    data_dir = short_dir / "d"
    data_dir.mkdir()
    (data_dir / "settings.toml").write_bytes(content)
    sentence = refused(data_dir, "--feed", "sample")
    assert "settings" in sentence
    assert word in sentence
    assert [path.name for path in data_dir.iterdir()] == ["settings.toml"]


def test_a_read_only_directory(short_dir):
    folder = short_dir / "d"
    folder.mkdir(mode=0o555)
    sentence = refused(folder, "--feed", "sample", unprivileged=True)
    assert "cannot be written" in sentence
    assert list(folder.iterdir()) == []


def test_settings_that_are_a_link_to_nowhere(short_dir):
    data_dir = short_dir / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "settings.toml").symlink_to(short_dir / "gone.toml")
    sentence = refused(data_dir, "--feed", "sample")
    assert "settings" in sentence
    assert "No such file" in sentence


def test_settings_that_may_not_be_read(short_dir):
    folder = short_dir / "d"
    folder.mkdir(mode=0o755)
    (folder / "settings.toml").write_text("")
    (folder / "settings.toml").chmod(0o000)
    assert "settings" in refused(folder, "--feed", "sample", unprivileged=True)


def test_a_full_disk(short_dir):
    """A small file system of its own, in a mount name space that ends with the command."""
    folder = short_dir / "small"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=1m,mode=0755 none "$0" && "$@"; code=$?; ls -A "$0" >&2; exit $code'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, str(folder)]
    done = subprocess.run([*command, "true"], capture_output=True, check=False)
    assert done.returncode == 0, f"this host has no user name spaces: {done.stderr.decode()}"
    done = manage_under(command, "run", "--feed", "sample", "--data-dir", folder / "d", "--port", unused_port())
    assert done.returncode == 2
    assert "disk is full" in done.stderr
    assert done.stderr.count("\n") == 1  # the sentence, and no file left over


def manage_under(prefix, *arguments):
    command = [*prefix, sys.executable, str(ROOT / "manage.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_valkey_that_cannot_start(short_dir):
    data_dir = short_dir / "d"
    log = data_dir / "valkey" / "bus" / "appendonlydir"
    log.mkdir(parents=True)
    (log / "appendonly.aof.manifest").write_text("this is no manifest\n")
    sentence = refused(data_dir, "--feed", "sample")
    assert '"bus" does not start' in sentence
    assert (log / "appendonly.aof.manifest").exists()


def test_a_second_station_on_the_same_directory(start):
    first = start("--feed", "sample", "--speed", "86400", "--no-browser")
    wait_for(lambda: (first.data_dir / "station.lock").exists() and (first.data_dir / "station.lock").read_text(), 30)
    done = manage("run", "--feed", "sample", "--data-dir", first.data_dir, "--port", unused_port())
    assert done.returncode == 2
    assert f"process {first.process.pid} on port {first.port}" in done.stderr
    assert first.process.poll() is None
    code, _, _ = first.stop()
    assert code == 0
    assert processes_of(first.data_dir) == []
    shutil.rmtree(first.data_dir)

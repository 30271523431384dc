"""What the environment may say, and what is answered when it says something else."""

import subprocess
import sys
from pathlib import Path

import pytest

from controlroom import environment
from events.paths import DataPaths

ROOT = Path(__file__).resolve().parents[2]


def test_a_key_is_made_once_and_private(tmp_path):
    paths = DataPaths(tmp_path)
    first = environment.secret_key(paths)
    assert environment.secret_key(paths) == first
    assert (paths.secrets / "django-key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in paths.secrets.iterdir()] == ["django-key"]


def test_without_a_data_directory_nothing_is_left_behind(tmp_path):
    paths = DataPaths(tmp_path / "none")
    assert environment.secret_key(paths) != environment.secret_key(paths)
    assert not paths.root.exists()


def test_a_secret_may_come_from_a_file(tmp_path, monkeypatch):
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("DJANGO_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert environment.secret_key(DataPaths(tmp_path)) == "from a file"
    monkeypatch.setenv("DJANGO_SECRET_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(environment.SettingError, match=r"DJANGO_SECRET_KEY_FILE = .*missing cannot be read"):
        environment.secret_key(DataPaths(tmp_path))


def test_a_database_url_names_a_server_or_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:p%40ss@db.example:5433/station")
    found = environment.databases(DataPaths(tmp_path), tmp_path / "t")["default"]
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "ada", "p@ss", "db.example", "5433", "station",
    )  # fmt: skip
    wrongs = ("mysql://x/y", "postgresql://ada:secret@db.example", "postgresql://ada:secret@db:54x2/station",
              "postgresql://ada:secret@db/station?nonsense=secret", "secret")  # fmt: skip
    for wrong in wrongs:
        monkeypatch.setenv("DATABASE_URL", wrong)
        with pytest.raises(environment.SettingError, match="DATABASE_URL = ") as refused:
            environment.databases(DataPaths(tmp_path), tmp_path / "t")
        assert "secret" not in str(refused.value)


def test_a_database_url_is_read_as_postgresqls_own_clients_read_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://ada@%2Fvar%2FRun%2FPG/station?sslmode=require&connect_timeout=2")
    found = environment.databases(DataPaths(tmp_path), tmp_path / "t")["default"]
    assert (found["HOST"], found["PORT"], found["PASSWORD"]) == ("/var/Run/PG", "", "")
    assert found["OPTIONS"]["sslmode"] == "require"
    assert found["OPTIONS"]["connect_timeout"] == "2"
    assert "lock_timeout" in found["OPTIONS"]["options"]
    monkeypatch.setenv("DATABASE_URL", "postgresql:///station?host=/run/postgresql&user=ada")
    found = environment.databases(DataPaths(tmp_path), tmp_path / "t")["default"]
    assert (found["NAME"], found["HOST"], found["USER"]) == ("station", "/run/postgresql", "ada")


def test_the_settings_use_a_safe_sqlite_that_waits_and_syncs(tmp_path):
    program = (
        "import django; django.setup(); from django.db import connection as c; k = c.cursor();"
        "print(*[k.execute(f'PRAGMA {n}').fetchone()[0] for n in ('journal_mode', 'synchronous', 'busy_timeout')],"
        "c.Database.sqlite_version_info >= (3, 51, 3), c.Database.__name__)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={"STATION_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "controlroom.settings", "PATH": ""},
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout.split() == ["wal", "2", "10000", "True", "pysqlite3.dbapi2"]

"""`python -m pytest -p tests.on_postgresql tests/controlroom_backend tests/pages`: the same tests on a real PostgreSQL.

Only those that touch the database: the others would do again what they did. Loaded before Django's settings are read.
"""

import atexit
import os

import psycopg

from tests.postgresql import FOLDER, Server

TOUCHING = {"db", "transactional_db", "django_db_setup", "processes"}
"""Fixtures that lead to a database."""

if FOLDER not in os.environ:
    _server = Server().start()
    atexit.register(_server.close)
    os.environ[FOLDER] = str(_server.folder)
    os.environ["DATABASE_URL"] = _server.url("station")


def pytest_report_header():
    """Say which database it is."""
    with psycopg.connect(os.environ["DATABASE_URL"].replace("/station", "/postgres")) as connection:
        return f"database: PostgreSQL {connection.info.server_version / 10_000:.4g}"


def pytest_collection_modifyitems(config, items):
    """Leave out what touches no database."""
    chosen = [item for item in items if item.get_closest_marker("django_db") or TOUCHING & set(item.fixturenames)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen

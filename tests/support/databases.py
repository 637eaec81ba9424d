"""Empty databases for tests: a SQLite file each, or one PostgreSQL database that is emptied between tests.

PostgreSQL takes part where `CONSENSUS_TEST_POSTGRES_URL` names a database whose tables may be deleted.
"""

import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from sqlalchemy import text

from consensus_server.backends.store import SqlStore, make_engine, upgrade
from consensus_server.backends.store.schema import metadata

POSTGRES_VARIABLE = "CONSENSUS_TEST_POSTGRES_URL"
DATABASES = ("sqlite", "postgresql")


@cache
def _migrated_file():
    """Migrated once and copied for each test: fifty times faster."""
    path = Path(mkdtemp(prefix="consensus-tests-")) / "template.sqlite3"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


def sqlite_engine(folder):
    path = folder / "consensus.sqlite3"
    if not path.exists():
        shutil.copy(_migrated_file(), path)
    return make_engine(f"sqlite:///{path}")


def postgres_url():
    url = os.environ.get(POSTGRES_VARIABLE)
    if not url:
        pytest.skip(f"{POSTGRES_VARIABLE} names no PostgreSQL database for tests")
    return url


def _postgres_schema(name, *before):
    """A schema for each test process, so that they do not empty each other's tables."""
    schema = f"{name}_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    url = postgres_url()
    outside = make_engine(url)
    with outside.begin() as connection:
        for statement in (*before, "CREATE SCHEMA IF NOT EXISTS {}"):
            connection.execute(text(statement.format(schema)))
    outside.dispose()
    return make_engine(f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}")


def postgres_engine():
    engine = _postgres_schema("consensus_tests")
    upgrade(engine)
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    return engine


def empty_engine(kind, folder):
    return sqlite_engine(folder) if kind == "sqlite" else postgres_engine()


def bare_engine(kind, folder):
    """A database without any table."""
    if kind == "sqlite":
        return make_engine(f"sqlite:///{folder}/bare.sqlite3")
    return _postgres_schema("consensus_migrations", "DROP SCHEMA IF EXISTS {} CASCADE")


def open_sqlite(folder):
    """The store in a folder; opened twice, the same data."""
    return SqlStore(sqlite_engine(folder))

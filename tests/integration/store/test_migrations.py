"""Migrated databases have the schema that the code expects, from empty and again."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from consensus_server.backends.store import DatabaseUrlError, SqlStore, make_engine, open_store, upgrade
from consensus_server.backends.store.schema import metadata
from tests.support.databases import DATABASES, empty_engine, sqlite_engine


@pytest.fixture(params=DATABASES)
def migrated(request, tmp_path):
    engine = empty_engine(request.param, tmp_path)
    yield engine
    engine.dispose()


def test_migrations_make_what_the_code_declares(migrated):
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_constraints_are_those_of_the_code_too(migrated):
    found = inspect(migrated)
    for table in metadata.sorted_tables:
        declared = {c.name for c in table.constraints if c.name} | {index.name for index in table.indexes}
        names = {found.get_pk_constraint(table.name)["name"]}
        for listed in (
            found.get_unique_constraints,
            found.get_foreign_keys,
            found.get_check_constraints,
            found.get_indexes,
        ):
            names |= {each["name"] for each in listed(table.name)}
        assert declared == names


def test_migrating_again_changes_nothing(migrated):
    upgrade(migrated)
    assert SqlStore(migrated).check() == "ok"


def test_processes_that_start_at_the_same_time_migrate_once(tmp_path):
    failures = []

    def start():
        try:
            open_store(f"sqlite:///{tmp_path}/new.sqlite3").close()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_without_the_schema_is_told_apart_from_a_ready_one(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/empty.sqlite3")
    assert "not the newest" in SqlStore(engine).check()
    engine.dispose()


def test_a_database_that_does_not_answer_is_told_without_its_path(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/missing/consensus.sqlite3")
    told = SqlStore(engine).check()
    assert "does not answer" in told
    assert "missing" not in told


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/consensus"])
def test_databases_that_would_not_work_are_refused(url):
    with pytest.raises(DatabaseUrlError, match="sqlite:///FILE"):
        make_engine(url)


def test_sqlite_writes_survive_a_loss_of_power(tmp_path):
    engine = sqlite_engine(tmp_path)
    with engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}

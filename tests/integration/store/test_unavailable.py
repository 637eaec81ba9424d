"""A database that is full, locked, restarted or not there yet: told as what it is, and nothing is lost."""

import socket
import threading
import time

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from consensus_server.backends.store import NewerSchema, SqlStore, engine, open_store
from consensus_server.core.errors import StoreUnavailable
from tests.support.databases import postgres_engine, sqlite_engine


@pytest.fixture
def store(tmp_path):
    held = SqlStore(sqlite_engine(tmp_path))
    yield held
    held.close()


def write_much(store):
    with store.writing() as tx:
        tx.federations._connection.execute(text("CREATE TABLE filler AS SELECT randomblob(4000000) AS bytes"))


def limit_pages(store, number):
    with store._engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA max_page_count = {number}").scalar()


def test_a_full_disk(store):
    kept = limit_pages(store, 1)  # SQLite takes no less than there is
    with pytest.raises(StoreUnavailable) as caught:
        write_much(store)
    assert caught.value.reason == "database or disk is full"
    assert caught.value.code == "not_ready"
    limit_pages(store, kept + 10_000)
    write_much(store)


def test_a_lock_that_is_held_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    one, other = SqlStore(sqlite_engine(tmp_path)), SqlStore(sqlite_engine(tmp_path))
    with (
        one.writing(),
        pytest.raises(StoreUnavailable, match="cannot be used at the moment") as caught,
        other.writing(),
    ):
        pass
    assert caught.value.reason == "database is locked"
    one.close()
    other.close()


def test_what_is_wrong_with_a_request_is_not_blamed_on_the_database(store):
    with pytest.raises(ZeroDivisionError), store.writing():
        _ = 1 / 0


def test_a_postgresql_that_ends_a_connection_is_there_for_the_next_request():
    store = SqlStore(postgres_engine())
    with pytest.raises(StoreUnavailable), store.writing() as tx:
        tx.federations._connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with store.reading() as tx:
        assert tx.federations.all() == ()
    store.close()


def test_a_database_that_is_not_there_yet_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        open_store(f"postgresql+psycopg://nobody@127.0.0.1:{port}/none", patience_seconds=1.5)
    assert time.monotonic() - began >= 1.5


@pytest.mark.parametrize(
    ("said", "waited"),
    [
        ("Connection refused", True),
        ("FATAL:  the database system is starting up", True),
        ('FATAL:  password authentication failed for user "consensus"', False),
        ('FATAL:  database "none" does not exist', False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.7"', False),
        ("", True),
    ],
)
def test_a_refusal_that_no_waiting_mends_is_not_waited_for(monkeypatch, said, waited):
    """psycopg gives no SQLSTATE for a connection that is refused, so that what was said must tell."""
    cause = psycopg.OperationalError(said)
    assert cause.sqlstate is None

    def upgrade(_engine):
        with engine._available():
            raise OperationalError(None, None, cause) from cause

    monkeypatch.setitem(open_store.__globals__, "upgrade", upgrade)
    monkeypatch.setitem(open_store.__globals__, "_LOOK_SECONDS", 0.01)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        open_store("postgresql+psycopg://nobody@127.0.0.1:1/none", patience_seconds=0.2)
    assert (time.monotonic() - began >= 0.2) is waited


def test_one_that_comes_within_the_patience_is_used(tmp_path, monkeypatch):
    """The first tries find nobody; then there is one."""
    tries = threading.Semaphore(2)
    real = open_store.__globals__["upgrade"]

    def upgrade(engine):
        if tries.acquire(blocking=False):
            raise StoreUnavailable("connection refused")
        real(engine)

    monkeypatch.setitem(open_store.__globals__, "upgrade", upgrade)
    monkeypatch.setattr(engine, "may_come", lambda _: True)
    monkeypatch.setitem(open_store.__globals__, "_LOOK_SECONDS", 0.01)
    store = open_store(f"sqlite:///{tmp_path}/late.sqlite3", patience_seconds=30)
    assert store.check() == "ok"
    store.close()


def test_a_database_of_a_newer_version_is_refused_with_the_way_to_move(tmp_path):
    made = sqlite_engine(tmp_path)
    with made.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_of_tomorrow'"))
    made.dispose()
    with pytest.raises(NewerSchema, match="9999_of_tomorrow, which a newer version of the server made"):
        open_store(f"sqlite:///{tmp_path}/consensus.sqlite3")

"""The database itself. Everything that differs between SQLite and PostgreSQL stands in this file."""

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from consensus_server.core.errors import StoreUnavailable

BUSY_SECONDS = 30
"""How long a writer waits for another before it gives up."""

CONNECTIONS = 50
"""More than the threads that use the store."""

BOUND_VALUES = 500
"""Values in one IN list: below every database's limit, and few enough forms of a statement to keep compiled."""

_NOT_MENDED = ("authentication failed", "does not exist", "pg_hba.conf")
"""What PostgreSQL says of a wrong password, role, database or address. Who is refused a connection is told no SQLSTATE."""

_MIGRATION_LOCK = 0x636F_6E73
"""Number of the advisory lock under which a PostgreSQL schema is changed."""


class DatabaseUrlError(ValueError):
    """The database URL cannot be used. The message names the remedy and keeps passwords to itself."""


def make_engine(url: str) -> Engine:
    """An engine for a SQLite file or a PostgreSQL database; connects when it is first used.

    Raises DatabaseUrlError for any other database, and for SQLite in memory, of which each connection has its own.
    """
    kind = make_url(url).get_backend_name()
    if kind == "postgresql":
        return create_engine(url, pool_size=CONNECTIONS, pool_pre_ping=True, connect_args=_connect_args(url))
    if kind != "sqlite":
        raise DatabaseUrlError(
            f"The database {kind} is not supported; use sqlite:///FILE or postgresql+psycopg://HOST/NAME."
        )
    if make_url(url).database in {None, "", ":memory:"}:
        raise DatabaseUrlError("SQLite in memory cannot be shared between threads and processes; use sqlite:///FILE.")
    engine = create_engine(url, pool_size=CONNECTIONS, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """One consistent view of the database. Raises StoreUnavailable."""
    options: dict[str, Any] = {} if _is_sqlite(engine) else {"isolation_level": "REPEATABLE READ"}
    with _available(), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """All or nothing. On SQLite writers stand in line from the start, so that none fails half-way. Raises StoreUnavailable."""
    with _available(), engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def _available() -> Generator[None]:
    """A restart, a full disk, a lock that is held too long: the same request may succeed later, and the caller is told so."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        said = str(error.__cause__ or error).strip() or type(error).__name__
        raise StoreUnavailable(said.splitlines()[0]) from error


def may_come(error: StoreUnavailable) -> bool:
    """Whether it is a PostgreSQL that is not reached yet, or starting; a wrong password is not mended by waiting."""
    cause = getattr(error.__cause__, "orig", None)
    connecting = getattr(cause, "sqlstate", "") is None
    return connecting and not any(each in error.reason for each in _NOT_MENDED)


def clock_of(engine: Engine) -> Callable[[], datetime] | None:
    """What asks the database for the time, in UTC; None for SQLite, which knows none but the machine's. It raises StoreUnavailable."""

    def now() -> datetime:
        with reading(engine) as connection:
            told: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return told.astimezone(UTC)

    return None if _is_sqlite(engine) else now


def lock_schema(connection: Connection) -> None:
    """Let one process at a time change the schema. On SQLite `writing` is enough."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def empty_the_log(engine: Engine) -> bool:
    """Bring SQLite's write-ahead log, which holds pages as they were, into the database, and cut it; False where a reader needs it."""
    if not _is_sqlite(engine):
        return True
    with _available(), closing(engine.raw_connection()) as connection:
        busy = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def insert_unless_held(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT into `table` on which `on_conflict_do_nothing` and `on_conflict_do_update` can be called."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _connect_args(url: str) -> dict[str, Any]:
    """No prepared statements: behind PgBouncer in transaction mode the next transaction may meet another session, without them.

    All else that is used lasts for a transaction: locks, isolation.
    """
    return {"prepare_threshold": None} if make_url(url).get_driver_name() == "psycopg" else {}


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _prepare_sqlite(connection: SqliteConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what is erased is written over, not only unlinked


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

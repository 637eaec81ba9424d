"""The store of the service on SQLAlchemy: one object, many short transactions."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from consensus_server.backends.store import engine as database
from consensus_server.backends.store.audit import SqlAudit
from consensus_server.backends.store.embeddings import SqlEmbeddingStore
from consensus_server.backends.store.erasures import SqlErasures
from consensus_server.backends.store.features import SqlFeatureStore
from consensus_server.backends.store.federations import SqlFederations, SqlParticipants, SqlPromptSets
from consensus_server.backends.store.labels import SqlLabels, SqlTraffic
from consensus_server.backends.store.migrating import is_current, upgrade
from consensus_server.backends.store.panel_memories import SqlPanelMemories
from consensus_server.backends.store.parameters import SqlParameters
from consensus_server.backends.store.pulls import SqlPulls
from consensus_server.backends.store.rounds import SqlEvents, SqlRounds
from consensus_server.backends.store.signing_keys import SqlSigningKeys
from consensus_server.backends.store.spendings import SqlSpendingStore
from consensus_server.backends.store.standings import SqlAppeals, SqlReliabilities
from consensus_server.backends.store.submissions import SqlSubmissions
from consensus_server.backends.store.tokens import SqlInvitations, SqlOperators, SqlTokens
from consensus_server.core.errors import StoreUnavailable

_LOOK_SECONDS = 1.0
"""Between two tries to reach a database at the start."""
_log = structlog.get_logger("consensus_server.database")


class SqlTransaction:
    """`ports.Transaction` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.prompt_sets = SqlPromptSets(connection)
        self.federations = SqlFederations(connection)
        self.participants = SqlParticipants(connection)
        self.operators = SqlOperators(connection)
        self.signing_keys = SqlSigningKeys(connection)
        self.tokens = SqlTokens(connection)
        self.invitations = SqlInvitations(connection)
        self.audit = SqlAudit(connection)
        self.erasures = SqlErasures(connection)
        self.rounds = SqlRounds(connection)
        self.events = SqlEvents(connection)
        self.submissions = SqlSubmissions(connection)
        self.labels = SqlLabels(connection)
        self.reliabilities = SqlReliabilities(connection)
        self.appeals = SqlAppeals(connection)
        self.traffic = SqlTraffic(connection)
        self.parameters = SqlParameters(connection)
        self.pulls = SqlPulls(connection)


class SqlStore:
    """`ports.Store` on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def embeddings(self) -> SqlEmbeddingStore:
        """The vectors, in the same database."""
        return SqlEmbeddingStore(self._engine)

    @cached_property
    def features(self) -> SqlFeatureStore:
        """What was found out about texts, in the same database."""
        return SqlFeatureStore(self._engine)

    @cached_property
    def spendings(self) -> SqlSpendingStore:
        """What callers of panels have spent, in the same database."""
        return SqlSpendingStore(self._engine)

    @cached_property
    def panel_memories(self) -> SqlPanelMemories:
        """What panels remember, in the same database."""
        return SqlPanelMemories(self._engine)

    @contextmanager
    def reading(self) -> Generator[SqlTransaction]:
        """One consistent view."""
        with database.reading(self._engine) as connection:
            yield SqlTransaction(connection)

    @contextmanager
    def writing(self) -> Generator[SqlTransaction]:
        """All or nothing."""
        with database.writing(self._engine) as connection:
            tx = SqlTransaction(connection)
            yield tx
            tx.audit.write()

    def scrub(self) -> bool:
        """Let nothing that was deleted stay in a SQLite file; PostgreSQL does it by itself, and later. False where readers stand in the way."""
        return database.empty_the_log(self._engine)

    def check(self) -> str:
        """`ok`, or what is wrong, in words fit for everybody."""
        try:
            return (
                "ok"
                if is_current(self._engine)
                else "the schema is not the newest; run `consensus-server database upgrade`"
            )
        except (SQLAlchemyError, StoreUnavailable) as error:
            return f"the database does not answer ({type(error.__cause__ or error).__name__})"

    @property
    def clock(self) -> Callable[[], datetime] | None:
        """What asks the database for the time; None where it knows none but the machine's. It raises StoreUnavailable."""
        return database.clock_of(self._engine)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def open_store(url: str, *, patience_seconds: float = 0.0) -> SqlStore:
    """The store at a database URL, its schema brought to the newest version first.

    patience_seconds: how long to wait for a PostgreSQL that is starting, or not reached yet. Raises DatabaseUrlError for a URL that
    cannot be used, NewerSchema, and StoreUnavailable.
    """
    engine = database.make_engine(url)
    until = time.monotonic() + patience_seconds
    while True:
        try:
            upgrade(engine)
        except StoreUnavailable as error:
            if not database.may_come(error) or time.monotonic() > until:
                raise
            _log.warning("waiting for the database", cause=error.reason)
            time.sleep(_LOOK_SECONDS)
        else:
            return SqlStore(engine)

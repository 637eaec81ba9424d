"""The store: SQLAlchemy on SQLite or PostgreSQL, migrated by Alembic."""

from consensus_server.backends.store.embeddings import SqlEmbeddingStore
from consensus_server.backends.store.engine import DatabaseUrlError, make_engine
from consensus_server.backends.store.features import SqlFeatureStore
from consensus_server.backends.store.migrating import NewerSchema, upgrade
from consensus_server.backends.store.panel_memories import SqlPanelMemories
from consensus_server.backends.store.spendings import SqlSpendingStore
from consensus_server.backends.store.store import SqlStore, open_store

__all__ = [
    "DatabaseUrlError",
    "NewerSchema",
    "SqlEmbeddingStore",
    "SqlFeatureStore",
    "SqlPanelMemories",
    "SqlSpendingStore",
    "SqlStore",
    "make_engine",
    "open_store",
    "upgrade",
]

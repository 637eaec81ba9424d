"""Brings a database to the newest schema. Migrations are append-only: one that has been released is never changed."""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from consensus_server.backends.store.engine import lock_schema, reading, writing


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply what is missing, all or nothing. Processes that start at the same time do it one after the other."""
    with writing(engine) as connection:
        lock_schema(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def is_current(engine: Engine) -> bool:
    """True when the schema is the newest. Raises SQLAlchemy's errors when the database does not answer."""
    with reading(engine) as connection:
        heads = set(MigrationContext.configure(connection).get_current_heads())
    return heads == set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "consensus_server.backends.store:migrations")
    return config

"""Brings a database to the newest schema. Migrations are append-only: one that has been released is never changed."""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from consensus_server.backends.store.engine import lock_schema, reading, writing


class NewerSchema(Exception):  # noqa: N818 - a state of the database
    """The database was made by a newer version of the server than this one."""


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply what is missing, all or nothing. Processes that start at the same time do it one after the other.

    Raises NewerSchema, and StoreUnavailable.
    """
    with writing(engine) as connection:
        lock_schema(connection)
        config = _config()
        _require_known(connection, config)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _require_known(connection: Connection, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if unknown := set(MigrationContext.configure(connection).get_current_heads()) - known:
        raise NewerSchema(
            f"the database has the schema {', '.join(sorted(unknown))}, which a newer version of the server made. Run that version, or "
            "put back the copy that was made before the upgrade (consensus-server database restore)"
        )


def is_current(engine: Engine) -> bool:
    """True when the schema is the newest. Raises SQLAlchemy's errors when the database does not answer."""
    with reading(engine) as connection:
        heads = set(MigrationContext.configure(connection).get_current_heads())
    return heads == set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "consensus_server.backends.store:migrations")
    return config

"""What Alembic runs around the migrations. The connection comes from `migrating.upgrade`, which also commits."""

from alembic import context

from consensus_server.backends.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

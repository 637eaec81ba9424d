"""Features of texts in SQL."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Engine, select

from consensus_server.backends.store.chunks import chunks
from consensus_server.backends.store.engine import insert_unless_held, reading, writing
from consensus_server.backends.store.schema import features


class SqlFeatureStore:
    """`ports.FeatureStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, kind: str, version: str, digests: Iterable[str]) -> Mapping[str, str]:
        query = select(features.c.digest, features.c.value).where(
            features.c.kind == kind, features.c.version == version
        )
        with reading(self._engine) as connection:
            return {
                digest: value
                for chunk in chunks(digests)
                for digest, value in connection.execute(query.where(features.c.digest.in_(chunk)))
            }

    def put(self, kind: str, version: str, values: Mapping[str, str]) -> None:
        rows = [
            {"kind": kind, "version": version, "digest": digest, "value": value}
            for digest, value in sorted(values.items())
        ]
        if not rows:
            return
        with writing(self._engine) as connection:
            connection.execute(insert_unless_held(connection, features).on_conflict_do_nothing(), rows)

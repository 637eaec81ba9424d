"""Vectors in SQL, as the bytes of float32 in little endian: what is read is what was written, bit for bit."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float32
from sqlalchemy import Engine, select

from consensus_server.backends.store.chunks import chunks
from consensus_server.backends.store.engine import insert_unless_held, reading, writing
from consensus_server.backends.store.schema import embeddings

_DTYPE = np.dtype("<f4")


class SqlEmbeddingStore:
    """`ports.EmbeddingStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, encoder: str, digests: Iterable[str]) -> Mapping[str, Float32[np.ndarray, " dimension"]]:
        query = select(embeddings.c.digest, embeddings.c.vector).where(embeddings.c.encoder == encoder)
        with reading(self._engine) as connection:
            return {
                digest: np.frombuffer(vector, _DTYPE).astype(np.float32)
                for chunk in chunks(digests)
                for digest, vector in connection.execute(query.where(embeddings.c.digest.in_(chunk)))
            }

    def put(self, encoder: str, vectors: Mapping[str, Float32[np.ndarray, " dimension"]]) -> None:
        rows = [
            {"encoder": encoder, "digest": digest, "vector": np.asarray(vector, _DTYPE).tobytes()}
            for digest, vector in sorted(vectors.items())
        ]
        if not rows:
            return
        with writing(self._engine) as connection:
            connection.execute(insert_unless_held(connection, embeddings).on_conflict_do_nothing(), rows)

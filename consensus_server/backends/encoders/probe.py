"""Fixed texts that tell whether a model behind an address is still the one that it was.

A hosted model has a name and no weights that could be digested, and its vectors of one text differ in their last digits
from call to call. So the vectors of a few texts are kept, by the store that keeps all vectors, and compared with new
ones. Their digest stands in the encoder's identity in place of the weights'.
"""

from hashlib import sha256

import numpy as np
from jaxtyping import Float32

from client_kit.wire import content_digest
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.ports import EmbeddingStore

PROBES = (
    "The capital of France is Paris.",
    "Wash your hands for twenty seconds before you change the dressing.",
    "for i in range(10): print(i * i)",
    "Der Zug nach Hamburg fährt heute von Gleis sieben.",
)
"""Never changed: the digests in federations depend on them. Unlike in kind, since fine-tuning moves some kinds only."""

LEAST_COSINE = 0.998
"""Of a probe's new vector to its kept one. Half precision and other batches move it by less than 0.001; another model,
or the same trained further, by far more."""

Vectors = Float32[np.ndarray, "probes dimension"]


def kept_probes(identity: EncoderIdentity, fresh: Vectors, store: EmbeddingStore) -> Vectors:
    """The probes' first vectors under this identity: those of the store, else `fresh`, which it keeps from now on."""
    digests = [content_digest(text) for text in PROBES]
    store.put(identity.digest, dict(zip(digests, fresh, strict=True)))
    held = store.get(identity.digest, digests)
    kept: Vectors = np.stack([held[digest] for digest in digests])
    return kept


def lowest_cosine(kept: Vectors, fresh: Vectors) -> float:
    """Of each kept unit vector to its fresh one, the lowest (-1..1)."""
    return float(np.sum(kept.astype(np.float64) * fresh, axis=1).min())


def probe_digest(kept: Vectors) -> str:
    """SHA-256 over the kept vectors, as float32 in little endian."""
    return sha256(np.ascontiguousarray(kept, dtype="<f4").tobytes()).hexdigest()

"""Vectors for a round's answers: stored ones where they are held, new ones where they are not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from consensus_server.core.encoders import EncoderIdentity
from consensus_server.ports import EmbeddingStore, Encoder

SLICE_TEXTS = 512
"""Texts encoded between two writes to the store: what a crash can cost, about ten seconds on two cores."""


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """Vectors by content digest, and what they cost."""

    vectors: Mapping[str, Float32[np.ndarray, " dimension"]]
    """As the store holds them; zeros for a text that the encoder could not embed."""
    openings: Mapping[str, Float32[np.ndarray, " dimension"]]
    """Vectors of the texts' openings (first windows), by content digest of the whole text."""
    encoded: int
    """Texts that went through the encoder."""
    reused: int
    """Texts whose vector was stored before."""


def embed_texts(
    texts_by_digest: Mapping[str, str],
    encoder: Encoder,
    store: EmbeddingStore,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingResult:
    """Vectors of all texts and of their openings, one each per content digest; only what the store lacks is encoded.

    Slices are cut from the missing texts sorted by length, longest first, then digest, and each is stored as soon as
    it is encoded: after a crash the rest is cut at the same places. The vectors returned are those that the store
    kept, so that two workers on one round decide alike. Vectors that are not finite are not stored, so that a later
    round tries again; they come back as zeros, which the core does not admit.
    progress: called with (texts done, texts in all) at the start and after each slice.
    """
    identities = (encoder.identity, encoder.identity.of_openings)
    vectors, openings = (dict(store.get(identity.digest, texts_by_digest)) for identity in identities)
    missing = sorted(
        texts_by_digest.keys() - (vectors.keys() & openings.keys()),
        key=lambda digest: (-len(texts_by_digest[digest]), digest),
    )
    reused = len(texts_by_digest) - len(missing)
    _report(progress, reused, len(texts_by_digest))
    for start in range(0, len(missing), SLICE_TEXTS):
        part = missing[start : start + SLICE_TEXTS]
        encoded = encoder.encode_with_openings([texts_by_digest[digest] for digest in part])
        vectors |= _stored(part, encoded[0], identities[0], store)
        openings |= _stored(part, encoded[1], identities[1], store)
        _report(progress, reused + start + len(part), len(texts_by_digest))
    return EmbeddingResult(vectors=vectors, openings=openings, encoded=len(missing), reused=reused)


def _stored(
    digests: Sequence[str], encoded: Float32[np.ndarray, "..."], identity: EncoderIdentity, store: EmbeddingStore
) -> dict[str, Float32[np.ndarray, " dimension"]]:
    """The vectors that the store keeps of those that were encoded."""
    if encoded.shape != (len(digests), identity.dimension):
        raise ValueError(
            f"the encoder {identity.name} returned {encoded.shape} for {len(digests)} texts of {identity.dimension} dimensions"
        )
    finite = {digest: row for digest, row in zip(digests, encoded, strict=True) if np.isfinite(row).all()}
    store.put(identity.digest, finite)
    unembeddable = np.zeros(identity.dimension, dtype=np.float32)
    # What was erased between the two, by another federation, is encoded here already.
    return dict.fromkeys(digests, unembeddable) | finite | dict(store.get(identity.digest, finite))


def _report(progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)

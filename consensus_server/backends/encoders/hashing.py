"""A stand-in for tests and dry runs: it counts words and letters and knows no meaning."""

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from consensus_server.backends.encoders.terms import GRAM, grams, opening, visible, words
from consensus_server.core.encoders import EncoderIdentity

_DIMENSION = 1024
_GRAM_WEIGHT = 0.25
"""A word has about as many n-grams as letters; together they should weigh about as much as the word itself."""


class HashingEncoder:
    """STAND-IN, not for use: texts are close where they share words, whatever they mean.

    v = sum over words w of e[hash(w)] + 1/4 sum over character 3-grams g of e[hash(g)], divided by its length, with
    CRC-32 as the hash and 1024 places. Entries are never negative, so that no text with content cancels to zero.
    Needs numpy only; a thousand answers take about a second.
    """

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(
            name="hashing-STAND-IN",
            weights="none",
            pooling="sum, normalised",
            chunking=f"whole text; words and character {GRAM}-grams x {_GRAM_WEIGHT}",
            dtype="float32",
            backend="numpy",
            dimension=_DIMENSION,
        )

    @property
    def stand_in(self) -> bool:
        """Always true: served answers are grouped by their letters."""
        return True

    def encode_with_openings(
        self, texts: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "texts dimension"], Float32[np.ndarray, "texts dimension"]]:
        """Unit vectors of the texts and of their first 254 words; zeros for a text without visible characters."""
        return _embedded(texts), _embedded([opening(text) for text in texts])


def _embedded(texts: Sequence[str]) -> Float32[np.ndarray, "texts dimension"]:
    vectors = np.zeros((len(texts), _DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = _embed(text)
    return vectors


def _embed(text: str) -> Float32[np.ndarray, " dimension"]:
    vector = np.zeros(_DIMENSION)
    for (feature, weight), count in sorted(Counter(_features(visible(text))).items()):
        vector[zlib.crc32(feature.encode("utf-8", "surrogatepass")) % _DIMENSION] += weight * count
    norm = np.linalg.norm(vector)
    return (vector / norm if norm else vector).astype(np.float32)


def _features(text: str) -> Iterator[tuple[str, float]]:
    """Words with weight 1, n-grams with less."""
    yield from ((word, 1.0) for word in words(text))
    yield from ((gram, _GRAM_WEIGHT) for gram in grams(text))

"""Latent semantic analysis: an encoder that is fitted to texts of one's own, in seconds, with scikit-learn."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Float64

from consensus_server.backends.encoders.terms import GRAM, grams, opening, visible, words
from consensus_server.backends.encoders.weights import EncoderError, weights_digest
from consensus_server.core.encoders import EncoderIdentity

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer

SETTINGS_FILE = "lsa.json"
"""Marks a folder as an encoder of this kind, and says what it was fitted on."""
WEIGHTS_FILE = "lsa.safetensors"
VOCABULARY_FILE = "vocabulary.json"
FORMAT = 1

DIMENSION = 256
MOST_TERMS = 30_000
"""Of the vocabulary; the most frequent ones."""
UNSEEN_PLACES = 256
"""For terms that the fit did not see, hashed: a text without one known term is still like its own copy."""
UNSEEN_WEIGHT = 0.5
"""Of such terms, beside an inverse document frequency as if one document had them."""
ROUNDS = 8
"""Power iterations of the truncated decomposition."""


class LsaEncoder:
    """SMALL AND LEXICAL: tf-idf of words and character 3-grams, on the axes along which the fitted texts vary most.

    v = (x W, u / 2), divided by its length. x are the weights (1 + ln tf) idf of the known terms, W (terms x dimension)
    the right singular vectors of the fitted texts' normalised tf-idf, u the same weights of unknown terms, hashed into
    256 places. Words that stand in like contexts come to lie on like axes, so that it knows a little of meaning, of what
    it was fitted on only. After Deerwester et al., "Indexing by latent semantic analysis" (1990); character n-grams
    and the hashed part are ours. A row does not depend on its neighbours.
    """

    stand_in = False

    def __init__(
        self,
        identity: EncoderIdentity,
        vocabulary: Sequence[str],
        idf: Float64[np.ndarray, " terms"],
        axes: Float32[np.ndarray, "terms dimension"],
    ) -> None:
        self._identity = identity
        self._known = frozenset(vocabulary)
        self._counting = _vectorizer(vocabulary=list(vocabulary))
        self._counting.idf_ = idf
        self._hashing = _hashing(self._unseen_terms)
        self._unseen = UNSEEN_WEIGHT * float(idf.max(initial=1.0))
        self._axes = axes.astype(np.float64)

    @classmethod
    def load(cls, folder: Path) -> "LsaEncoder":
        """Read what `fit_lsa` wrote. Raises EncoderError naming the file."""
        settings = _read_json(folder / SETTINGS_FILE)
        if settings.get("format") != FORMAT:
            raise EncoderError(
                f"{folder / SETTINGS_FILE} is of another version ({settings.get('format')}). Fit it anew."
            )
        vocabulary = _read_json(folder / VOCABULARY_FILE)
        idf, axes = _read_weights(folder / WEIGHTS_FILE)
        if not len(vocabulary) == len(idf) == len(axes):
            raise EncoderError(f"{folder}: vocabulary and weights are of different fits. Fit it anew.")
        digest = hashlib.sha256(
            (weights_digest(folder) + json.dumps(vocabulary, ensure_ascii=True)).encode()
        ).hexdigest()
        return cls(_identity(folder.name, digest, axes.shape[1]), vocabulary, idf, axes)

    @property
    def identity(self) -> EncoderIdentity:
        return self._identity

    def encode_with_openings(
        self, texts: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "texts dimension"], Float32[np.ndarray, "texts dimension"]]:
        """Unit vectors of the texts and of their first 254 words; zeros for a text without visible characters."""
        vectors = self._embedded(texts)
        openings = vectors.copy()
        longer = [(row, start) for row, text in enumerate(texts) if (start := opening(text)) != text]
        if longer:
            openings[[row for row, _ in longer]] = self._embedded([start for _, start in longer])
        return vectors, openings

    def _embedded(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dimension"]:
        if not texts:
            return np.zeros((0, self._identity.dimension), dtype=np.float32)
        shown = [visible(text) for text in texts]
        known = self._counting.transform(shown) @ self._axes
        counts = self._hashing.transform(shown)
        counts.data = self._unseen * (1 + np.log(counts.data))
        vectors = np.hstack([known, counts.toarray()])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Float32[np.ndarray, "texts dimension"] = np.divide(
            vectors, norms, out=np.zeros_like(vectors), where=norms > 0
        ).astype(np.float32)
        return unit

    def _unseen_terms(self, text: str) -> Iterator[str]:
        return (term for term in _terms(text) if term not in self._known)


def fit_lsa(texts: Sequence[str], folder: Path, *, dimension: int = DIMENSION, source: str = "") -> LsaEncoder:
    """Fit an encoder to texts and write it to `folder`, which must not exist: it appears whole or not at all.

    dimension: most axes; fewer where the texts are fewer or have fewer terms. source: said in the folder, for people.
    The same texts in any order give the same files, on one kind of processor. Raises EncoderError for fewer than three
    texts with content, or where the folder is there already.
    """
    distinct = sorted({shown for text in texts if (shown := visible(text))})
    if len(distinct) < 3:  # noqa: PLR2004 - two axes are the least that can be told apart
        raise EncoderError(
            f"there are {len(distinct)} different texts with content; give three or more, better thousands."
        )
    if folder.exists():
        raise EncoderError(f"{folder} exists already. Choose another folder: what an encoder is must not change.")
    counting = _vectorizer(max_features=MOST_TERMS, norm="l2")
    weights = counting.fit_transform(distinct)
    axes = _axes(weights, min(dimension, *(size - 1 for size in weights.shape)))
    settings = {"format": FORMAT, "texts": len(distinct), "source": source}
    _write(folder, settings, list(counting.get_feature_names_out()), counting.idf_, axes)
    return LsaEncoder.load(folder)


def _axes(weights: Any, dimension: int) -> Float32[np.ndarray, "terms dimension"]:  # noqa: ANN401 - a sparse matrix
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415 - heavy
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with scikit-learn

    with threadpool_limits(limits=1):  # sums over several threads would end in other digits
        fitted = TruncatedSVD(dimension, n_iter=ROUNDS, random_state=0).fit(weights)
    axes: Float32[np.ndarray, "terms dimension"] = np.ascontiguousarray(fitted.components_.T, dtype=np.float32)
    return axes


def _terms(text: str) -> Iterator[str]:
    """Words and character n-grams of a text that `visible` gave."""
    yield from words(text)
    yield from grams(text)


def _vectorizer(**options: object) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - heavy

    return TfidfVectorizer(**{"analyzer": _terms, "sublinear_tf": True, "norm": None, **options})


def _hashing(terms: object) -> "HashingVectorizer":
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415 - heavy

    # Without signs: no text can cancel to zero.
    return HashingVectorizer(analyzer=terms, n_features=UNSEEN_PLACES, norm=None, alternate_sign=False)


def _identity(name: str, digest: str, axes: int) -> EncoderIdentity:
    return EncoderIdentity(
        name=f"lsa-LEXICAL:{name}",
        weights=digest,
        pooling=f"tf-idf on {axes} axes, {UNSEEN_PLACES} places for unseen terms x {UNSEEN_WEIGHT}, normalised",
        chunking=f"whole text; words and character {GRAM}-grams",
        dtype="float32",
        backend="scikit-learn",
        dimension=axes + UNSEEN_PLACES,
    )


def _write(
    folder: Path,
    settings: dict[str, object],
    vocabulary: list[str],
    idf: Float64[np.ndarray, " terms"],
    axes: Float32[np.ndarray, "terms dimension"],
) -> None:
    from safetensors.numpy import save_file  # noqa: PLC0415 - comes with sentence-transformers

    building = folder.with_name(f".{folder.name}.building")
    building.mkdir(parents=True)
    (building / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (building / VOCABULARY_FILE).write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    save_file({"idf": idf.astype(np.float64), "axes": axes}, building / WEIGHTS_FILE)
    building.rename(folder)


def _read_json(path: Path) -> Any:  # noqa: ANN401 - checked by the caller
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read ({type(error).__name__}). Fit the encoder anew.") from error


def _read_weights(path: Path) -> tuple[Float64[np.ndarray, " terms"], Float32[np.ndarray, "terms dimension"]]:
    from safetensors import SafetensorError  # noqa: PLC0415 - comes with sentence-transformers
    from safetensors.numpy import load_file  # noqa: PLC0415

    try:
        held = load_file(path)
        return held["idf"], held["axes"]
    except (OSError, KeyError, SafetensorError) as error:
        raise EncoderError(f"{path} cannot be read ({error}). Fit the encoder anew.") from error

"""Encoders: how a text becomes a vector. Heavy libraries are imported when an encoder that needs them is loaded."""

from pathlib import Path

from consensus_server.backends.encoders.embeddings_api import EmbeddingsApi as EmbeddingsApi
from consensus_server.backends.encoders.embeddings_api import EmbeddingsApiEncoder
from consensus_server.backends.encoders.hashing import HashingEncoder as HashingEncoder
from consensus_server.backends.encoders.lsa import SETTINGS_FILE, LsaEncoder
from consensus_server.backends.encoders.lsa import fit_lsa as fit_lsa
from consensus_server.backends.encoders.sentence_transformer import (
    SentenceTransformerEncoder as SentenceTransformerEncoder,
)
from consensus_server.backends.encoders.weights import DEFAULT_ENCODER as DEFAULT_ENCODER
from consensus_server.backends.encoders.weights import PINNED, locate, pinned_identity, verify
from consensus_server.backends.encoders.weights import EncoderError as EncoderError
from consensus_server.backends.encoders.weights import WeightsMismatchError as WeightsMismatchError
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.ports import EmbeddingStore, Encoder

STAND_IN = "hashing"
"""Name under which the stand-in is asked for."""
API_PREFIX = "openai:"
"""Stands before the name of a model behind an embeddings endpoint."""


def load_encoder(
    name: str = DEFAULT_ENCODER,
    *,
    folder: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    prefix: str | None = None,
    tokens: int | None = None,
    api: EmbeddingsApi | None = None,
    store: EmbeddingStore | None = None,
) -> Encoder:
    """An encoder by name.

    name: `all-MiniLM-L6-v2` (pinned); any sentence-transformers model by hub name or folder; the folder of an encoder
        that `consensus-server encoder fit` wrote; `openai:MODEL` behind `api`; `hashing`, the stand-in.
    folder: where the model's files lie; its pins still hold. device: `cpu`, `cuda`, `cuda:1`.
    threads: CPU threads of torch in this process; None leaves its own choice.
    prefix, tokens: of sentence-transformers models alone (`SentenceTransformerEncoder.load`).
    store: keeps what an endpoint's model is recognised by.
    Raises EncoderError naming cause and remedy, WeightsMismatchError where pinned files were changed.
    """
    if name.startswith(API_PREFIX):
        return _behind_api(name.removeprefix(API_PREFIX), api, store)
    if name == STAND_IN:
        return HashingEncoder()
    fitted = Path(name).expanduser()
    if (fitted / SETTINGS_FILE).is_file():
        return LsaEncoder.load(fitted)
    return SentenceTransformerEncoder.load(
        name, folder=folder, device=device, threads=threads, prefix=prefix, tokens=tokens
    )


def known_identity(name: str, *, prefix: str | None = None, tokens: int | None = None) -> EncoderIdentity | None:
    """Identity of an encoder that is known without loading it: the pinned model and the stand-in; None for any other.

    The pinned model's files are verified. Raises as `load_encoder`.
    """
    if name == STAND_IN:
        return HashingEncoder().identity
    if name not in PINNED or prefix is not None or tokens is not None or Path(name).is_dir():
        return None
    verify(locate(name, None), PINNED[name])
    return pinned_identity(name)


def _behind_api(model: str, api: EmbeddingsApi | None, store: EmbeddingStore | None) -> Encoder:
    if api is None or not model:
        raise EncoderError(
            f"{API_PREFIX}MODEL is a model behind an embeddings endpoint: set CONSENSUS_ENCODER_URL to its address, up to "
            "/v1, and CONSENSUS_ENCODER_DIMENSION to the length of its vectors."
        )
    if store is None:
        raise EncoderError("an endpoint's model is recognised by stored vectors: give the store that keeps them.")
    return EmbeddingsApiEncoder(model, api, store)

"""Encoders: how a text becomes a vector. Heavy libraries are imported when an encoder that needs them is loaded."""

from pathlib import Path

from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.backends.encoders.sentence_transformer import SentenceTransformerEncoder
from consensus_server.backends.encoders.weights import DEFAULT_ENCODER, EncoderError, WeightsMismatchError
from consensus_server.ports import Encoder

__all__ = [
    "DEFAULT_ENCODER",
    "Encoder",
    "EncoderError",
    "HashingEncoder",
    "SentenceTransformerEncoder",
    "WeightsMismatchError",
    "load_encoder",
]

STAND_IN = "hashing"
"""Name under which the stand-in is asked for."""


def load_encoder(
    name: str = DEFAULT_ENCODER, *, folder: Path | None = None, device: str = "cpu", threads: int | None = None
) -> Encoder:
    """An encoder by name: `all-MiniLM-L6-v2` (pinned), any sentence-transformers model by hub name or path, `hashing`.

    folder: where the model's files lie; its pins still hold. device: `cpu`, `cuda`, `cuda:1`.
    threads: CPU threads of torch in this process; None leaves its own choice.
    Raises EncoderError naming cause and remedy, WeightsMismatchError where pinned files were changed.
    """
    if name == STAND_IN:
        return HashingEncoder()
    return SentenceTransformerEncoder.load(name, folder=folder, device=device, threads=threads)

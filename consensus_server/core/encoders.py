"""What a vector depends on."""

from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from json import dumps


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Everything that a vector depends on. Equal identities mean comparable vectors."""

    name: str
    weights: str
    """SHA-256 of the weights, or a word for an encoder that has none."""
    pooling: str
    chunking: str
    dtype: str
    backend: str
    dimension: int

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of all fields."""
        return sha256(dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def of_openings(self) -> "EncoderIdentity":
        """Identity of the vectors of openings: what the same encoder makes of a text's first window alone."""
        return replace(self, chunking=f"first window only of: {self.chunking}")

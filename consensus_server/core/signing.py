"""Signatures and the keys that make them, as the store keeps them. Keys and signatures are hexadecimal."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of a participant."""

    key: str
    registered_at: datetime
    ended_at: datetime | None = None
    """None: it is the one that signs."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement as it was signed."""

    statement: str
    """Its text, canonical JSON: what is signed stays what it was, whatever later versions add."""
    key: str
    signature: str

"""Signatures and the keys that make them: Ed25519 (RFC 8032). Public keys and signatures are lower-case hexadecimal."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from client_kit.wire.base import Request, WireModel
from client_kit.wire.limits import Matching

PublicKey = Annotated[str, Matching(r"^[0-9a-f]{64}$", "be an Ed25519 public key in 64 digits from 0-9 and a-f")]
"""32 bytes: short enough to be compared by people, so that it needs no fingerprint beside it."""

SignatureText = Annotated[str, Matching(r"^[0-9a-f]{128}$", "be an Ed25519 signature in 128 digits from 0-9 and a-f")]


class Signature(Request):
    """Who signed, and the signature. What is signed are the bytes of a statement (`client_kit.wire.statements`)."""

    key: PublicKey
    signature: SignatureText


class KeyRegistration(Request):
    """A participant's public key, from now on the only one that signs its seals."""

    key: PublicKey
    proof: SignatureText
    """Of the `KeyStatement`, by this key: whoever registers it has it."""
    endorsement: SignatureText | None = None
    """Of the same statement, by the key that it replaces; where there is none, nothing. A stolen token replaces no key."""


class SigningKey(WireModel):
    """A public key of a participant, and when it was the one that signed."""

    key: PublicKey
    registered_at: datetime
    ended_at: datetime | None = None
    """None: it is the one that signs now."""


class SigningKeyList(WireModel):
    """Every key of a participant, oldest first."""

    items: list[SigningKey] = Field(default_factory=list)

"""Ed25519 keys in files, signatures and their checks. Needs the extra `signing`, which the extra `server` has too.

A key file is PEM (PKCS #8, no password), as `openssl genpkey -algorithm ed25519` writes it.
"""

import os
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.storage import write_secret
from client_kit.wire.signatures import Signature
from client_kit.wire.statements import RoundStatement, SignedRound, Statement, signed_bytes

MOST_BYTES = 16 * 1024
"""A key file is a few hundred bytes."""


class PrivateKey:
    """A key that signs. Its text form names the public half only."""

    def __init__(self, key: Any) -> None:  # noqa: ANN401 - of a library that is imported late
        """key: `Ed25519PrivateKey` of cryptography."""
        self._key = key
        self.public: str = key.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"PrivateKey({self.public})"

    def sign(self, statement: Statement) -> Signature:
        """The statement's signature."""
        return Signature(key=self.public, signature=self._key.sign(statement.signed_bytes()).hex())


def is_signed(message: bytes, signature: Signature) -> bool:
    """Whether the signature is one of these bytes, by the key that it names."""
    _require_library()
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - not in the base install
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.key)).verify(
            bytes.fromhex(signature.signature), message
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def round_fault(signed: SignedRound, key: str, **told: object) -> str | None:
    """Why a round is not what a server signed; None where it is. key: the server's public one. told: fields of the statement."""
    if signed.signature.key != key:
        return f"it is signed with {signed.signature.key}, and the server's key is {key}"
    if not is_signed(signed_bytes(RoundStatement.domain, signed.statement), signed.signature):
        return "the signature is not one of its statement"
    try:
        stated = RoundStatement.model_validate_json(signed.statement)
    except ValueError:
        return "what was signed is no statement of a round"
    wrong = [name for name, value in told.items() if getattr(stated, name) != value]
    return f"what was signed has other {' and '.join(wrong)}" if wrong else None


def new_key(file: Path) -> PrivateKey:
    """Make a key and write it to a new file that only its owner can read. Raises ConfigurationError where there is one."""
    key = _generated()
    try:
        write_secret(file, _pem(key))
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}; a key never takes another's place"
        ) from None
    return PrivateKey(key)


def read_key(file: Path) -> PrivateKey:
    """The key of a file. Raises ConfigurationError where it cannot be read or holds none."""
    _require_library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        with file.open("rb") as stream:
            key = load_pem_private_key(stream.read(MOST_BYTES), password=None)
    except OSError as error:
        raise ConfigurationError(f"the signing key {file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{file} holds no Ed25519 key in PEM without a password; consensus key new makes one")
    return PrivateKey(key)


def kept_key(file: Path) -> PrivateKey:
    """The key of a file, made where there is none, whole before it is seen: two that start at once agree on one."""
    if not file.exists():
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_secret(draft, _pem(_generated()))
            os.link(draft, file)
        except FileExistsError:
            pass  # another was faster
        except OSError as error:
            raise ConfigurationError(f"the signing key {file} cannot be written: {error.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)
    return read_key(file)


def _generated() -> Any:  # noqa: ANN401 - as above
    _require_library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.generate()


def _pem(key: Any) -> str:  # noqa: ANN401 - as above
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    written: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return written.decode()


@cache
def _require_library() -> None:
    """Raises MissingExtra."""
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra("signing", "signing") from error

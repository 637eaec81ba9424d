"""What is signed. Both sides build the same statement from what they know, so that a signature fits one seal of one round only.

    signed bytes = domain NEWLINE canonical JSON of the statement, in UTF-8

The domain says what kind of statement it is: a signature of one kind is never one of another.
"""

from collections.abc import Iterable
from datetime import UTC
from hashlib import sha256
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel

from client_kit.wire.base import WireModel
from client_kit.wire.digests import canonical_json
from client_kit.wire.federations import ConsensusPolicy, Federation
from client_kit.wire.limits import Digest, Name
from client_kit.wire.rounds import RoundCard, RoundTimings
from client_kit.wire.signatures import PublicKey, Signature
from client_kit.wire.submissions import PrivacyStatement, Seal

Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Statement(WireModel):
    """Root of what is signed: it belongs to one federation, which its name and its beginning tell from every other."""

    domain: ClassVar[str]
    federation: Name
    created_at: Moment

    def text(self) -> str:
        """Canonical JSON: equal statements are equal texts."""
        return canonical_json(self.model_dump(mode="json"))

    def signed_bytes(self) -> bytes:
        """What the signature is of."""
        return signed_bytes(self.domain, self.text())


def signed_bytes(domain: str, text: str) -> bytes:
    """The bytes that are signed of a statement whose text is kept."""
    return f"{domain}\n{text}".encode()


class KeyStatement(Statement):
    """A participant's key is this one."""

    domain: ClassVar[str] = "semantic-consensus/key/v1"
    participant: Name
    key: PublicKey


class SealStatement(Statement):
    """A participant's submission to a round is complete: everything that its seal says, and under which terms."""

    domain: ClassVar[str] = "semantic-consensus/seal/v1"
    prompt_set: Digest
    policy: Digest
    """`policy_digest` of the federation's."""
    number: int
    """Of the round."""
    participant: Name
    count: int
    digest: Digest
    training_rights: bool
    privacy: PrivacyStatement | None
    taught_through: int
    carried_from: int | None


def seal_statement(terms: Federation, number: int, participant: str, seal: Seal) -> SealStatement:
    """What a seal is signed as."""
    return SealStatement(
        federation=terms.federation,
        created_at=terms.created_at,
        prompt_set=terms.prompt_set,
        policy=policy_digest(terms.policy),
        number=number,
        participant=participant,
        count=seal.count,
        digest=seal.digest,
        training_rights=seal.training_rights,
        privacy=seal.privacy,
        taught_through=seal.taught_through,
        carried_from=seal.carried_from,
    )


class RoundStatement(Statement):
    """A round was published by this server, and this is all that made it and came of it. Digests, but for the names."""

    domain: ClassVar[str] = "semantic-consensus/round/v1"
    prompt_set: Digest
    policy: Digest
    """`policy_digest` of what decided the round."""
    terms: Digest
    """`told_digest` of the whole `Federation`."""
    encoder: Digest
    number: int
    labels: Digest
    """The round's own: the SHA-256 of the lines of its pseudo-labels."""
    card: Digest
    """`card_digest`."""
    seals: Digest
    """`lines_digest` of the `SealRecord` of every sealed submission, by participant."""
    basis: Digest
    """`lines_digest` of what earlier rounds and appeals said, from which the round was decided beside its answers."""
    published_at: Moment


class SignedRound(WireModel):
    """A published round, signed by its server."""

    statement: str
    """Text of the `RoundStatement`, as it was signed."""
    signature: Signature


class ServerKey(WireModel):
    """The key that signs the rounds of a server."""

    key: PublicKey


class SealRecord(WireModel):
    """A sealed submission as its round has it."""

    participant: Name
    count: int
    digest: Digest
    sealed_at: Moment
    taught_through: int = 0
    carried_from: int | None = None
    """Where the answers were given first."""
    statement: str | None = None
    """Text of the `SealStatement`, as the participant signed it; null: it did not sign."""
    signature: Signature | None = None

    def line(self) -> str:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))


def signed_card(card: RoundCard) -> RoundCard:
    """A round card as every member reads it, which is what is signed: without echoes, timings, what a cache saved and what was erased since."""
    counts = card.counts.model_copy(update={"encoded": 0, "reused": 0})
    timings = RoundTimings(encoding_seconds=0, deciding_seconds=0, total_seconds=0)
    return card.model_copy(update={"echoes": [], "counts": counts, "timings": timings, "erased": []})


def card_digest(card: RoundCard) -> str:
    """`told_digest` of the `signed_card`."""
    return told_digest(signed_card(card))


def lines_digest(lines: Iterable[str]) -> str:
    """SHA-256 of lines, each with a newline after it."""
    digest = sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def policy_digest(policy: ConsensusPolicy) -> str:
    """SHA-256 of what a policy says other than by default: fields that later versions add change no digest of before."""
    return told_digest(policy)


def told_digest(message: BaseModel) -> str:
    """SHA-256 of the canonical JSON of a message without the fields that have their defaults."""
    return sha256(canonical_json(message.model_dump(mode="json", exclude_defaults=True)).encode()).hexdigest()

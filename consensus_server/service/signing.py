"""Signatures of participants: what their seals must be signed as, and by which key."""

from dataclasses import asdict

from client_kit.signing import is_signed
from client_kit.wire import ConsensusPolicy, SealStatement, Signature, Signatures, policy_digest
from client_kit.wire import Federation as WireFederation
from consensus_server.core.errors import SignatureMissing, SignatureRefused
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.signing import Signed, SigningKey
from consensus_server.ports import SealedSubmission, Transaction


def agreed_terms(federation: Federation) -> WireFederation:
    """What a federation agreed on, as every member reads it."""
    agreed = asdict(federation.terms)
    return WireFederation(
        federation=agreed.pop("name"), **agreed, encoder=federation.encoder, created_at=federation.created_at
    )


def agreed_policy(federation: Federation) -> str:
    """The digest of the federation's policy, as every member counts it."""
    return policy_digest(ConsensusPolicy.model_validate(federation.terms.policy, from_attributes=True))


def require_signature(federation: Federation, *, signed: bool) -> None:
    """Raise SignatureMissing where the federation takes only signed seals, and this is none."""
    if federation.terms.signatures == Signatures.REQUIRED and not signed:
        raise SignatureMissing(f"{federation.name} takes only seals that their participants signed.")


def current_key(tx: Transaction, participant: Participant) -> SigningKey | None:
    """The key that signs the participant's seals now."""
    return next((each for each in tx.signing_keys.of(participant) if each.ended_at is None), None)


def signed_seal(  # noqa: PLR0917 - everything that the statement is made of
    tx: Transaction,
    federation: Federation,
    number: int,
    participant: Participant,
    given: SealedSubmission,
    signature: Signature,
    *,
    training_rights: bool,
) -> Signed:
    """What is kept of a seal's signature. given: what the seal says, as it was sent. Raises SignatureRefused."""
    statement = SealStatement.model_validate(
        {
            "federation": federation.name,
            "created_at": federation.created_at,
            "prompt_set": federation.terms.prompt_set,
            "policy": agreed_policy(federation),
            "number": number,
            "participant": participant.name,
            "count": given.count,
            "digest": given.digest,
            "training_rights": training_rights,
            "privacy": given.privacy,
            "taught_through": given.taught_through,
            "carried_from": given.carried_from,
        },
        from_attributes=True,
    )
    _require_current(current_key(tx, participant), participant, signature)
    if not is_signed(statement.signed_bytes(), signature):
        raise SignatureRefused(
            f"The signature is not one of this seal: of {participant.name}, {given.count} answers, in round {number} of "
            f"{federation.name}, under its prompt set and policy."
        )
    return Signed(statement.text(), signature.key, signature.signature)


def _require_current(current: SigningKey | None, participant: Participant, signature: Signature) -> None:
    if current is None:
        raise SignatureRefused(f"{participant.name} has registered no signing key.", remedy="Register the key first.")
    if current.key != signature.key:
        raise SignatureRefused(
            f"The seal is signed with {signature.key}, and {participant.name} signs with {current.key}."
        )

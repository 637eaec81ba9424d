"""The server's signature of a published round: over its card, its labels, its policy and its seals."""

from collections.abc import Callable

from client_kit.signing import PrivateKey
from client_kit.wire import (
    ConsensusPolicy,
    RoundStatement,
    SealRecord,
    Signature,
    card_digest,
    lines_digest,
    policy_digest,
    told_digest,
)
from client_kit.wire import RoundCard as WireCard
from consensus_server.core.errors import RoundNotPublished
from consensus_server.core.federations import Federation
from consensus_server.core.labels import RoundCard
from consensus_server.core.rounds import Round
from consensus_server.core.signing import Signed
from consensus_server.ports import Clock, SealedSubmission, Store, Transaction
from consensus_server.service.access import MEMBERS, Caller
from consensus_server.service.published import published_round
from consensus_server.service.signing import agreed_terms


class RoundSignatures:
    """Who signed which round. For every member."""

    def __init__(self, store: Store, clock: Clock, key: Callable[[], str]) -> None:
        """key: the public key that signs the rounds of this server."""
        self._store = store
        self._clock = clock
        self._key = key

    def key(self) -> str:
        """The public key of this server."""
        return self._key()

    def of(self, caller: Caller, federation: str, number: int) -> Signed:
        """Raises UnknownFederation, Forbidden, UnknownRound, RoundFailed, and RoundNotPublished also for one that nobody signed."""
        round_ = published_round(self._store, self._clock, caller, federation, number, roles=MEMBERS)
        with self._store.reading() as tx:
            found = tx.labels.signature(round_)
        if found is None:
            raise RoundNotPublished(
                f"Round {number} was published by a version that signed no rounds.",
                remedy="Nothing can be done about it: who did not sign it then cannot vouch for it now.",
            )
        return found


def signed_round(  # noqa: PLR0917 - all that is signed
    tx: Transaction, key: PrivateKey, federation: Federation, round_: Round, card: RoundCard, basis: str
) -> Signed:
    """A round that is about to be published, signed. basis: digest of what it was decided from beside its answers."""
    policy = ConsensusPolicy.model_validate(card.policy, from_attributes=True)
    statement = RoundStatement(
        federation=federation.name,
        created_at=federation.created_at,
        prompt_set=card.prompt_set,
        policy=policy_digest(policy),
        terms=told_digest(agreed_terms(federation)),
        encoder=card.encoder.digest,
        number=round_.number,
        labels=card.labels,
        card=card_digest(WireCard.model_validate(card, from_attributes=True)),
        seals=lines_digest(each.line() for each in seal_records(tx, round_)),
        basis=basis,
        published_at=card.published_at,
    )
    signature = key.sign(statement)
    return Signed(statement.text(), signature.key, signature.signature)


def seal_records(tx: Transaction, round_: Round) -> list[SealRecord]:
    """Every sealed submission of a round, by participant."""
    return [_record(name, sealed) for name, sealed in sorted(tx.submissions.seals(round_).items())]


def _record(participant: str, sealed: SealedSubmission) -> SealRecord:
    signed = sealed.signed
    return SealRecord(
        participant=participant,
        count=sealed.count,
        digest=sealed.digest,
        sealed_at=sealed.sealed_at,
        taught_through=sealed.taught_through,
        carried_from=sealed.carried_from,
        statement=None if signed is None else signed.statement,
        signature=None if signed is None else Signature(key=signed.key, signature=signed.signature),
    )

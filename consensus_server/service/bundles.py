"""Run bundles: everything of a published round that its reader may see, in one file that anybody can check."""

from collections.abc import Iterable, Iterator
from typing import IO, Any

from client_kit import wire
from client_kit.bundles import write_bundle
from client_kit.vocabulary import Role
from client_kit.wire import canonical_json
from consensus_server.core.errors import Forbidden
from consensus_server.core.federations import Federation
from consensus_server.core.labels import RoundCard
from consensus_server.core.rounds import Round
from consensus_server.ports import Clock, PooledAnswer, Store, Transaction
from consensus_server.service.access import MEMBERS, Caller, federation_for
from consensus_server.service.basis import basis_lines
from consensus_server.service.material import read_held
from consensus_server.service.prompt_sets import manifest_for
from consensus_server.service.published import published_round, require_contribution
from consensus_server.service.round_signatures import seal_records
from consensus_server.service.signing import agreed_terms

CHUNK = 500


class Bundles:
    """Run bundles of published rounds, for every member: operators see all texts, participants their own, others digests."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def write(self, caller: Caller, federation: str, number: int, stream: IO[bytes]) -> None:
        """Write the bundle that this caller may see to a stream that can seek; twice, it is the same bytes.

        Raises UnknownFederation, Forbidden, UnknownRound, RoundNotPublished, RoundFailed.
        """
        round_ = published_round(self._store, self._clock, caller, federation, number, roles=MEMBERS)
        with self._store.reading() as tx:
            home, card = federation_for(tx, caller, federation, MEMBERS), tx.labels.card(round_)
            if card is None:
                raise LookupError(f"round {number} of {federation} is published without a card")
            told = _Told(tx, home, round_, card, caller)
            write_bundle(stream, told.about(), told.members())


class _Told:
    """What one caller is told of one round."""

    def __init__(self, tx: Transaction, home: Federation, round_: Round, card: RoundCard, caller: Caller) -> None:
        self._tx, self._home, self._round, self._card = tx, home, round_, card
        self._seals = seal_records(tx, round_)
        self._reads = _may_read_labels(tx, caller, round_)
        self._all = self._reads and caller.role is Role.OPERATOR
        self._own = caller.participant.name if self._reads and not self._all and caller.participant else None
        self._erased = [each for each in tx.erasures.of(home) if each.round <= round_.number]

    def about(self) -> dict[str, Any]:
        """What the manifest says beside digests."""
        seen_by = "operator" if self._all else "participant" if self._own else "others"
        gone = {each.participant for each in self._erased if each.round == self._round.number and each.answers}
        shown = [each.participant for each in self._seals if self._all or each.participant == self._own]
        erased = [wire.ErasedRound.model_validate(each, from_attributes=True) for each in self._erased]
        return {
            "federation": self._home.name,
            "round": self._round.number,
            "seen_by": seen_by,
            "texts_of": [each for each in shown if each not in gone],
            **({"erased": [each.model_dump(mode="json") for each in erased]} if erased else {}),
        }

    def members(self) -> dict[str, Iterable[bytes]]:
        """Their pieces, by name."""
        digest, signed = self._home.terms.prompt_set, self._tx.labels.signature(self._round)
        card = wire.RoundCard.model_validate(self._card, from_attributes=True)
        manifest = wire.Manifest.model_validate(manifest_for(self._tx, digest), from_attributes=True)
        prompts = (wire.Prompt.model_validate(p, from_attributes=True) for p in self._tx.prompt_sets.prompts(digest))
        found: dict[str, Iterable[bytes]] = {
            "federation.json": [_json(agreed_terms(self._home))],
            "prompt_set.json": [_json(manifest)],
            "prompts.jsonl": (_json(each) for each in prompts),
            "keys.jsonl": self._keys(),
            "seals.jsonl": [f"{each.line()}\n".encode() for each in self._seals],
            "card.json": [_json(wire.signed_card(card))],
        }
        if signed is not None:
            by = wire.Signature(key=signed.key, signature=signed.signature)
            found["signature.json"] = [_json(wire.SignedRound(statement=signed.statement, signature=by))]
        if self._reads:
            found["labels.jsonl"] = self._labels()
        if self._all or self._own:
            found["answers.jsonl"] = self._answers()
        if self._all:
            found["basis.jsonl"] = self._basis()
        return found

    def _keys(self) -> Iterator[bytes]:
        for record in self._seals:
            participant = self._tx.participants.get(self._home, record.participant)
            for key in () if participant is None else self._tx.signing_keys.of(participant):
                shown = wire.SigningKey.model_validate(key, from_attributes=True).model_dump(mode="json")
                yield f"{canonical_json({'participant': record.participant, **shown})}\n".encode()

    def _labels(self) -> Iterator[bytes]:
        after = ""
        while rows := self._tx.labels.lines(self._round, after=after, limit=CHUNK):
            yield "".join(f"{line}\n" for _, line in rows).encode()
            after = rows[-1][0]

    def _answers(self) -> Iterator[bytes]:
        for each in self._tx.submissions.pooled(self._round):
            if self._all or each.participant == self._own:
                yield f"{canonical_json(_answer(each))}\n".encode()

    def _basis(self) -> Iterator[bytes]:
        exempt = frozenset((each.participant, each.gate) for each in self._card.exemptions)
        held = read_held(self._tx, self._home, self._round, self._home.terms.policy, exempt)
        return (f"{line}\n".encode() for line in basis_lines(held))


def _may_read_labels(tx: Transaction, caller: Caller, round_: Round) -> bool:
    try:
        require_contribution(tx, caller, round_)
    except Forbidden:
        return False
    return True


def _json(message: wire.WireModel) -> bytes:
    return f"{canonical_json(message.model_dump(mode='json'))}\n".encode()


def _answer(each: PooledAnswer) -> dict[str, Any]:
    return {"participant": each.participant, "prompt_id": each.prompt_id, "sample": each.sample, "text": each.text}

"""Rounds that their server signs: over card, labels, policy and seals, and for nobody else."""

import pytest

from client_kit import wire
from client_kit.signing import round_fault
from client_kit.wire import RoundStatement, SignedRound
from consensus_server.core.errors import RoundNotPublished
from consensus_server.http_api import translate
from consensus_server.service.round_signatures import seal_records
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service
from tests.support.signing import key_of, register, signed

SERVER = key_of("s")


@pytest.fixture
def service(tmp_path):
    store = open_sqlite(tmp_path)
    yield Service(store, signing_key=SERVER)
    store.close()


@pytest.fixture
def sites(service):
    """Two sites, of which one signs, and a published round."""
    sites = service.found(sites=["anna", "bert"])
    register(service, sites[0], key_of("a"))
    service.open()
    for caller in sites:
        service.store_answers(caller, {"p-0": "Yes, it is.", "p-1": "No."})
    service.seal(sites[0], signature=signed(service, sites[0], key_of("a")))
    service.seal(sites[1])
    service.worker.run_once()
    return sites


def signature(service, caller):
    found = service.round_signatures.of(caller, "clinics", 1)
    return SignedRound(statement=found.statement, signature=wire.Signature(key=found.key, signature=found.signature))


def card_of(service, caller):
    return translate.to_wire(wire.RoundCard, service.pseudo_labels.card(caller, "clinics", 1))


def test_every_member_finds_what_was_signed_in_what_it_reads(service, sites):
    found = signature(service, sites[0])
    for caller in (OPERATOR, *sites):
        card = card_of(service, caller)
        agreed = {"labels": card.labels, "card": wire.card_digest(card), "encoder": card.encoder.digest}
        assert round_fault(found, SERVER.public, **agreed, federation="clinics", number=1) is None
    with service.store.reading() as tx:
        records = seal_records(tx, tx.rounds.get(tx.federations.get("clinics"), 1))
    assert RoundStatement.model_validate_json(found.statement).seals == wire.lines_digest(r.line() for r in records)
    assert [(each.participant, each.signature is None) for each in records] == [("anna", False), ("bert", True)]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"labels": "0" * 64}, "other labels"),
        ({"number": 2, "policy": "0" * 64}, "other number and policy"),
    ],
)
def test_a_round_that_is_another_one_is_told(service, sites, changed, told):
    del sites
    assert told in round_fault(signature(service, OPERATOR), SERVER.public, **changed)


def test_another_server_cannot_sign_it(service, sites):
    found = signature(service, sites[0])
    mallory = key_of("m")
    statement = RoundStatement.model_validate_json(found.statement)
    forged = SignedRound(statement=found.statement, signature=mallory.sign(statement))
    assert "signed with" in round_fault(forged, SERVER.public)
    posed = forged.signature.model_copy(update={"key": SERVER.public})
    assert "not one of its statement" in round_fault(
        SignedRound(statement=found.statement, signature=posed), SERVER.public
    )
    text = found.statement.replace('"number":1', '"number":2')
    assert "not one of its statement" in round_fault(found.model_copy(update={"statement": text}), SERVER.public)
    other = SignedRound(statement="{}", signature=SERVER.sign(statement))
    assert round_fault(other, SERVER.public)


def test_the_card_is_signed_but_for_what_members_read_unlike(service, sites):
    card = card_of(service, sites[0])
    told = wire.card_digest(card)
    unlike = {"echoes": [], "counts": card.counts.model_copy(update={"encoded": 9, "reused": 9})}
    assert wire.card_digest(card.model_copy(update=unlike)) == told
    for changed in (
        {"versions": {"x": "1"}},
        {"traffic": []},
        {"counts": card.counts.model_copy(update={"labels": 9})},
    ):
        assert (wire.card_digest(card.model_copy(update=changed)) == told) is (changed == {"traffic": []})


def test_rounds_of_before_are_signed_by_nobody(tmp_path):
    store = open_sqlite(tmp_path)
    service = Service(store)
    sites = service.found(sites=["anna", "bert"])
    service.open()
    for caller in sites:
        service.submit(caller, {"p-0": "Yes."})
    with pytest.raises(RoundNotPublished, match="is closed"):
        service.round_signatures.of(OPERATOR, "clinics", 1)
    service.worker.run_once()
    with pytest.raises(RoundNotPublished, match="signed no rounds"):
        service.round_signatures.of(OPERATOR, "clinics", 1)
    store.close()

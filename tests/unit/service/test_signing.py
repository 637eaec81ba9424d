"""Seals that their participants sign: nobody else can make one, and none is of use elsewhere."""

import json

import pytest

from client_kit.wire import SealStatement, Signature, signed_bytes
from consensus_server.core.errors import AlreadyExists, Forbidden, SignatureMissing, SignatureRefused
from consensus_server.core.pulling import Endpoint
from tests.support.service import OPERATOR
from tests.support.signing import key_of, register, registration, signed

ANNA, BERT, NEW = (key_of(letter) for letter in "abn")


@pytest.fixture
def sites(service):
    """Two sites with keys, in a round that is open, and answers that are not sealed yet."""
    sites = service.found(sites=["anna", "bert"], signatures="required")
    for caller, key in zip(sites, (ANNA, BERT), strict=True):
        register(service, caller, key)
    service.open()
    for caller in sites:
        service.store_answers(caller, {"p-0": "Yes.", "p-1": "No."})
    return sites


def kept(service, number=1):
    with service.store.reading() as tx:
        round_ = tx.rounds.get(tx.federations.get("clinics"), number)
        return {name: seal.signed for name, seal in tx.submissions.seals(round_).items()}


def test_a_seal_is_kept_with_what_was_signed(service, sites):
    anna, _ = sites
    receipt = service.seal(anna, signature=signed(service, anna, ANNA))
    assert receipt.signed_by == ANNA.public
    found = kept(service)["anna"]
    told = json.loads(found.statement)
    assert (told["federation"], told["number"], told["participant"], told["count"]) == ("clinics", 1, "anna", 2)
    assert ANNA.sign(SealStatement.model_validate(told)) == Signature(key=found.key, signature=found.signature)
    assert signed_bytes(SealStatement.domain, found.statement).startswith(b"semantic-consensus/seal/v1\n{")
    assert service.seal(anna, signature=signed(service, anna, ANNA)) == receipt


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 2}, {"federation": "banks"}, {"participant": "bert"}, {"count": 3}, {"digest": "0" * 64},
        {"prompt_set": "0" * 64}, {"policy": "0" * 64}, {"taught_through": 1}, {"training_rights": True}, {"carried_from": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_signature_of_anything_else_is_refused(service, sites, changes):
    anna, _ = sites
    with pytest.raises(SignatureRefused, match="not one of this seal"):
        service.seal(anna, signature=signed(service, anna, ANNA, **changes))
    assert kept(service) == {}


def test_a_seal_is_not_replayed_in_another_round_nor_in_a_federation_of_the_same_name(service, sites):
    anna, bert = sites
    old = signed(service, anna, ANNA)
    service.seal(anna, signature=old)
    service.seal(bert, signature=signed(service, bert, BERT))
    service.worker.run_once()
    service.open()
    service.store_answers(anna, {"p-0": "Yes.", "p-1": "No."}, 2)
    with pytest.raises(SignatureRefused, match="not one of this seal"):
        service.seal(anna, 2, signature=old)
    later = service.clock.now().replace(year=2031)  # a federation of this name on another server
    with pytest.raises(SignatureRefused, match="not one of this seal"):
        service.seal(anna, 2, signature=signed(service, anna, ANNA, 2, created_at=later))


def test_the_key_of_another_participant_signs_nothing_here(service, sites):
    anna, bert = sites
    with pytest.raises(SignatureRefused, match=f"anna signs with {ANNA.public}"):
        service.seal(anna, signature=signed(service, anna, BERT))
    forged = signed(service, anna, BERT).model_copy(update={"key": ANNA.public})
    with pytest.raises(SignatureRefused):  # and a copied signature under the right key's name does not either
        service.seal(anna, signature=forged)
    with pytest.raises(SignatureRefused):
        service.seal(bert, signature=signed(service, anna, ANNA))


def test_where_signatures_are_required_no_seal_counts_without(service, sites):
    with pytest.raises(SignatureMissing, match="only seals that their participants signed"):
        service.seal(sites[0])
    with pytest.raises(SignatureMissing):  # and the server signs for nobody
        service.endpoints.set(OPERATOR, "clinics", "anna", Endpoint(upstream="llama"))


def test_where_they_are_optional_what_is_signed_must_be_right(service):
    anna, bert = service.found(sites=["anna", "bert"])
    service.open()
    for site in (anna, bert):
        service.store_answers(site, {"p-0": "Yes."})
    with pytest.raises(SignatureRefused, match="no signing key"):
        service.seal(anna, signature=signed(service, anna, ANNA))
    assert service.seal(anna).signed_by is None
    register(service, bert, BERT)
    assert service.seal(bert, signature=signed(service, bert, BERT)).signed_by == BERT.public


def test_carried_answers_are_signed_anew(service, sites):
    for site, key in zip(sites, (ANNA, BERT), strict=True):
        service.seal(site, signature=signed(service, site, key))
    service.worker.run_once()
    service.open()
    anna, _ = sites
    carried = signed(service, anna, ANNA, 2, of=1, carried_from=1)
    service.seal(anna, 2, of=1, carried_from=1, signature=carried)
    assert json.loads(kept(service, 2)["anna"].statement)["carried_from"] == 1


def test_a_key_is_replaced_by_the_one_that_it_endorses_and_kept_with_its_time(service, sites):
    anna, _ = sites
    register(service, anna, ANNA)  # the same again
    with pytest.raises(SignatureRefused, match="must endorse"):
        register(service, anna, NEW)
    with pytest.raises(SignatureRefused, match="not its signature"):
        register(service, anna, NEW, replaces=BERT)
    service.clock.advance(1)
    register(service, anna, NEW, replaces=ANNA)
    first, second = service.signing_keys.of(anna, "clinics", "anna")
    assert (first.key, first.ended_at, second.key, second.ended_at) == (
        ANNA.public, second.registered_at, NEW.public, None,
    )  # fmt: skip
    with pytest.raises(AlreadyExists):
        register(service, anna, ANNA, replaces=NEW)
    with pytest.raises(SignatureRefused):
        service.seal(anna, signature=signed(service, anna, ANNA))
    service.seal(anna, signature=signed(service, anna, NEW))


def test_a_lost_key_is_ended_by_an_operator_who_can_register_none(service, sites):
    anna, bert = sites
    given = registration(service, "anna", NEW)
    for caller in (bert, OPERATOR):
        with pytest.raises(Forbidden):
            service.signing_keys.register(caller, "clinics", "anna", given)
    with pytest.raises(Forbidden):
        service.signing_keys.of(bert, "clinics", "anna")
    with pytest.raises(Forbidden):
        service.signing_keys.end(anna, "clinics", "anna")
    service.signing_keys.end(OPERATOR, "clinics", "anna")
    assert service.signing_keys.current(OPERATOR, "clinics") == {"bert": BERT.public}
    with pytest.raises(SignatureRefused, match="no signing key"):
        service.seal(anna, signature=signed(service, anna, ANNA))
    register(service, anna, NEW)
    with service.store.reading() as tx:
        acts = [json.loads(line) for line in tx.audit.lines()]
    told = [(each["action"], each["actor"], each["before"], each["after"]) for each in acts if "key" in each["action"]]
    assert told[-2:] == [
        ("signing_key.ended", "command line", {"key": ANNA.public}, {"key": None}),
        ("signing_key.registered", "clinics/anna", {"key": None}, {"key": NEW.public}),
    ]


def test_a_proof_is_of_one_participant_and_one_key(service, sites):
    _, bert = sites
    stolen = registration(service, "anna", NEW)
    with pytest.raises(SignatureRefused, match="proof"):
        service.signing_keys.register(bert, "clinics", "bert", stolen)

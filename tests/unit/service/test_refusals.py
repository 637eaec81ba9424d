"""Federations that drop refusals, those that keep them, and those of before, in which the server told none."""

import hashlib

import pytest

from client_kit.refusals import IDENTITY
from client_kit.vocabulary import AppealOutcome
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import UnknownRule
from consensus_server.core.federations import AnswerPolicy
from consensus_server.core.lifecycle import RoundState
from consensus_server.service import refusals
from tests.support.service import OPERATOR

SITES = ("east", "north", "south", "west")
REFUSAL = "I'm sorry, but I can't help with that."
OF_BEFORE = "010d3a0883a1a191159877d01224c1779ce2f8d4e34134059b4906afbda82fa2"
"""Digest of the labels of three sites that refuse and one that answers, by a server that had no gate against refusals."""
KEEP = AnswerPolicy(refusals="keep")
UNGUARDED = Policy(guards=False, reliability=False, decide_by="support")


def said(site, number):
    return f"The answer to question {number} is {number * 7}, says {site}, who counted {site}{number} in the book."


def round_of(service, sites, number, refusing):
    """One round in which some refuse everything but question 0."""
    service.open()
    for name, caller in zip(SITES, sites, strict=True):
        texts = {f"p-{i}": REFUSAL if i and name in refusing else said(name, i) for i in range(4)}
        service.submit(caller, texts, number)
    service.worker.run_once()


def played(service, refusing=("west",), **terms):
    sites = service.found(sites=SITES, prompts=4, **terms)
    round_of(service, sites, 1, refusing)
    assert service.state() is RoundState.PUBLISHED
    return sites


def gates_of(service, number=1):
    return {
        (each.fate.participant, each.fate.gate) for each in service.rejections.page(OPERATOR, "clinics", number).items
    }


@pytest.mark.parametrize("policy", [Policy(), UNGUARDED])
def test_in_a_new_federation_refusals_are_rejected_with_their_reason(service, policy):
    sites = played(service, policy=policy)
    assert gates_of(service) == {("west", "refusal")}
    (fate,) = service.pseudo_labels.explain(sites[3], "clinics", 1, "p-1").answers
    assert (fate.admitted, fate.gate, fate.measured) == (False, "refusal", None)
    card = service.pseudo_labels.card(OPERATOR, "clinics", 1)
    assert (card.refusals_told_by, card.counts.answers, card.counts.admitted) == (IDENTITY, 16, 13)


def test_a_prompt_that_all_refuse_has_no_answers(service):
    played(service, SITES, policy=UNGUARDED)
    labels = {each.prompt_id: each for each in service.pseudo_labels.page(OPERATOR, "clinics", 1).items}
    assert {labels[f"p-{i}"].abstention for i in (1, 2, 3)} == {"no_answers"}
    assert gates_of(service) == {(site, "refusal") for site in SITES}


def test_three_refusals_alike_are_no_agreement(service):
    played(service, SITES[1:], policy=UNGUARDED)
    labels = {each.prompt_id: each for each in service.pseudo_labels.page(OPERATOR, "clinics", 1).items}
    assert {labels[f"p-{i}"].abstention for i in (1, 2, 3)} == {"single_answer"}


def test_where_refusals_are_kept_the_labels_are_those_of_before(service):
    played(
        service,
        SITES[1:],
        policy=Policy(guards=False, reliability=False, contradictions="none", decide_by="support"),
        answers=KEEP,
    )
    assert gates_of(service) == set()
    assert hashlib.sha256(service.labels()).hexdigest() == OF_BEFORE
    assert service.pseudo_labels.card(OPERATOR, "clinics", 1).refusals_told_by is None


def test_a_federation_of_before_that_drops_them_leaves_that_to_its_participants(service, monkeypatch):
    monkeypatch.setattr("consensus_server.service.federations.with_what_tells_refusals", lambda terms: terms)
    played(
        service, SITES[1:], policy=Policy(guards=False, reliability=False, contradictions="none", decide_by="support")
    )
    assert hashlib.sha256(service.labels()).hexdigest() == OF_BEFORE


def test_what_tells_refusals_is_pinned_and_nobody_chooses_it(service):
    service.found(refusals_told_by="moon-1")
    service.found("others", answers=KEEP, refusals_told_by="moon-1")
    stored = {each.name: each.terms.refusals_told_by for each in service.federations.all(OPERATOR)}
    assert stored == {"clinics": IDENTITY, "others": None}


def test_a_server_that_tells_them_otherwise_decides_nothing(service, monkeypatch):
    sites = service.found(sites=SITES[:2], prompts=1)
    service.open()
    for site in sites:
        service.submit(site, {"p-0": REFUSAL})
    monkeypatch.setattr(refusals, "IDENTITY", "english-2-0123456789ab")
    service.worker.run_once()
    failed = service.rounds.get(OPERATOR, "clinics", 1)
    assert (failed.state, failed.failure.code) == (RoundState.FAILED, "refusals_changed")
    with pytest.raises(UnknownRule, match="the same answers might get other labels"):
        service.open()


@pytest.mark.parametrize("policy", [Policy(), UNGUARDED])
def test_an_appeal_that_is_upheld_opens_the_gate(service, policy):
    sites = played(service, policy=policy)
    service.appeals.make(sites[3], "clinics", 1, gate="refusal", text="The prompts ask for it.")
    service.appeals.resolve(OPERATOR, "clinics", 1, AppealOutcome.UPHELD, "They do.")
    round_of(service, sites, 2, ("west",))
    assert ("west", "refusal") not in gates_of(service, 2)
    card = service.pseudo_labels.card(OPERATOR, "clinics", 2)
    assert [(each.participant, each.gate) for each in card.exemptions] == [("west", "refusal")]


@pytest.mark.parametrize("answers", [AnswerPolicy(), KEEP])
def test_a_round_decided_again_is_the_same(service, answers):
    played(service, SITES[1:], answers=answers)
    policy = service.federations.get(OPERATOR, "clinics").terms.policy
    found = service.inspection.what_if(OPERATOR, "clinics", 1, policy)
    assert found.published == found.labels

"""A guarded federation from submissions to labels."""

import pytest

from client_kit.wire import content_digest
from consensus_server.core.consensus import Policy
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service

SLOGAN = "Come to our shop, where every answer is cheaper than anywhere else in the whole town!"
GUARDED = Policy(rule="hybrid", guards=True, reliability=True, contradictions="none")


def honest(site, number):
    return (
        f"Question {number}? The answer to question {number} is {number * 7}, says {site}, who counted {site}{number}."
    )


@pytest.fixture
def service(tmp_path):
    service = Service(open_sqlite(tmp_path))
    sites = service.found(sites=["east", "north", "west", "x", "y", "z"], prompts=8, policy=GUARDED)
    service.open()
    for caller, site in zip(sites, ["east", "north", "west"], strict=False):
        service.submit(caller, {f"p-{i}": honest(site, i) for i in range(8)})
    for caller in sites[3:]:
        service.submit(caller, {f"p-{i}": SLOGAN for i in range(8)})
    service.worker.run_once()
    return service


def test_spammers_in_equal_number_win_no_label(service):
    assert service.state().value == "published"
    assert SLOGAN.encode() not in service.labels()
    assert service.labels().count(b"says") == 8


def test_the_refused_read_which_gate_it_was(service):
    fates = service.pseudo_labels.explain(OPERATOR, "clinics", 1, "p-3").answers
    assert {fate.participant: fate.gate for fate in fates} == {
        "east": None, "north": None, "west": None, "x": "off_topic", "y": "off_topic", "z": "off_topic",
    }  # fmt: skip


def test_the_card_has_the_policy_and_its_constants(service):
    card = service.pseudo_labels.card(OPERATOR, "clinics", 1)
    assert (card.policy.guards, card.policy.reliability) == (True, True)
    assert (card.constants["lambda"], card.constants["least_relevance"], card.constants["score_decimals"]) == (
        7,
        0.17,
        6,
    )


def test_prompts_are_embedded_for_guards_only(service, tmp_path_factory):
    plain = Service(open_sqlite(tmp_path_factory.mktemp("plain")))
    (site,) = plain.found(sites=["east"], quorum=1, policy=Policy(guards=False))
    plain.open()
    plain.submit(site, {"p-0": honest("east", 0)})
    plain.worker.run_once()
    assert plain.pseudo_labels.card(OPERATOR, "clinics", 1).counts.encoded == 1
    opening = plain.encoder.identity.of_openings.digest
    asked = content_digest("Question 0?")
    assert not plain.store.embeddings.get(opening, [asked])
    assert service.store.embeddings.get(opening, [asked])[asked].any()

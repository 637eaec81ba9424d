"""What a federation is pinned to, and what is refused at its creation."""

from dataclasses import replace

import pytest

from client_kit import wire
from client_kit.refusals import IDENTITY
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import (
    AlreadyExists,
    NotReady,
    PromptSetMismatch,
    UnknownPromptSet,
    UnknownRule,
    ValidationFailed,
)
from consensus_server.core.federations import Prompt, Terms
from consensus_server.service.contradictions import pinned
from consensus_server.service.federations import Federations
from consensus_server.service.prompt_sets import prompts_digest
from tests.support.service import OPERATOR, make_manifest, make_prompts

PROMPTS = make_prompts(4)
MANIFEST = make_manifest(PROMPTS)


def test_a_prompt_set_sent_twice_is_held_once(service):
    assert service.prompt_sets.add(OPERATOR, MANIFEST, PROMPTS)
    assert not service.prompt_sets.add(OPERATOR, MANIFEST, PROMPTS[::-1])
    assert service.prompt_sets.all(OPERATOR) == (MANIFEST,)
    assert service.prompt_sets.get(OPERATOR, MANIFEST.digest) == MANIFEST
    assert service.prompt_sets.prompts(OPERATOR, MANIFEST.digest) == tuple(PROMPTS)


def test_its_digest_is_the_one_that_clients_compute():
    prompts = [*PROMPTS, Prompt("a", "Plain?"), Prompt("b", "Exact? äöü", None, "exact")]
    sent = [
        wire.Prompt(prompt_id=p.prompt_id, prompt=p.prompt, topic=p.topic, equivalence=p.equivalence) for p in prompts
    ]
    assert prompts_digest(prompts) == wire.prompt_set_digest(sent[::-1])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"digest": "0" * 64}, "manifest.digest"),
        ({"prompt_count": 5}, "manifest.prompt_count"),
        ({"topics": {"even": 4}}, "manifest.topics"),
    ],
)
def test_a_manifest_that_does_not_describe_its_prompts_is_refused(service, change, where):
    with pytest.raises(PromptSetMismatch) as refused:
        service.prompt_sets.add(OPERATOR, replace(MANIFEST, **change), PROMPTS)
    assert [fault.where for fault in refused.value.faults] == [where]
    assert service.prompt_sets.all(OPERATOR) == ()


def test_a_prompt_that_was_changed_on_the_way_is_noticed(service):
    changed = [*PROMPTS[:-1], replace(PROMPTS[-1], prompt="Question 3 !")]
    with pytest.raises(PromptSetMismatch, match=r"digest|questions"):
        service.prompt_sets.add(OPERATOR, MANIFEST, changed)


def test_two_prompts_of_one_id_are_refused(service):
    twice = [*PROMPTS, Prompt("p-0", "Another?", "even")]
    with pytest.raises(PromptSetMismatch, match="p-0 stands there 2 times"):
        service.prompt_sets.add(OPERATOR, make_manifest(twice), twice)


def test_an_unknown_prompt_set_is_told(service):
    for attempt in (
        lambda: service.prompt_sets.get(OPERATOR, "0" * 64),
        lambda: service.prompt_sets.prompts(OPERATOR, "0" * 64),
        lambda: service.federations.create(OPERATOR, Terms(name="clinics", prompt_set="0" * 64)),
    ):
        with pytest.raises(UnknownPromptSet):
            attempt()


def test_a_federation_keeps_its_terms_and_the_encoder_of_its_first_day(service):
    service.prompt_sets.add(OPERATOR, MANIFEST, PROMPTS)
    terms = Terms(name="clinics", prompt_set=MANIFEST.digest, policy=pinned(Policy(rule="vote", seed=2**70)), quorum=7)
    made = service.federations.create(OPERATOR, terms)
    assert made == service.federations.get(OPERATOR, "clinics")
    assert made.terms.refusals_told_by == IDENTITY
    assert (replace(made.terms, refusals_told_by=None), made.encoder) == (terms, service.encoder.identity.digest)
    assert made.created_at == service.clock.now()


def test_a_name_is_taken_once(service):
    service.found("clinics")
    with pytest.raises(AlreadyExists, match="clinics"):
        service.found("clinics")


def test_unknown_rules_and_scores_are_refused_with_the_known_ones(service):
    with pytest.raises(UnknownRule) as refused:
        service.found(policy=Policy(rule="oracle", confidence="certainty"))
    assert [fault.where for fault in refused.value.faults] == ["policy.rule", "policy.confidence"]
    assert "cluster_medoid" in refused.value.detail
    assert service.federations.all(OPERATOR) == ()


@pytest.mark.parametrize(
    ("field", "value"), [("quorum", 2**40), ("round_seconds", 1e300), ("round_seconds", float("nan"))]
)
def test_numbers_that_are_slips_are_refused(service, field, value):
    with pytest.raises(ValidationFailed) as refused:
        service.found(**{field: value})
    assert refused.value.faults[0].where == field


def test_without_an_encoder_there_is_nothing_to_pin(service):
    service.prompt_sets.add(OPERATOR, MANIFEST, PROMPTS)
    loading = Federations(service.store, service.clock, lambda: None)
    with pytest.raises(NotReady, match="loading"):
        loading.create(OPERATOR, Terms(name="clinics", prompt_set=MANIFEST.digest))

"""Federations that look for contradictions: pinned to what tells them, and told why two answers are apart."""

import json
from dataclasses import replace

import numpy as np
import pytest

from client_kit.wire import content_digest
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.errors import UnknownRule
from consensus_server.core.lifecycle import RoundState
from consensus_server.service.contradictions import MOST_TEXTS, WordContradictions, pinned, with_findings
from tests.support.service import OPERATOR

MG = {"p-0": "Give 5 mg of warfarin."}
MG_50 = {"p-0": "Give 50 mg of warfarin."}
LOOKING = Policy(guards=False, reliability=False, distance_short=1.9)


def published(service, answers, **terms):
    sites = service.found(sites=[f"site-{i}" for i in range(len(answers))], prompts=1, **terms)
    service.open()
    for site, texts in zip(sites, answers, strict=True):
        service.submit(site, texts)
    service.worker.run_once()
    assert service.state() is RoundState.PUBLISHED
    return sites, json.loads(service.labels())


def test_a_policy_that_names_a_comparison_holds_the_version_from_then_on(service):
    service.found(policy=Policy(contradictions="words"))
    service.found("others", policy=Policy(contradictions="none"))
    stored = {each.name: each.terms.policy.contradictions for each in service.federations.all(OPERATOR)}
    assert stored == {"clinics": WordContradictions().identity, "others": "none"}


def test_an_unknown_comparison_is_refused_with_those_that_there_are(service):
    with pytest.raises(
        UnknownRule, match=r"policy.contradictions: there is no 'nli'; known are none, words\."
    ) as refused:
        service.found(policy=Policy(contradictions="nli"))
    assert refused.value.faults[0].where == "policy.contradictions"


def test_two_doses_are_no_agreement(service):
    _, label = published(service, [MG, MG_50], policy=LOOKING)
    assert ("text" in label, label["abstention"]) == (False, "tie")


def test_a_federation_that_looks_for_none_goes_on_as_it_did(service):
    _, label = published(service, [MG, MG_50], policy=replace(LOOKING, contradictions="none"))
    assert label["text"] in (MG["p-0"], MG_50["p-0"])


def test_a_majority_is_labelled_and_not_sure(service):
    _, label = published(service, [MG, MG, MG_50], policy=LOOKING)
    assert label["text"] == MG["p-0"]
    assert 0 < label["confidence"] <= round(2 / 3, 6)


def test_the_deciding_words_are_for_operators_and_that_there_are_some_for_all(service):
    sites, _ = published(service, [MG, MG, MG_50], policy=LOOKING)
    (told,) = service.pseudo_labels.explain(OPERATOR, "clinics", 1, "p-0").contests
    assert (told.first, told.second, told.kind) == (0, 1, "number:mass")
    assert (told.words_first, told.words_second) == ("5 mg", "50 mg")
    (seen,) = service.pseudo_labels.explain(sites[2], "clinics", 1, "p-0").contests
    assert seen == replace(told, words_first="", words_second="")


def test_the_card_holds_what_told(service):
    published(service, [MG, MG_50], policy=LOOKING)
    card = service.pseudo_labels.card(OPERATOR, "clinics", 1)
    assert card.policy.contradictions == WordContradictions().identity


def test_a_server_of_another_version_decides_nothing_otherwise_than_was_agreed(service, monkeypatch):
    (north, south) = service.found(sites=["north", "south"], prompts=1, policy=LOOKING)
    service.open()
    for site in (north, south):
        service.submit(site, MG)
    monkeypatch.setattr(WordContradictions, "identity", "words-2-0123456789ab")
    service.worker.run_once()
    failed = service.rounds.get(OPERATOR, "clinics", 1)
    assert (failed.state, failed.failure.code) == (RoundState.FAILED, "contradictions_changed")
    assert "words-2-0123456789ab" in failed.failure.detail
    with pytest.raises(UnknownRule, match="the same answers might get other labels") as refused:
        service.open()
    assert "Create a federation of another name" in refused.value.remedy


def test_what_if_looks_as_the_policy_asks(service):
    _, label = published(service, [MG, MG_50], policy=LOOKING)
    assert "text" not in label
    found = service.inspection.what_if(OPERATOR, "clinics", 1, replace(LOOKING, contradictions="none"))
    assert (found.gained, found.lost) == (1, 0)


def pool_of(*texts):
    names = tuple(f"site-{i}" for i in range(len(texts)))
    return Pool(
        "p", names, (0,) * len(texts), texts, tuple(map(content_digest, texts)), np.eye(len(texts), dtype=np.float32)
    )


def test_only_pools_compared_by_meaning_are_looked_at():
    policy = pinned(Policy())
    looked = pool_of("Yes, it is safe.", "No, it is not safe.")
    assert next(with_findings([looked], policy)).findings
    for pool, asked in (
        (replace(looked, equivalence="exact"), policy),
        (looked, replace(policy, contradictions="none")),
        (pool_of("Yes, it is safe.", "Yes, it is safe."), policy),
    ):
        assert next(with_findings([pool], asked)).findings == ()


def test_who_gives_many_answers_turns_the_search_off_for_nobody():
    """Of more than `MOST_TEXTS` texts each participant's most frequent ones are compared, in turn."""
    honest = [("ann", "Take 5 mg."), ("bob", "Take 5 mg daily."), ("cy", "Take 50 mg."), ("di", "Take 50 mg daily.")]
    flood = [("eve", f"Remark number {i} of many.") for i in range(2 * MOST_TEXTS)]
    who, texts = zip(*honest, *flood, strict=True)
    digests = tuple(map(content_digest, texts))
    pool = Pool(
        "p", who, tuple(range(len(who))), texts, digests, np.zeros((len(who), 4), np.float32), prompt="How much?"
    )
    (found,) = with_findings([pool], pinned(Policy()))
    pairs = {(who[each.first], who[each.second]) for each in found.findings if each.hard}
    assert {("ann", "cy"), ("bob", "di")} <= pairs
    backwards = Pool(
        "p", who[::-1], tuple(range(len(who))), texts[::-1], digests[::-1], pool.vectors, prompt="How much?"
    )
    (again,) = with_findings([backwards], pinned(Policy()))
    assert {frozenset((texts[::-1][e.first], texts[::-1][e.second])) for e in again.findings} == {
        frozenset((texts[e.first], texts[e.second])) for e in found.findings
    }

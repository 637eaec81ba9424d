import numpy as np
import pytest

from consensus_server.core.consensus import CONFIDENCES, decide
from tests.support.policies import plain


def at(*degrees):
    return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=1)


def confidence(name, pool, **policy):
    return decide([pool], plain(confidence=name, **policy))[0].confidence


@pytest.fixture(params=sorted(CONFIDENCES))
def name(request):
    return request.param


def test_agreement_is_one(name, make_pool):
    assert confidence(name, make_pool(at(0, 0, 0), texts=["same".ljust(90)] * 3)) == 1


def test_strangers_are_less_sure_than_friends(name, make_pool):
    strangers = confidence(name, make_pool(at(0, 90, 180, 270)), abstain=False)
    friends = confidence(name, make_pool(at(0, 10, 20, 180)))
    assert 0 <= strangers < friends < 1


def test_an_abstention_and_a_pool_of_one_have_none(name, make_pool):
    assert confidence(name, make_pool(at(0, 90))) == 0
    assert confidence(name, make_pool(at(0)), abstain=False) == 0


def test_samples_of_one_participant_do_not_confirm_each_other(name, make_pool):
    alone = make_pool(at(0, 0, 1), participants=["a"] * 3)
    assert confidence(name, alone, minimum_support=1) == 0
    assert confidence(name, alone, abstain=False) == 0
    assert confidence(name, make_pool(at(0, 0, 1), participants=["a", "a", "b"]), minimum_support=1) > 0


def test_share_counts_answers_and_support_counts_who_is_present(make_pool):
    pool = make_pool(at(0, 100, 2, 200), participants=["a", "a", "b", "c"])
    assert confidence("dominant_share", pool) == 0.5
    assert confidence("support_fraction", pool) == pytest.approx(2 / 3, abs=1e-6)


@pytest.mark.parametrize(
    ("characters", "equivalence", "same"),
    [(79, "semantic", "dominant_share"), (80, "semantic", "trusted_similarity"), (80, "code", "dominant_share")],
)
def test_agreement_is_the_score_that_tells_for_answers_of_this_kind(make_pool, characters, equivalence, same):
    texts = [text.ljust(characters, "!") for text in ("one", "two", "one")]
    pool = make_pool(at(0, 10, 0), texts=texts, equivalence=equivalence)
    scores = {name: confidence(name, pool) for name in ("agreement", "dominant_share", "trusted_similarity")}
    assert scores["agreement"] == scores[same]
    assert scores["dominant_share"] != scores["trusted_similarity"]


def test_similarity_is_the_mean_over_the_pool_by_votes(make_pool):
    pool = make_pool(at(0, 1, 60, 90), participants=["a", "a", "b", "c"])
    decision = decide([pool], plain(rule="medoid", confidence="mean_similarity", abstain=False))[0]
    assert decision.pick == 2
    expected = np.cos(np.deg2rad([60, 59, 0, 30])) @ [0.5, 0.5, 1, 1] / 3
    assert decision.confidence == pytest.approx(expected, abs=2e-6)


def test_similarity_does_not_depend_on_which_giver_of_a_text_is_named(make_pool):
    texts = ["same".ljust(90)] * 2 + ["other".ljust(90)]
    scores = {
        confidence("mean_similarity", make_pool(at(0, 0, 40), participants=names, texts=texts), minimum_support=1)
        for names in (["a", "b", "b"], ["b", "a", "a"])
    }
    assert len(scores) == 1


def test_entropy_is_that_of_the_clusters_over_that_of_the_answers(make_pool):
    shares = np.array([3, 2, 1]) / 6
    expected = 1 - -(shares * np.log(shares)).sum() / np.log(6)
    assert confidence("semantic_entropy", make_pool(at(0, 5, 10, 100, 105, 200))) == pytest.approx(expected, abs=1e-6)


def test_entropy_is_zero_when_every_answer_stands_alone(make_pool):
    pool = make_pool(at(0, 90, 180, 270), participants=["a", "a", "b", "c"])
    assert confidence("semantic_entropy", pool, abstain=False) == 0


def test_copies_lend_each_other_no_similarity(make_pool):
    """Under guards long copies are one voice: what counts is how near the label lies to those who are independent."""
    import dataclasses

    texts = ["the same words again and again ".ljust(90, "x")] * 3 + ["quite other words about it ".ljust(95, "y")]
    pool = make_pool(at(0, 0, 0, 60), texts=texts)
    pool = dataclasses.replace(pool, openings=pool.vectors, prompt_opening=pool.vectors[0], prompt="What?")
    found = decide([pool], plain(guards=True, abstain=False, confidence="independent_similarity"))[0]
    assert found.confidence == pytest.approx(0.5, abs=1e-6)
    assert decide([pool], plain(abstain=False, confidence="independent_similarity"))[0].confidence > 0.8


def test_the_word_of_a_reliable_participant_makes_surer(make_pool):
    """Three of four lie near one another on forty prompts: who gave the label is reliable, and that makes it surer."""
    pools = [make_pool(at(0, 10, 5, 100), prompt_id=f"p{i:02}") for i in range(40)]
    policy = plain(rule="hybrid", reliability=True, abstain=False, confidence="trusted_similarity")
    trusted = decide(pools, policy)[0]
    alike = decide(pools, plain(rule="hybrid", reliability=True, abstain=False, confidence="independent_similarity"))[0]
    assert trusted.pick == alike.pick != 3
    assert alike.confidence < trusted.confidence <= min(1, alike.confidence + 0.2)

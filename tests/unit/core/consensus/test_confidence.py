"""Confidence scores, and what a calibration makes of them."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import CONFIDENCES, Calibration, decide
from consensus_server.core.consensus.confidence import calibrated
from tests.support.policies import plain

FITTED = Calibration("dominant_share", scores=(0.2, 0.6, 1.0), probabilities=(0.5, 0.6, 0.9))
POLICY = plain(confidence=FITTED.method, calibration=FITTED)


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
    assert 0 <= strangers < friends <= 1
    assert friends < 1 or name == "evidence"  # a lead of one participant is as much as it asks for


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
    """Under guards long copies have one vote: what counts is how near the label lies to those who are independent."""
    texts = ["the same words again and again ".ljust(90, "x")] * 3 + ["quite other words about it ".ljust(95, "y")]
    pool = make_pool(at(0, 0, 0, 60), texts=texts)
    pool = replace(pool, openings=pool.vectors, prompt_opening=pool.vectors[0], prompt="What?")
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


# Calibration: estimated probabilities instead of scores, and abstention under a least score


def pool_of_counts(make_pool, *counts, prompt_id="p"):
    """One far cluster for each count of answers."""
    rows = np.repeat(np.eye(len(counts)), counts, axis=0)
    return make_pool(rows, prompt_id=prompt_id)


def test_between_points_run_straight_lines_and_beyond_them_all_is_level():
    scores = np.array([0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(calibrated(scores, FITTED), [0, 0.5, 0.5, 0.55, 0.6, 0.75, 0.9])
    np.testing.assert_array_equal(calibrated(scores, None), scores)


@pytest.mark.parametrize(("counts", "probability"), [((3, 2), 0.6), ((4, 1), 0.75), ((5,), 0.9)])
def test_labels_carry_the_estimated_probability(make_pool, counts, probability):
    [decision] = decide([pool_of_counts(make_pool, *counts)], POLICY)
    assert decision.confidence == pytest.approx(probability)


def test_abstentions_and_labels_of_one_answer_keep_zero(make_pool):
    tie, alone = pool_of_counts(make_pool, 2, 2), pool_of_counts(make_pool, 1, prompt_id="q")
    assert [d.confidence for d in decide([tie, alone], POLICY)] == [0, 0]
    assert decide([alone], replace(POLICY, abstain=False))[0].confidence == 0


@pytest.mark.parametrize(("least", "reason"), [(0.0, None), (0.6, None), (0.61, "low_confidence")])
def test_a_label_below_the_least_score_becomes_an_abstention(make_pool, least, reason):
    policy = replace(POLICY, calibration=replace(FITTED, least_score=least))
    pool = pool_of_counts(make_pool, 3, 2)
    assert decide([pool], policy)[0].abstention == reason
    assert decide([pool], replace(policy, abstain=False))[0].abstention is None


def test_other_reasons_to_abstain_come_first(make_pool):
    policy = replace(POLICY, calibration=replace(FITTED, least_score=0.9))
    assert decide([pool_of_counts(make_pool, 2, 2)], policy)[0].abstention == "tie"

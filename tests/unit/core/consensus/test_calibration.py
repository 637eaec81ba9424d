"""A policy's calibration: estimated probabilities instead of scores, and abstention under a least score."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import Calibration, decide
from consensus_server.core.consensus.confidence import calibrated
from tests.support.policies import plain

FITTED = Calibration("dominant_share", scores=(0.2, 0.6, 1.0), probabilities=(0.5, 0.6, 0.9))
POLICY = plain(confidence=FITTED.method, calibration=FITTED)


def pool_of(make_pool, *counts, prompt_id="p"):
    """One far cluster for each count of answers."""
    rows = np.repeat(np.eye(len(counts)), counts, axis=0)
    return make_pool(rows, prompt_id=prompt_id)


def test_between_points_run_straight_lines_and_beyond_them_all_is_level():
    scores = np.array([0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(calibrated(scores, FITTED), [0, 0.5, 0.5, 0.55, 0.6, 0.75, 0.9])
    np.testing.assert_array_equal(calibrated(scores, None), scores)


@pytest.mark.parametrize(("counts", "probability"), [((3, 2), 0.6), ((4, 1), 0.75), ((5,), 0.9)])
def test_labels_carry_the_estimated_probability(make_pool, counts, probability):
    [decision] = decide([pool_of(make_pool, *counts)], POLICY)
    assert decision.confidence == pytest.approx(probability)


def test_abstentions_and_labels_of_one_answer_keep_zero(make_pool):
    tie, alone = pool_of(make_pool, 2, 2), pool_of(make_pool, 1, prompt_id="q")
    assert [d.confidence for d in decide([tie, alone], POLICY)] == [0, 0]
    assert decide([alone], replace(POLICY, abstain=False))[0].confidence == 0


@pytest.mark.parametrize(("least", "reason"), [(0.0, None), (0.6, None), (0.61, "low_confidence")])
def test_a_label_below_the_least_score_becomes_an_abstention(make_pool, least, reason):
    policy = replace(POLICY, calibration=replace(FITTED, least_score=least))
    pool = pool_of(make_pool, 3, 2)
    assert decide([pool], policy)[0].abstention == reason
    assert decide([pool], replace(policy, abstain=False))[0].abstention is None


def test_other_reasons_to_abstain_come_first(make_pool):
    policy = replace(POLICY, calibration=replace(FITTED, least_score=0.9))
    assert decide([pool_of(make_pool, 2, 2)], policy)[0].abstention == "tie"

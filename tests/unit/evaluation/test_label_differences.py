"""Differences of two policies on the same panels and prompts."""

import numpy as np
import pytest

from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation.differences import Labels, baselines, difference


def test_what_is_common_to_panels_and_prompts_falls_out_of_the_interval():
    rng = np.random.default_rng(3)
    common = rng.normal(size=(30, 1)) + rng.normal(size=(1, 40))
    given = np.ones((30, 40))
    found = difference("vote", Labels(common + 0.02, given), Labels(common, given), 7)
    assert (found.difference, found.low, found.high) == pytest.approx((0.02, 0.02, 0.02))
    assert (found.baseline, found.share, found.baseline_coverage) == ("vote", 1, 1)


def test_only_where_both_gave_a_label_of_known_worth_they_are_compared():
    unknown = np.nan
    own = Labels(np.array([[1.0, 0.5, unknown, 1.0, unknown]]), np.array([[1.0, 1, 0, 1, unknown]]))
    other = Labels(np.array([[0.5, unknown, 1.0, unknown, unknown]]), np.array([[1.0, 0, 1, 1, unknown]]))
    found = difference("against", own, other, 7)
    assert (found.difference, found.share) == (0.5, 1 / 4)
    assert (found.baseline_quality, found.baseline_coverage) == (0.75, 3 / 4)
    nobody = Labels(np.full((1, 2), unknown), np.zeros((1, 2)))
    empty = difference("against", nobody, nobody, 7)
    assert (empty.difference, empty.low, empty.high, empty.share) == (None, None, None, 0)


def test_no_policy_is_its_own_baseline():
    policy = Policy(distance_long=0.4)
    assert baselines(policy, {}) == {
        "cluster_medoid": Policy(rule="cluster_medoid", guards=False, reliability=False, distance_long=0.4),
        "vote": Policy(rule="vote", guards=False, reliability=False, distance_long=0.4),
        "without_guards": Policy(guards=False, distance_long=0.4),
    }
    assert set(baselines(Policy(rule="vote", guards=False, reliability=False), {"contradictions": "none"})) == {
        "cluster_medoid", "against",
    }  # fmt: skip

"""Whatever comes in: a decision or an abstention with its reason, never an exception."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from consensus_server.core.consensus import CONFIDENCES, RULES, decide
from tests.support.policies import plain

LONG = [f"answer {i} ".ljust(100, "x") for i in range(8)]
EQUIVALENCES = ["semantic", "exact", "final_answer", "code"]
ONE_OF_EACH_KIND = ["cluster_medoid", "random", "hybrid"]
"""Rules that pick inside the dominant cluster, anywhere, and by what the round as a whole says."""


def small_pools(make_pool):
    return {
        "nobody": make_pool(np.zeros((0, 4)), texts=[]),
        "all empty": make_pool(np.eye(4)[:3], texts=["", " \n", "\u200b"]),
        "all NaN": make_pool(np.full((3, 4), np.nan)),
        "all zero": make_pool(np.zeros((3, 4))),
        "one": make_pool(np.eye(4)[:1]),
        "one of three": make_pool([[1, 0, 0, 0], [np.nan] * 4, [0] * 4]),
        "two": make_pool(np.eye(4)[:2]),
        "two alike": make_pool([[1, 0, 0, 0], [1, 0.1, 0, 0]]),
        "identical": make_pool(np.ones((5, 4)), texts=[LONG[0]] * 5),
        "orthogonal": make_pool(np.eye(4)),
        "opposed": make_pool([[1, 0, 0, 0], [-1, 0, 0, 0]]),
        "mean of nothing": make_pool(np.concatenate([np.eye(4), -np.eye(4)])),
        "huge and tiny": make_pool([[1e38, 0, 0, 0], [1e-42, 0, 0, 0], [0, 1e38, 0, 0]]),
        "many scripts": make_pool(
            np.eye(4)[[0, 0, 1, 1]], texts=["巴黎", "פריז", "\u202e\u0628\u0627\u0631\u064a\u0633", "Pa\u200bris"]
        ),
        "one with many samples": make_pool(np.eye(4), participants=["a"] * 4),
    }


def a_megabyte(make_pool):
    return make_pool(np.eye(4)[[0, 0, 1]], texts=["word " * 200_000, " " * 999_999 + "x", "short"])


def pools(make_pool):
    return small_pools(make_pool) | {"a megabyte": a_megabyte(make_pool)}


EXPECTED = {
    "nobody": "no_answers",
    "all empty": "no_answers",
    "all NaN": "no_answers",
    "all zero": "no_answers",
    "one": "single_answer",
    "one of three": "single_answer",
    "two": "tie",
    "two alike": None,
    "identical": None,
    "orthogonal": "tie",
    "opposed": "tie",
    "mean of nothing": "tie",
    "huge and tiny": None,
    "many scripts": "tie",
    "one with many samples": "tie",
    "a megabyte": None,
}


def test_each_has_its_outcome(make_pool):
    hard = pools(make_pool)
    decisions = decide(list(hard.values()), plain())
    assert dict(zip(hard, [d.abstention for d in decisions], strict=True)) == EXPECTED


def of_every_equivalence(hard):
    """One round: each pool under each equivalence."""
    return [replace(pool, equivalence=each) for each in EQUIVALENCES for pool in hard.values()]


def bears(hard, policy):
    for decision in decide(hard, policy):
        assert (decision.pick is None) is (decision.abstention is not None)
        assert 0 <= decision.confidence <= 1
        assert 0 <= decision.share <= 1
        json.dumps(asdict(decision), allow_nan=False)


# A rule picks, and a score then measures the pick: each meets every pool, but not every other in every combination.
@pytest.mark.parametrize("abstain", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_bears_them_under_every_equivalence(make_pool, rule, abstain):
    bears(of_every_equivalence(small_pools(make_pool)), plain(rule=rule, abstain=abstain))


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("rule", ONE_OF_EACH_KIND)
def test_every_score_bears_them_under_every_equivalence(make_pool, rule, confidence):
    bears(of_every_equivalence(small_pools(make_pool)), plain(rule=rule, confidence=confidence, abstain=False))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_bears_a_megabyte(make_pool, rule):
    bears([a_megabyte(make_pool)], plain(rule=rule, abstain=False))


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_every_score_bears_a_megabyte(make_pool, confidence):
    bears([a_megabyte(make_pool)], plain(confidence=confidence))


@pytest.mark.parametrize("rule", ONE_OF_EACH_KIND)
def test_every_equivalence_bears_a_megabyte(make_pool, rule):
    bears(of_every_equivalence({"a megabyte": a_megabyte(make_pool)}), plain(rule=rule))


def test_without_abstention_only_a_pool_without_answers_has_no_label(make_pool):
    hard = pools(make_pool)
    decisions = decide(list(hard.values()), plain(abstain=False))
    without = {name for name, d in zip(hard, decisions, strict=True) if d.pick is None}
    assert without == {"nobody", "all empty", "all NaN", "all zero"}


def test_ten_thousand_answers_in_one_pool(make_pool):
    rng = np.random.default_rng(5)
    meaning = rng.choice(32, 10_000, p=np.arange(32, 0, -1) / 528)
    vectors = np.eye(32)[meaning] + 0.05 * rng.normal(size=(10_000, 32))
    decision = decide([make_pool(vectors)], plain())[0]
    sizes = np.bincount(meaning)
    assert [c.votes for c in decision.clusters] == sorted(sizes.tolist(), reverse=True)
    assert meaning[decision.pick] == 0
    own = vectors[meaning == 0] / np.linalg.norm(vectors[meaning == 0], axis=1, keepdims=True)
    assert np.flatnonzero(meaning == 0)[(own @ own.sum(0)).argmax()] == decision.pick


def test_ten_thousand_copies(make_pool):
    vectors = np.ones((10_000, 8))
    decision = decide([make_pool(vectors, texts=["same words"] * 10_000)], plain())[0]
    assert (decision.share, decision.support, decision.confidence) == (1, 10_000, 1)

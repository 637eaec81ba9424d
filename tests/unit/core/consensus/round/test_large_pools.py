"""Pools too large for a table of pairs."""

from dataclasses import replace

import numpy as np
import pytest

from consensus_server.core.consensus import decide
from consensus_server.core.consensus.answers.pairs import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.round.large_pools import copy_groups
from tests.support.rounds import GUARDED, joined, measures_of, text_of, votes_of, with_openings


def a_large_pool(make_pool, honest=1300, copies=400, dimension=32):
    """One pool too large for pairs: honest answers of four meanings, and many names that say the same."""
    rng = np.random.default_rng(5)
    vectors = np.eye(dimension)[rng.choice(4, honest, p=[0.4, 0.3, 0.2, 0.1])] + 0.05 * rng.normal(
        size=(honest, dimension)
    )
    texts = [text_of(rng, 25, [f"site{i}word{w}" for w in range(40)]) for i in range(honest)]
    spam = np.tile(np.eye(dimension)[4], (copies, 1)) + 0.005 * rng.normal(size=(copies, dimension))
    texts += [
        f"This is what all of us say, again and again, and number {i} says it as well as the others."
        for i in range(copies)
    ]
    pool = make_pool(np.concatenate([vectors, spam]), texts=texts, prompt_id="large")
    return with_openings(pool, np.eye(dimension)[:5].sum(axis=0))


def with_small_ones(make_pool):
    return [
        with_openings(
            make_pool(np.eye(3), texts=[f"small {i} {k} ".ljust(100, "y") for k in range(3)], prompt_id=f"small{i}"),
            np.ones(3),
        )
        for i in range(3)
    ]


def test_in_a_pool_too_large_for_pairs_copies_weigh_as_one(make_pool):
    pool = a_large_pool(make_pool)
    decision = decide([pool], GUARDED)[0]
    assert decision.pick < 1300
    own = next(c for c in decision.clusters if 1300 in c.members)
    assert own.votes < 2
    assert votes_of(pool, decision) == pytest.approx(1301, abs=15)
    bare = decide([pool], replace(GUARDED, guards=False))[0]
    assert votes_of(pool, bare) == pytest.approx(1700)


def test_gates_read_pools_too_large_for_pairs(make_pool):
    pool = a_large_pool(make_pool, copies=0)
    rng, about = np.random.default_rng(6), pool.prompt_opening
    texts = ["\x00\x01\ufffd\x1b" * 40, text_of(rng, 30), "word " * 5000]
    more = joined(pool, ["bytes", "stray", "talker"], texts, [about, -about, about])
    for pools in ([more], [more, *with_small_ones(make_pool)]):
        decision = decide(pools, GUARDED)[0]
        assert decision.gates == {1300: "garbage", 1301: "off_topic", 1302: "over_long"}
        assert decision.pick < 1300


def test_copies_are_found_in_blocks_and_lead_to_their_first():
    rng = np.random.default_rng(7)
    unit = unit_vectors(rng.normal(size=(40, 16)).astype(np.float32))[rng.integers(0, 40, 9000)]
    comparable = rng.random(9000) < 0.9
    measures = measures_of(np.zeros(9000, dtype=np.int64), np.arange(9000), np.where(comparable, 100, 10))
    groups = copy_groups(measures, unit, np.ones(9000, dtype=bool))
    _, first, which = np.unique(unit[comparable], axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(groups[comparable], np.flatnonzero(comparable)[first[which.ravel()]])
    np.testing.assert_array_equal(groups[~comparable], np.flatnonzero(~comparable))


def test_where_all_openings_are_alike_only_what_is_more_so_is_a_copy():
    """Openings of a narrow task at a cosine of .99, and 400 that differ in noise only."""
    rng, answers = np.random.default_rng(8), 1500
    spread = rng.normal(size=(answers, 256)) * np.sqrt(0.01 / 256)
    spread[:400] = spread[0] + 1e-4 * rng.normal(size=(400, 256))
    unit = unit_vectors((np.eye(256)[0] + spread).astype(np.float32))[rng.permutation(answers)]
    measures = measures_of(np.zeros(answers, dtype=np.int64), np.arange(answers), [100] * answers)
    groups = copy_groups(measures, unit, np.ones(answers, dtype=bool))
    assert len(np.unique(groups)) == answers - 399


def test_answers_that_show_nothing_make_no_pool_too_large_for_pairs(make_round):
    pools = make_round(participants=4)
    nobody = [f"nobody-{i}" for i in range(FULL_MATRIX_ANSWERS)]
    vectors = np.ones((len(nobody), pools[0].vectors.shape[1]))
    stuffed = [joined(pools[0], nobody, ["\u200b"] * len(nobody), vectors), *pools[1:]]
    before, after = (decide_round(each, GUARDED) for each in (pools, stuffed))
    assert after.decisions[0].gates == dict.fromkeys(range(4, 4 + len(nobody)), "empty")
    for name in ("pick", "support", "share", "confidence", "clusters"):
        assert getattr(after.decisions[0], name) == getattr(before.decisions[0], name)
    assert [each for each in after.participants if each.prompts] == list(before.participants)

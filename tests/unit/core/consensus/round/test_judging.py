"""Rounds judged as a whole: whatever comes in, in whatever order."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import RULES, MissingOpenings, decide
from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.meaning import linkage
from consensus_server.core.consensus.round import judging
from consensus_server.core.consensus.round.earlier import EarlierRounds
from tests.support.rounds import GUARDED, joined, rearranged, story, with_openings


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shuffle=st.randoms(use_true_random=False))
def test_neither_the_order_of_pools_nor_of_answers_matters(make_round, seed, shuffle):
    pools = make_round(seed % 5, prompts=25)
    before = {d.prompt_id: d for d in decide(pools, GUARDED)}
    others = []
    for pool in pools:
        order = list(range(len(pool.texts)))
        shuffle.shuffle(order)
        others.append(rearranged(pool, order))
    shuffle.shuffle(others)
    for pool, decision in zip(others, decide(others, GUARDED), strict=True):
        old = before[pool.prompt_id]
        old_pool = next(p for p in pools if p.prompt_id == pool.prompt_id)
        assert pool.digests[decision.pick] == old_pool.digests[old.pick]
        assert (decision.confidence, decision.support, decision.share) == (old.confidence, old.support, old.share)


def test_reliability_follows_who_agrees_elsewhere(make_round):
    pools = make_round(prompts=40)
    trusting, plain = (decide_round(pools, replace(GUARDED, reliability=each)) for each in (True, False))
    best = max(trusting.participants, key=lambda each: each.mean).participant

    def picks(outcome):
        return [pool.participants[d.pick] for pool, d in zip(pools, outcome.decisions, strict=True)]

    assert picks(trusting).count(best) > picks(plain).count(best)
    assert picks(trusting).count("site-0") == 0


def test_a_pool_without_what_gates_read_is_named(make_round, make_pool):
    with pytest.raises(MissingOpenings, match=r"pool 'bare' lacks.*encode_with_openings"):
        decide([*make_round(prompts=2), make_pool(np.eye(3), prompt_id="bare")], GUARDED)


def a_megabyte(make_pool):
    pool = make_pool(
        np.eye(4)[[0, 0, 1]], texts=["word " * 200_000, " " * 999_999 + "x", "short"], prompt_id="a megabyte"
    )
    return with_openings(pool, np.eye(4)[0])


def small_pools(make_pool):
    eye, nothing = np.eye(4), np.zeros(4)
    named = {
        "nobody": (make_pool(np.zeros((0, 4)), texts=[]), eye[0]),
        "empty": (make_pool(eye[:3], texts=["", " \n", "\u200b"]), eye[0]),
        "nan": (make_pool(np.full((3, 4), np.nan)), eye[0]),
        "nan prompt": (make_pool(eye[:3]), np.full(4, np.nan)),
        "zero prompt": (make_pool(eye[:3]), nothing),
        "one": (make_pool(eye[:1]), eye[0]),
        "two": (make_pool(eye[:2]), eye[0]),
        "identical": (make_pool(np.ones((5, 4)), texts=["the same words " * 20] * 5), np.ones(4)),
        "orthogonal": (make_pool(eye), np.ones(4)),
        "opposed": (make_pool([eye[0], -eye[0]]), eye[0]),
        "huge": (make_pool([eye[0] * 1e38, eye[1] * 1e-42]), eye[0]),
        "scripts": (make_pool(eye, texts=["巴黎", "פריז", "\u202e\u0628\u0627", "Pa\u200bris"]), eye[0]),
        "private use": (make_pool(eye[:2], texts=["a useful\ue000b", "c"]), eye[0]),
        "one with many": (make_pool(eye, participants=["a"] * 4), eye[0]),
        "garbage only": (make_pool(eye[:3], texts=["\x00" * 9 + "a", "\x01" * 9 + "b", "\x02" * 9 + "c"]), eye[0]),
    }
    return [with_openings(replace(pool, prompt_id=name), prompt) for name, (pool, prompt) in named.items()]


def bears(pools, policy):
    for decision in decide(pools, policy):
        assert (decision.pick is None) is (decision.abstention is not None)
        json.dumps(asdict(decision), allow_nan=False)


@pytest.mark.parametrize("rule", RULES)
def test_whatever_comes_in_there_is_a_decision_or_a_reason(make_pool, rule):
    small = small_pools(make_pool)
    bears(small, replace(GUARDED, rule=rule))
    for pools in ([*small, a_megabyte(make_pool)], *([pool] for pool in small)):
        bears(pools, replace(GUARDED, rule=rule, abstain=False))


@pytest.mark.parametrize("abstain", [True, False])
def test_whatever_comes_alone(make_pool, abstain):
    for pool in (*small_pools(make_pool), a_megabyte(make_pool)):
        bears([pool], replace(GUARDED, abstain=abstain))


def test_only_a_pool_without_answers_has_no_label(make_pool):
    pools = [*small_pools(make_pool), a_megabyte(make_pool)]
    without = {d.prompt_id for d in decide(pools, GUARDED) if d.pick is None}
    assert without == {"nobody", "empty", "nan", "garbage only"}


UNGUARDED = replace(GUARDED, guards=False)
POLICIES = [GUARDED, UNGUARDED, replace(GUARDED, rule="medoid", reliability=False), replace(UNGUARDED, rule="medoid")]
LARGE = 5
"""Answers beyond which a pool of these tests is too large for pairs."""


@pytest.fixture
def mixed_round(random_pool, make_pool, monkeypatch):
    """Large pools between small ones, one without answers, one of which nothing can be admitted."""
    for module in (judging, linkage):
        monkeypatch.setattr(module, "FULL_MATRIX_ANSWERS", LARGE)
    kinds = [(9, "semantic"), (3, "exact"), (5, "semantic"), (7, "final_answer"), (1, "semantic"), (4, "semantic")]

    def make(seed):
        pools = [random_pool(seed + i, f"p{i}", answers=size, equivalence=each) for i, (size, each) in enumerate(kinds)]
        pools.insert(1, make_pool(np.zeros((0, 12)), texts=[], prompt_id="nobody"))
        pools.insert(4, make_pool(np.full((6, 12), np.nan), prompt_id="lost"))
        return [with_openings(pool, np.nan_to_num(pool.vectors).sum(axis=0)) for pool in pools]

    return make


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(3))
def test_a_round_of_pools_of_all_sizes_has_no_order(mixed_round, policy, seed):
    pools, rng = mixed_round(seed), np.random.default_rng(seed)
    others = [rearranged(pools[i], rng.permutation(len(pools[i].texts)).tolist()) for i in rng.permutation(len(pools))]
    before, after = (decide_round(each, policy) for each in (pools, others))
    stories = {pool.prompt_id: story(pool, each) for pool, each in zip(pools, before.decisions, strict=True)}
    assert [story(pool, each) for pool, each in zip(others, after.decisions, strict=True)] == [
        stories[pool.prompt_id] for pool in others
    ]
    assert after.participants == before.participants


@pytest.mark.parametrize("seed", range(3))
def test_without_guards_large_pools_stand_alone_and_small_ones_read_small_ones_only(mixed_round, seed):
    pools = mixed_round(seed)
    large = [len(pool.texts) > LARGE for pool in pools]
    assert len({*large}) == 2
    together = decide(pools, UNGUARDED)
    small = iter(decide([pool for pool, each in zip(pools, large, strict=True) if not each], UNGUARDED))
    assert together == [
        decide([pool], UNGUARDED)[0] if each else next(small) for pool, each in zip(pools, large, strict=True)
    ]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(3))
def test_every_row_has_a_verdict_of_its_own(mixed_round, policy, seed):
    """Admitted with a vote, or rejected without one; decisions say the same by place."""
    pools = mixed_round(seed)
    answers = read(pools)
    wide = policy.guards or RULES[policy.rule].round_wide
    verdict, _ = judging.judge_round(answers, pools, policy, EarlierRounds(), round_wide=wide)
    assert sorted(verdict.rejections) == np.flatnonzero(~verdict.admitted).tolist()
    np.testing.assert_array_equal(verdict.votes > 0, verdict.admitted)
    decisions = decide(pools, policy)
    rejected = {(int(answers.sources[answers.pool[row]]), int(answers.places[row])) for row in verdict.rejections}
    assert rejected == {(i, place) for i, each in enumerate(decisions) for place in each.gates}
    for i, decision in enumerate(decisions):
        own = answers.sources[answers.pool] == i
        assert sum(cluster.votes for cluster in decision.clusters) == pytest.approx(verdict.votes[own].sum(), abs=1e-5)


@pytest.mark.parametrize("at", [0, 2, 3, 5, 6, 7])
def test_a_gate_rejects_the_answer_that_it_measured(mixed_round, at):
    """In a pool of whatever size, before and behind unusable answers."""
    pools = mixed_round(1)
    place = len(pools[at].texts)
    pools[at] = joined(pools[at], ["bytes"], ["\x00\x01\ufffd\x1b" * 40], pools[at].vectors[:1])
    garbage = [
        (i, r) for i, each in enumerate(decide(pools, GUARDED)) for r, name in each.gates.items() if name == "garbage"
    ]
    assert garbage == [(at, place)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(3))
def test_unusable_answers_change_nothing_for_the_others(mixed_round, policy, seed):
    pools = mixed_round(seed)
    haunted = [
        joined(
            pool,
            ["a-ghost", "z-ghost"],
            ["\u200b" * (1 + i), "Nothing is seen of this."],
            [pool.vectors.sum(0), np.zeros(12)],
        )
        for i, pool in enumerate(pools)
    ]
    for pool, alone, among in zip(pools, decide(pools, policy), decide(haunted, policy), strict=True):
        size = len(pool.texts)
        assert {place: among.gates[place] for place in (size, size + 1)} == {size: "empty", size + 1: "not_embeddable"}
        gates = {place: gate for place, gate in among.gates.items() if place < size}
        left = replace(among, gates=gates, similarity=among.similarity[:size])
        assert story(pool, left) == story(pool, alone), pool.prompt_id

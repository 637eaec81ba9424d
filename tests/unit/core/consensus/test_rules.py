"""One suite for every rule, then what each does differently."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import RULES, decide
from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.rules import rule_named
from tests.support.policies import plain


@pytest.fixture(scope="module")
def pools(random_pool):
    return [random_pool(seed, f"p{seed}", answers=3 + seed % 7) for seed in range(60)]


@pytest.fixture(params=sorted(RULES))
def rule(request):
    return request.param


def test_it_labels_every_pool_when_it_may_not_abstain(rule, pools):
    assert all(d.pick is not None for d in decide(pools, plain(rule=rule, abstain=False)))


def test_it_gives_the_same_labels_twice(rule, pools):
    policy = plain(rule=rule, abstain=False)
    assert decide(pools, policy) == decide(pools, policy)


def test_it_picks_where_it_says(rule, pools):
    for decision in decide(pools, plain(rule=rule, abstain=False)):
        own = next(c for c in decision.clusters if decision.pick in c.members)
        if rule_named(rule).within_dominant:
            assert own.votes == decision.clusters[0].votes
        assert decision.share == own.share


def test_it_abstains_by_the_policy(rule, pools):
    labelled = decide(pools, plain(rule=rule, abstain=False))
    for decision, free in zip(decide(pools, plain(rule=rule, minimum_support=3)), labelled, strict=True):
        tied = len(free.clusters) > 1 and free.clusters[0].votes == free.clusters[1].votes
        expected = "tie" if tied else "low_support" if free.support < 2.5 else None
        assert decision.abstention == expected
        assert decision.pick == (None if expected else free.pick)


def test_it_agrees_with_a_pool_of_one_mind(rule, make_pool):
    pool = make_pool(np.ones((4, 6)), texts=["yes " * 30] * 4)
    decision = decide([pool], plain(rule=rule))[0]
    assert pool.texts[decision.pick] == "yes " * 30
    assert (decision.support, decision.share) == (4, 1)


def test_medoid_minimises_the_weighted_distance_to_the_pool(pools):
    for pool, decision in zip(pools, decide(pools, plain(rule="medoid", abstain=False)), strict=True):
        unit = pool.vectors / np.linalg.norm(pool.vectors, axis=1, keepdims=True)
        count = Counter(pool.participants)
        votes = np.array([1 / count[name] for name in pool.participants])
        cost = (1 - unit @ unit.T) @ votes
        assert cost[decision.pick] <= cost.min() + 1e-5


def test_cluster_medoid_minimises_the_weighted_distance_to_its_cluster(pools):
    for pool, decision in zip(pools, decide(pools, plain(abstain=False)), strict=True):
        own = list(next(c for c in decision.clusters if decision.pick in c.members).members)
        count = Counter(pool.participants)
        votes = np.array([1 / count[pool.participants[i]] for i in own])
        cost = (1 - pool.vectors[own] @ pool.vectors[own].T) @ votes
        assert cost[own.index(decision.pick)] <= cost.min() + 1e-5


def test_medoid_is_the_answer_nearest_the_mean_of_unit_vectors(pools):
    for pool, decision in zip(pools, decide(pools, plain(rule="medoid", abstain=False)), strict=True):
        unit = pool.vectors / np.linalg.norm(pool.vectors, axis=1, keepdims=True)
        count = Counter(pool.participants)
        mean = np.array([1 / count[name] for name in pool.participants]) @ unit
        nearness = unit @ mean / np.linalg.norm(mean)
        assert nearness[decision.pick] >= nearness.max() - 1e-5


def test_equally_central_answers_go_by_digest(make_pool):
    for seed in range(30):
        pair = np.random.default_rng(seed).normal(size=(2, 384)) + 1.5
        pool = make_pool(pair, texts=[f"{seed} a".ljust(100), f"{seed} b".ljust(100)])
        assert decide([pool], plain())[0].pick == pool.digests.index(min(pool.digests))


def test_medoid_has_the_support_of_its_own_cluster(make_pool):
    # A stranger stands between a large and a smaller cluster: central, and alone.
    angles = np.deg2rad([0, 5, 10, 70, 130, 135, 140, 145])
    pool = make_pool(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    decision = decide([pool], plain(rule="medoid"))[0]
    assert (decision.abstention, decision.support) == ("low_support", 1)
    assert decide([pool], plain())[0].support == 4


def test_vote_counts_texts_whatever_they_mean(make_pool):
    vectors = np.eye(5)[[0, 1, 2, 2, 2]]
    pool = make_pool(vectors, texts=["Lyon", " lyon ", "Paris", "It is Paris", "Paris, surely"])
    assert decide([pool], plain(rule="vote"))[0].pick in {0, 1}
    assert decide([pool], plain())[0].pick in {2, 3, 4}


def test_random_draws_by_seed_prompt_and_digests_only(random_pool, make_pool):
    pool = random_pool(4, "p", answers=9)

    def picks(seed, prompt_id="p", answers=pool):
        policy = plain(rule="random", seed=seed, abstain=False)
        return decide([replace(answers, prompt_id=prompt_id)], policy)[0].pick

    drawn = [picks(seed) for seed in range(40)]
    assert drawn == [picks(seed) for seed in range(40)]
    assert len(set(drawn)) > 4
    assert [picks(0, f"q{i}") for i in range(40)] != [picks(0)] * 40
    turned = make_pool(pool.vectors[::-1], pool.participants, pool.texts, samples=pool.samples)
    assert [picks(seed, answers=turned) for seed in range(40)] == drawn


def test_random_draws_each_participant_equally_often(make_pool):
    # b's one answer stands against a's three.
    pool = make_pool(np.eye(4), participants=["a", "a", "a", "b"])
    drawn = [decide([pool], plain(rule="random", seed=s, abstain=False))[0].pick for s in range(600)]
    assert 240 < drawn.count(3) < 360
    assert min(drawn.count(i) for i in range(3)) > 60


def test_the_geometric_median_bears_a_minority_that_sways_the_mean(make_pool):
    """Three agree closely, two stand together far away, one between: the mean lies between, the median with the three."""
    angles = np.deg2rad([0, 1, 2, 24, 90, 90])
    pool = make_pool(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    picks = {rule: decide([pool], plain(rule=rule, abstain=False))[0].pick for rule in ("medoid", "geometric_median")}
    assert picks["medoid"] == 3
    assert picks["geometric_median"] in {0, 1, 2}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), answers=st.integers(3, 11), who=st.integers(0, 10), much=st.floats(0.01, 10))
def test_one_voter_cannot_overturn_a_lead(make_pool, seed, answers, who, much):
    """What docs/methods.md says: a lead of more than 4 v / V stands, whatever one voter says, but for its own answer."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=6) + 0.4 * rng.normal(size=(answers, 6))
    changed = vectors.copy()
    changed[who % answers] = much * rng.normal(size=6)
    before, after = (unit_vectors(v.astype(np.float32)) for v in (vectors, changed))
    scores = (before @ before.T).mean(axis=1)
    pick, second = np.argsort(-scores)[:2]
    chosen = decide([make_pool(after)], plain(rule="medoid", abstain=False))[0].pick
    if scores[pick] - scores[second] > 4 / answers and pick != who % answers:
        assert chosen in {pick, who % answers}
    assert abs((after @ after.T).mean(axis=1) - scores)[np.arange(answers) != who % answers].max() <= 2 / answers + 1e-9


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), answers=st.integers(3, 11), size=st.floats(1e-6, 0.3))
def test_small_changes_of_vectors_change_no_clear_pick(make_pool, seed, answers, size):
    """Each vector moves by at most `size`: a cosine by at most twice that, a lead by four times."""
    rng = np.random.default_rng(seed)
    before = unit_vectors((rng.normal(size=6) + 0.7 * rng.normal(size=(answers, 6))).astype(np.float32))
    moved = unit_vectors((before + rng.normal(size=before.shape) * size / 6).astype(np.float32))
    step = np.sqrt(((moved - before) ** 2).sum(axis=1)).max()
    scores = (before @ before.T).mean(axis=1)
    pick, second = np.argsort(-scores)[:2]
    if scores[pick] - scores[second] > 4 * step + 1e-5:
        assert decide([make_pool(moved)], plain(rule="medoid", abstain=False))[0].pick == pick


def test_longest_takes_the_answer_of_most_characters(make_pool):
    pool = make_pool(np.eye(3), texts=["a long answer", "longer: " + "x" * 90, "an answer"])
    assert decide([pool], plain(rule="longest", abstain=False))[0].pick == 1

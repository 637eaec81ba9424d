"""What must never matter, on pools whose answers, participants and clusters are unequal."""

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import CONFIDENCES, RULES, decide
from tests.support.policies import plain
from tests.support.rounds import rearranged, story

seeds = st.integers(0, 2**32 - 1)
policies = st.builds(
    plain,
    rule=st.sampled_from(sorted(RULES)),
    confidence=st.sampled_from(sorted(CONFIDENCES)),
    abstain=st.booleans(),
    decide_by=st.sampled_from(["evidence", "support"]),
    minimum_support=st.integers(1, 4),
    minimum_margin=st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]),
    seed=st.integers(0, 5),
)
equivalences = st.sampled_from(["semantic", "exact", "final_answer", "code"])
quick = settings(max_examples=60, deadline=None)


@quick
@given(seed=seeds, policy=policies, equivalence=equivalences, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_answers(random_pool, seed, policy, equivalence, shuffle):
    pool = random_pool(seed, equivalence=equivalence)
    order = list(range(len(pool.texts)))
    shuffle.shuffle(order)
    other = rearranged(pool, order)
    assert story(other, decide([other], policy)[0]) == story(pool, decide([pool], policy)[0])


@quick
@given(first=seeds, policy=policies, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_pools(random_pool, first, policy, shuffle):
    pools = some_pools(random_pool, first)
    before = {decision.prompt_id: decision for decision in decide(pools, policy)}
    shuffle.shuffle(pools)
    assert decide(pools, policy) == [before[pool.prompt_id] for pool in pools]


@quick
@given(first=seeds, policy=policies.filter(lambda policy: not RULES[policy.rule].round_wide))
def test_the_other_pools_under_rules_that_look_at_one(random_pool, first, policy):
    pools = some_pools(random_pool, first)
    assert decide(pools, policy) == [decide([pool], policy)[0] for pool in pools]


def some_pools(random_pool, first):
    return [
        random_pool(first + i, f"p{i}", equivalence="exact" if i % 3 == 0 else "semantic", dimension=5 + i % 2)
        for i in range(9)
    ]


def test_how_pools_are_batched(random_pool, monkeypatch):
    pools = [random_pool(seed, f"p{seed}") for seed in range(40)]
    whole = decide(pools, plain())
    monkeypatch.setattr(sys.modules["consensus_server.core.consensus.decide"], "_BATCH_VALUES", 150)
    assert decide(pools, plain()) == whole
    assert len({d.abstention for d in whole}) > 2


@quick
@given(seed=seeds, policy=policies, equivalence=equivalences)
def test_what_participants_are_called(random_pool, seed, policy, equivalence):
    pool = random_pool(seed, equivalence=equivalence)
    names = sorted(set(pool.participants))
    called = dict(zip(names, [f"z{len(names) - i}" for i in range(len(names))], strict=True))
    other = replace(pool, participants=tuple(called[name] for name in pool.participants))
    before, after = decide([pool], policy)[0], decide([other], policy)[0]
    assert (after.abstention, after.clusters) == (before.abstention, before.clusters)
    # Between copies of one text the name may decide who gave it, never which text.
    assert [pool.texts[d.pick] if d.pick is not None else None for d in (after, before)] == [
        pool.texts[before.pick] if before.pick is not None else None
    ] * 2
    assert (after.confidence, after.support, after.share) == (before.confidence, before.support, before.share)


@quick
@given(seed=seeds, policy=policies, equivalence=equivalences, factor=st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**30]))
def test_the_length_of_vectors(random_pool, seed, policy, equivalence, factor):
    pool = random_pool(seed, equivalence=equivalence)
    scaled = replace(pool, vectors=(pool.vectors * np.float32(factor)).astype(np.float32))
    assert decide([scaled], policy) == decide([pool], policy)


@quick
@given(seed=seeds, which=st.integers(0, 100), equivalence=equivalences)
def test_a_repeated_sample_gives_its_participant_no_more_weight(random_pool, seed, which, equivalence):
    pool = random_pool(seed, equivalence=equivalence)
    i = which % len(pool.texts)
    repeated = rearranged(pool, [*range(len(pool.texts)), i])
    repeated = replace(repeated, samples=(*pool.samples, 99))
    decision = decide([repeated], plain(abstain=False))[0]
    count = Counter(repeated.participants)
    for cluster in decision.clusters:
        assert np.isclose(cluster.votes, sum(1 / count[repeated.participants[m]] for m in cluster.members), atol=1e-5)
    assert np.isclose(sum(c.votes for c in decision.clusters), len(set(pool.participants)), atol=1e-5)


@quick
@given(seed=seeds, copies=st.integers(1, 20), policy=policies)
def test_repeating_the_only_sample_changes_no_vote(random_pool, seed, copies, policy):
    """Where clusters go by text, votes are all that a repetition could change, and it changes none."""
    pool = random_pool(seed, equivalence="exact")
    only = next((i for i, name in enumerate(pool.participants) if pool.participants.count(name) == 1), None)
    assume(only is not None and len(pool.texts) > 1)
    repeated = rearranged(pool, [*range(len(pool.texts)), *[only] * copies])
    repeated = replace(repeated, samples=(*pool.samples, *range(50, 50 + copies)))
    before, after = (decide([p], replace(policy, rule="vote"))[0] for p in (pool, repeated))
    assert after.abstention == before.abstention
    assert [(c.votes, c.share) for c in after.clusters] == [(c.votes, c.share) for c in before.clusters]
    assert after.pick is None or repeated.texts[after.pick] == pool.texts[before.pick]


@quick
@given(seed=seeds, policy=policies, equivalence=equivalences)
def test_what_every_decision_holds(random_pool, seed, policy, equivalence):
    pool = random_pool(seed, equivalence=equivalence)
    decision = decide([pool], policy)[0]
    participants = len(set(pool.participants))
    assert sorted(i for c in decision.clusters for i in c.members) == list(range(len(pool.texts)))
    votes = [c.votes for c in decision.clusters]
    assert votes == sorted(votes, reverse=True)
    assert np.isclose(sum(votes), participants, atol=1e-5)
    assert np.isclose(sum(c.share for c in decision.clusters), 1, atol=1e-5)
    assert 0 <= decision.support <= participants
    if decision.pick is not None:
        own = next(c for c in decision.clusters if decision.pick in c.members)
        assert decision.share == own.share
        assert decision.similarity[decision.pick] == 1
    if policy.abstain and decision.pick is not None and policy.decide_by == "support":
        assert decision.support >= policy.minimum_support - 0.5
    if policy.abstain and decision.pick is not None and policy.decide_by == "evidence":
        assert decision.stands_on.margin >= policy.minimum_margin
    assert (decision.stands_on is None) == (policy.decide_by == "support")

"""Refusals in a round that drops them: never a pick, no vote, and nothing is decided otherwise for them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import RULES
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.earlier import EarlierRounds
from tests.support.rounds import GUARDED, joined, story

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot provide legal advice.",
    "As an AI language model, I don't have access to that. Please consult a professional.",
)
POLICIES = [GUARDED, replace(GUARDED, abstain=True), *(Policy(rule=each, guards=False) for each in sorted(RULES))]


def with_refusals(pools, rng, who):
    """The pools, some of them with refusals, near one another and near the prompt, by those of `who`."""
    haunted = []
    for pool in pools:
        count = int(rng.integers(0, 6))
        texts = rng.choice(REFUSALS, count).tolist()
        names = [who[i % len(who)] for i in range(count)]
        vectors = np.tile(pool.vectors.sum(0), (count, 1))
        more = joined(pool, names, texts, vectors)
        size = len(pool.texts)
        haunted.append(replace(more, samples=(*pool.samples, *range(size, size + count))))
    return haunted


@pytest.mark.parametrize("policy", POLICIES, ids=lambda each: f"{each.rule}-{each.guards}-{each.abstain}")
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), who=st.sampled_from([("site-0",), ("site-1", "site-3"), ("a-ghost", "z-ghost")]))
def test_refusals_change_nothing_for_the_others(make_round, policy, seed, who):
    pools = make_round(seed % 5, prompts=6)
    haunted = with_refusals(pools, np.random.default_rng(seed), who)
    alone, among = (decide_round(each, policy, drop_refusals=True).decisions for each in (pools, haunted))
    for pool, more, before, after in zip(pools, haunted, alone, among, strict=True):
        size = len(pool.texts)
        assert {place: after.gates[place] for place in range(size, len(more.texts))} == dict.fromkeys(
            range(size, len(more.texts)), "refusal"
        )
        assert after.pick is None or after.pick < size
        gates = {place: gate for place, gate in after.gates.items() if place < size}
        left = replace(after, gates=gates, similarity=after.similarity[:size])
        assert story(pool, left) == story(pool, before)


def test_who_refuses_often_is_not_repetitive_for_it(make_round):
    pools = make_round(prompts=12)
    refusing = [pool if i < 3 else _in_place_of(pool, 0) for i, pool in enumerate(pools)]
    decisions = decide_round(refusing, GUARDED, drop_refusals=True).decisions
    assert [decision.gates for decision in decisions] == [{}] * 3 + [{0: "refusal"}] * 9


def _in_place_of(pool, place):
    """The pool in which the answer at that place is a refusal."""
    texts = (*pool.texts[:place], REFUSALS[2] + " " + REFUSALS[0], *pool.texts[place + 1 :])
    return replace(pool, texts=texts)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda each: f"{each.rule}-{each.guards}-{each.abstain}")
def test_where_all_refuse_there_are_no_answers_and_each_is_told_why(make_round, policy):
    pools = [replace(pool, texts=tuple(REFUSALS[i % 3] for i in range(5))) for pool in make_round(prompts=2)]
    for decision in decide_round(pools, policy, drop_refusals=True).decisions:
        assert (decision.pick, decision.abstention) == (None, "no_answers")
        assert decision.gates == dict.fromkeys(range(5), "refusal")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda each: f"{each.rule}-{each.guards}-{each.abstain}")
def test_where_there_are_none_dropping_them_changes_nothing(make_round, policy):
    pools = make_round(prompts=8)
    assert decide_round(pools, policy, drop_refusals=True) == decide_round(pools, policy)


def test_an_exemption_is_of_one_participant(make_round):
    pools = [_in_place_of(pool, 0) for pool in make_round(prompts=4)]
    spared = EarlierRounds(exempt=frozenset({("site-0", "refusal")}))
    other = EarlierRounds(exempt=frozenset({("site-1", "refusal")}))
    policy = Policy(guards=False)
    kept = decide_round(pools, policy)
    assert decide_round(pools, policy, earlier=spared, drop_refusals=True).decisions == kept.decisions
    assert all(
        each.gates == {0: "refusal"}
        for each in decide_round(pools, policy, earlier=other, drop_refusals=True).decisions
    )

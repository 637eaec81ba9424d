"""Reliability within a round, and what a reputation adds to it: bounded, and never the end of an honest minority."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy
from consensus_server.core.consensus.round.earlier import REPUTATION_PROMPTS, EarlierRounds, Reputation
from consensus_server.core.consensus.round.trust import (
    BETA,
    HALF_TELLING_VOTES,
    MOST_RELIABILITY,
    shared_trust,
)
from consensus_server.core.reliability import reputation_of, row_of
from tests.support.judged import judged
from tests.support.reputations import reliability
from tests.support.rounds import GUARDED, measures_of
from tests.support.short_answers import a_mixed_pool, elaborate, near, one_meaning

means = st.floats(-3, 3)
prompts = st.integers(1, 400)


@given(mean=means, count=prompts, few=st.floats(0, 1), more=st.floats(0, 1))
def test_what_fewer_votes_tell_counts_less(mean, count, few, more):
    few, more = sorted((few, more))
    assert abs(reliability(mean, count, told=few)) <= abs(reliability(mean, count, told=more))
    assert reliability(mean, count, told=0.0) == 0


@given(mean=means, count=prompts, prior=means, behind=st.floats(0, 1e6))
def test_what_a_participant_shows_counts_at_least_as_much_as_its_reputation(mean, count, prior, behind):
    found = reliability(mean, count, Reputation(prior, behind))
    assert abs(found) <= MOST_RELIABILITY
    fresh = reliability(mean, count)
    assert (
        abs(found - fresh)
        <= min(count, REPUTATION_PROMPTS) / (count + REPUTATION_PROMPTS) * (abs(prior) + abs(mean)) + 1e-9
    )
    if count * mean > min(count, REPUTATION_PROMPTS) * abs(prior):
        assert found > 0


@given(mean=means, other=means, count=prompts, prior=means)
def test_no_vote_of_eight_weighs_more_than_twelve_times_another(mean, other, count, prior):
    told = 7 / (7 + HALF_TELLING_VOTES)
    weights = [np.exp(BETA * reliability(each, count, Reputation(prior, 100.0), told)) for each in (mean, other)]
    assert max(weights) / min(weights) <= np.exp(2 * BETA * MOST_RELIABILITY * told) + 1e-9 < 12.2


# Through whole rounds


def picked(pools, decisions, who):
    return sum(pool.participants[d.pick] in who for pool, d in zip(pools, decisions, strict=True)) / len(pools)


def federation(make_contested_round, plan, policy=GUARDED, **options):
    """Rounds one after another; plan: who lies in each. Shares of labels that the liars won, and the rows."""
    past, won, history = {}, [], []
    for number, liars in enumerate(plan, start=1):
        pools = make_contested_round(number, liars, **options)
        reputations = {who: reputation_of(rows, number, policy.half_life_rounds) for who, rows in past.items()}
        earlier = EarlierRounds({who: each for who, each in reputations.items() if each})
        outcome = decide_round(pools, policy, earlier=earlier)
        rows = [row_of(each, weight=1.0) for each in outcome.participants]
        for each in rows:
            past.setdefault(each.participant, []).append((number, each))
        won.append(picked(pools, outcome.decisions, liars))
        history.append({each.participant: each for each in rows})
    return won, history


@pytest.mark.parametrize(
    ("liars", "most", "bought"), [({"s7", "s8", "s9"}, 0.05, 0.03), ({"s6", "s7", "s8", "s9"}, 0.2, 0.15)]
)
def test_whoever_builds_a_reputation_and_then_lies_gains_little(make_contested_round, liars, most, bought):
    """They are the best of ten for three rounds, then lie together; means over three federations and two rounds of lies.

    most: labels that they win; bought: how many of these they owe to their reputations.
    """
    plan = [(), (), (), liars, liars]
    named, fresh, marked, wrongly = [], [], [], 0
    for first in (0, 100, 200):
        others = partial(_shifted, make_contested_round, first)
        won, history = federation(others, plan, experts=liars)
        named += won[3:]
        fresh += federation(others, plan, replace(GUARDED, half_life_rounds=0.0), experts=liars)[0][3:]
        assert min(history[2][who].reliability for who in liars) > 0.1
        marked.append(any(history[3][who].drifted for who in liars))
        wrongly += sum(each.drifted for who, each in history[2].items() if who not in liars)
    assert sum(marked) >= 2
    assert wrongly <= 1
    assert np.mean(named) <= most
    assert np.mean(named) <= np.mean(fresh) + bought


def _shifted(make_contested_round, first, number, *args, **options):
    return make_contested_round(first + number, *args, **options)


def test_a_reputation_counts_in_a_round_of_one_prompt(make_contested_round):
    reputations = {"s0": Reputation(1.0, 100.0), "s1": Reputation(-1.0, 100.0)}
    weighed = judged(make_contested_round(1, prompts=1), replace(GUARDED, guards=False), EarlierRounds(reputations))[0]
    assert weighed.standing.reliability[0] > 0 > weighed.standing.reliability[1]


def test_who_lied_for_long_is_trusted_again_when_it_agrees(make_contested_round):
    liars = {"s8", "s9"}
    _, history = federation(make_contested_round, [liars] * 4 + [()] * 3)
    shunned = [history[3][who].reliability for who in sorted(liars)]
    honest = [each.reliability for who, each in history[-1].items() if who not in liars]
    back = [history[-1][who].reliability for who in sorted(liars)]
    assert max(shunned) < -0.3
    assert min(back) > min(honest) - 0.2


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False))
def test_neither_order_of_pools_nor_of_the_reputations_matters(make_contested_round, shuffle):
    pools = make_contested_round(3, {"s8", "s9"}, prompts=12)
    priors = {f"s{k}": Reputation(k / 7 - 0.5, 10.0 + k) for k in range(10)}
    before = decide_round(pools, GUARDED, earlier=EarlierRounds(priors))
    keys, order = list(priors), list(range(12))
    shuffle.shuffle(keys)
    shuffle.shuffle(order)
    after = decide_round([pools[i] for i in order], GUARDED, earlier=EarlierRounds({k: priors[k] for k in keys}))
    assert after.participants == before.participants
    assert after.decisions == [before.decisions[i] for i in order]


def test_a_reputation_moves_scores_but_not_the_middle(make_contested_round):
    pools = make_contested_round(5, prompts=12)
    plain = decide_round(pools, GUARDED)
    named = decide_round(pools, GUARDED, earlier=EarlierRounds({"s0": Reputation(2.0, 1e9)}))
    gained = [b.reliability - a.reliability for a, b in zip(plain.participants, named.participants, strict=True)]
    assert gained[0] > 0.1
    assert gained[1:] == pytest.approx([0] * 9, abs=0.05)


# What several share


def one_pool(answers):
    return measures_of([0] * answers, np.arange(answers), [100] * answers)


def test_what_several_suddenly_say_alike_has_no_more_trust_than_the_baseline():
    """Unless the pool stands behind it; and who is trusted less than the pool gains nothing by sharing."""
    reliability, z, own_part, votes = (
        np.array(each)
        for each in (
            [0.4, 0.4, -0.1, -0.6, -0.2, -0.4],
            [0.9, 1.0, 0.9, 0.0, 0.0, 0.0],
            [0.25, 0.0, 0.0, 0.0, 1.0, 1.0],
            [0.0, 0.5, 0.5, 0.5, 1.0, 1.0],
        )
    )
    baseline = (-0.2 - 0.4) / 2  # of those that answer for themselves
    wanted = [0.25 * 0.4 + 0.75 * baseline, 0.4, baseline, -0.6, -0.2, -0.4]
    np.testing.assert_allclose(shared_trust(one_pool(6), reliability, z, votes, own_part), wanted)


def test_where_the_pool_is_trusted_what_is_shared_has_no_trust():
    trusted, nobody = np.array([0.5, 0.5, 0.3, 0.3]), np.zeros(4)
    own_part = np.array([0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(shared_trust(one_pool(4), trusted, nobody, np.ones(4), own_part), [0, 0, 0.3, 0.3])
    np.testing.assert_allclose(shared_trust(one_pool(4), trusted, nobody, nobody, nobody), 0)


def test_trust_earned_on_other_prompts_does_not_reach_a_short_sentence_repeated_among_longer_ones(make_pool):
    """Four that earned trust on thirty prompts say one short sentence on another, which the pool does not stand behind."""
    rng = np.random.default_rng(3)
    pools = [_where_the_last_four_stand_out(make_pool, rng, f"p{i:02}") for i in range(30)]
    pools.append(a_mixed_pool(make_pool, 6, 4, prompt_id="p99"))
    trust = [each.standing.reliability[-4:] for each in judged(pools, Policy(abstain=False))]
    assert trust[0].min() > 0.1
    assert trust[-1].max() <= 0


def _where_the_last_four_stand_out(make_pool, rng, prompt_id):
    vectors = [near(1 + i, 0.7) for i in range(6)] + [near(7 + i, 0.9) for i in range(4)]
    return one_meaning(make_pool, [elaborate(rng, prompt_id) for _ in vectors], vectors, prompt_id=prompt_id)

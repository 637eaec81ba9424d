"""Reliability within a round, and reputations carried from round to round: bounded, fading, and never the end of an honest
minority."""

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
    HALF_EVIDENCE_VOTES,
    MOST_RELIABILITY,
    shared_trust,
    shrunk,
)
from consensus_server.core.reliability import Reliability, reputation_of, row_of, spread_of
from tests.support.judged import judged
from tests.support.rounds import measures_of
from tests.support.short_answers import a_mixed_pool, elaborate, near, one_meaning

HALF_LIFE = Policy().half_life_rounds
RECOVERY_ROUNDS = 3
"""Rounds of agreement after which whatever was before is no more than a third of the reputation."""

means = st.floats(-3, 3)
prompts = st.integers(1, 400)


def row(mean, count, participant="a"):
    return Reliability(
        participant=participant, mean=mean, prompts=count, prior_mean=0, prior_prompts=0, reliability=0, weight=1,
        newcomer=True, drifted=False,
    )  # fmt: skip


def reliability(mean, count, reputation=None, told=1.0):
    prior = reputation or Reputation(0.0, 0.0)
    columns = ([float(x)] for x in (mean, count, prior.mean, prior.prompts, told))
    return float(shrunk(*map(np.array, columns))[0])


def test_a_newcomer_has_no_reputation_and_begins_in_the_middle():
    assert reputation_of([], 1, HALF_LIFE) is None
    assert reputation_of([(1, row(2.0, 0))], 2, HALF_LIFE) is None
    assert reputation_of([(1, row(2.0, 30))], 2, 0.0) is None
    assert reliability(0.0, 50) == 0


@given(mean=means, count=prompts, few=st.floats(0, 1), more=st.floats(0, 1))
def test_what_fewer_votes_tell_counts_less(mean, count, few, more):
    few, more = sorted((few, more))
    assert abs(reliability(mean, count, told=few)) <= abs(reliability(mean, count, told=more))
    assert reliability(mean, count, told=0.0) == 0


def test_a_reputation_is_the_mean_of_rounds_of_which_older_ones_count_less():
    past = [(1, row(1.0, 40)), (3, row(-1.0, 10))]
    reputation = reputation_of(past, 5, 2.0)
    assert reputation.prompts == pytest.approx(40 / 4 + 10 / 2)
    assert reputation.mean == pytest.approx((40 / 4 - 10 / 2) / 15, abs=1e-6)
    assert reputation_of([*past, (5, row(9.0, 999))], 5, 2.0) == reputation


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
    told = 7 / (7 + HALF_EVIDENCE_VOTES)
    weights = [np.exp(BETA * reliability(each, count, Reputation(prior, 100.0), told)) for each in (mean, other)]
    assert max(weights) / min(weights) <= np.exp(2 * BETA * MOST_RELIABILITY * told) + 1e-9 < 12.2


@given(
    bad=st.floats(-3, -0.1),
    rounds=st.integers(1, 200),
    count=st.integers(5, 400),
    good=st.floats(0.1, 3),
)
def test_a_minority_that_begins_to_agree_recovers_within_three_rounds(bad, rounds, count, good):
    """However long it stood apart: after three rounds its reputation is better than the mean of both ways."""
    past = [(at, row(bad, count)) for at in range(1, rounds + 1)]
    past += [(at, row(good, count)) for at in range(rounds + 1, rounds + 1 + RECOVERY_ROUNDS)]
    reputation = reputation_of(past, rounds + 1 + RECOVERY_ROUNDS, HALF_LIFE)
    assert reputation.mean > (bad + good) / 2
    if good >= -bad:
        assert reliability(good, count, reputation) > reliability(bad, count)
        assert reliability(good, count, reputation) > 0


@given(st.permutations([(1, row(0.3, 7)), (2, row(-0.7, 31)), (4, row(1.1, 13))]))
def test_a_reputation_is_made_of_rounds_whatever_their_order(past):
    assert reputation_of(past, 6, HALF_LIFE) == reputation_of(sorted(past, key=lambda each: each[0]), 6, HALF_LIFE)


def standing(mean, count, prior_mean, prior_prompts):
    from consensus_server.core.consensus.round.trust import ParticipantStanding

    return ParticipantStanding(
        participant="a",
        mean=mean,
        prompts=count,
        prior_mean=prior_mean,
        prior_prompts=float(prior_prompts),
        reliability=0.1,
    )


@pytest.mark.parametrize(
    ("shown", "drifted"),
    [
        ((0.9, 10, 0.0, 10), True),
        ((-0.9, 10, 0.0, 10), True),
        ((0.7, 99, 0.0, 99), False),
        ((3.0, 9, 0.0, 99), False),
        ((3.0, 99, 0.0, 9), False),
    ],
)
def test_drift_is_a_large_change_over_enough_prompts(shown, drifted):
    assert row_of(standing(*shown), weight=1.0).drifted is drifted


def test_newcomers_are_called_so():
    assert row_of(standing(1.0, 9, 0.0, 0.0), weight=1.0).newcomer
    assert not row_of(standing(1.0, 9, 0.0, 0.5), weight=1.0).newcomer


@pytest.mark.parametrize(
    ("means_of_all", "warned"),
    [
        ([0.1, 0.0, -0.1, 0.2, 0.1, -0.3, 0.0, 0.0], False),
        ([1.6, 0.0, -0.1, -0.2, -0.3, -0.3, -0.4, -0.3], True),
        ([1.6, 1.4, -0.1, -0.4, -0.5, -0.5, -0.7, -0.8], True),
        ([1.6, 1.5, 1.4, -0.6, -0.9, -1.0, -1.0, -1.0], False),
        ([0.5, -0.5], False),
    ],
)
def test_a_few_far_above_the_rest_are_told(means_of_all, warned):
    spread = spread_of([row(mean, 30, f"s{i}") for i, mean in enumerate(means_of_all)])
    assert spread.few_far_above is warned
    assert (spread.highest, spread.lowest) == (max(means_of_all), min(means_of_all))


def test_where_nobody_was_measured_there_is_no_spread():
    assert spread_of([]) is None
    assert spread_of([row(0.0, 0)]) is None


# Through whole rounds


GUARDED = Policy(rule="hybrid", guards=True, reliability=True, abstain=False)


@pytest.fixture(scope="module")
def make_contested_round(make_pool):
    """A pool for each prompt: every site says what is so, `experts` nearer to it, `liars` together what is not."""

    def make(seed, liars=(), experts=(), *, prompts=24, sites=10, dimension=16):
        rng = np.random.default_rng(seed)
        pools = []
        for p in range(prompts):
            true, false = rng.normal(size=(2, dimension))
            false = 0.5 * true + 0.9 * false  # a plausible lie
            told = np.array([false if f"s{k}" in liars else true for k in range(sites)])
            noise = np.array([0.45 if f"s{k}" in experts else 0.65 for k in range(sites)])[:, None]
            vectors = told + noise * rng.normal(size=told.shape)
            words = {True: [f"t{p}-{i}" for i in range(30)], False: [f"f{p}-{i}" for i in range(30)]}
            texts = [" ".join(rng.choice(words[f"s{k}" not in liars], 18)) + f" said s{k} of {p}" for k in range(sites)]
            pool = make_pool(vectors, [f"s{k}" for k in range(sites)], texts, prompt_id=f"p{p:03}")
            pools.append(replace(pool, prompt="?", prompt_opening=np.asarray(true, np.float32), openings=pool.vectors))
        return pools

    return make


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


@pytest.mark.parametrize("gate", ["garbage", "off_topic", "repetitive", "over_long"])
def test_an_exemption_lets_one_participant_pass_one_gate(make_contested_round, gate):
    rng = np.random.default_rng(1)
    rejected = {
        "garbage": "\x00\x01" * 60,
        "off_topic": "",
        "repetitive": " This very sentence stands in all of its answers, word for word, for ever and ever." * 4,
        "over_long": " " + "word " * 1500,
    }[gate]
    pools = []
    for pool in make_contested_round(7, prompts=12):
        texts = (*pool.texts[:-1], pool.texts[-1] + rejected)
        vectors = pool.openings
        if gate == "off_topic":
            vectors = np.concatenate([pool.openings[:-1], -pool.prompt_opening[None] + 0.1 * rng.normal(size=16)])
        pools.append(replace(pool, texts=texts, openings=vectors.astype(np.float32)))
    before = decide_round(pools, GUARDED).decisions
    assert {name for decision in before for name in decision.gates.values()} == {gate}
    assert all(set(decision.readings) == set(decision.gates) for decision in before)
    spared = decide_round(pools, GUARDED, earlier=EarlierRounds(exempt=frozenset({("s9", gate)}))).decisions
    assert [decision.gates for decision in spared] == [{}] * 12
    other = decide_round(pools, GUARDED, earlier=EarlierRounds(exempt=frozenset({("s8", gate)}))).decisions
    assert other == before


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

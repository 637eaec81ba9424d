"""Copies under several names, and what they leave of a vote."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.answers.pairs import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.round.redundancy import unusual_repeats
from tests.support.rounds import GUARDED, joined, measures_of, rearranged, text_of, votes_of, with_openings
from tests.support.short_answers import (
    CLOSE,
    a_mixed_pool,
    a_pool_about,
    elaborate,
    near,
    one_meaning,
    picked,
)


def test_participants_alike_everywhere_are_no_surprise():
    """What two participants always share costs neither any trust."""
    measures = measures_of(np.repeat(np.arange(30), 4), np.tile(np.arange(4), 30), [100] * 120)
    everyone = np.ones(120, dtype=bool)
    twins = np.where(np.isin(measures.participant, [0, 1]), 1.0, 0.0)
    redundant = np.maximum(twins[measures.pairs.left] * twins[measures.pairs.right], measures.same_participant)
    np.testing.assert_allclose(unusual_repeats(measures, everyone, redundant), 0, atol=1e-9)
    once = np.where(measures.pairs.pool[measures.pairs.left] == 3, redundant, measures.same_participant)
    repeats = unusual_repeats(measures, everyone, once)
    here = (measures.pairs.pool == 3) & (twins == 1)
    np.testing.assert_allclose(repeats[here], 1 - 1 / 30)
    assert not repeats[~here].any()


def test_copies_weigh_as_one_vote_and_do_not_win(make_round):
    pools, rng = make_round(participants=5), np.random.default_rng(3)
    attacked = []
    for pool in pools:
        text, vector = text_of(rng, 40), pool.prompt_opening * 0.3 + rng.normal(size=24) * 0.4
        attacked.append(joined(pool, ["x", "y", "z", "zz", "zzz"], [text] * 5, [vector] * 5))
    for policy in (GUARDED, replace(GUARDED, reliability=False)):
        for pool, decision in zip(attacked, decide(attacked, policy), strict=True):
            own = [c for c in decision.clusters if any(pool.participants[m] == "x" for m in c.members)]
            assert not own or len(own[0].members) > 5 or own[0].votes == pytest.approx(1, abs=1e-5)
            assert pool.participants[decision.pick].startswith("site-")
    unguarded = decide(attacked, replace(GUARDED, guards=False, rule="medoid"))
    assert sum(p.participants[d.pick] in "xyzzz" for p, d in zip(attacked, unguarded, strict=True)) > 15


def test_short_answers_that_agree_word_by_word_keep_their_votes(make_pool):
    pools = [
        with_openings(
            make_pool([[1, 0], [1, 0], [1, 0], [0, 1]], texts=["Paris."] * 3 + [f"It is Rome {p}"], prompt_id=f"{p}"),
            [1, 1],
        )
        for p in range(30)
    ]
    for decision in decide(pools, GUARDED):
        assert [c.votes for c in decision.clusters] == [3, 1]
        assert decision.gates == {}


def test_long_answers_that_agree_word_by_word_have_one_vote(make_pool):
    pools = [
        with_openings(
            make_pool([[1, 0]] * 3, texts=[f"word{p} " * 5 + "and the rest of it " * 5] * 3, prompt_id=f"{p}"), [1, 1]
        )
        for p in range(2)
    ]
    for decision in decide(pools, GUARDED):
        assert [c.votes for c in decision.clusters] == [1]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), copies=st.integers(1, 5))
def test_more_samples_give_a_participant_no_more_votes(make_round, seed, copies):
    pool = make_round(seed, prompts=1)[0]
    more = rearranged(pool, [*range(5), *[2] * copies])
    more = replace(more, samples=(0, 0, 0, 0, 0, *range(1, copies + 1)))
    before, after = (decide([each], GUARDED)[0] for each in (pool, more))
    assert votes_of(more, after) == pytest.approx(votes_of(pool, before), abs=1e-5)
    assert more.texts[after.pick] == pool.texts[before.pick]


@pytest.mark.parametrize("more", [0, FULL_MATRIX_ANSWERS])
def test_who_repeats_an_answer_at_too_much_length_takes_none_of_its_vote(make_pool, more):
    """In small pools and in those too large for pairs."""
    rng = np.random.default_rng(8)
    directions = np.array([[1, 0, 0], [np.cos(0.26), np.sin(0.26), 0]])
    others = np.array([0, 0, 1]) + 0.5 * rng.random(size=(more, 3))
    texts = [text_of(rng, 20) for _ in range(2 + more)]
    pool = with_openings(make_pool(np.concatenate([directions, others]), texts=texts), np.ones(3))
    talk = [f"{text} {text_of(rng, 1200)}" for text in texts[:2]]
    talked = joined(pool, ["talker-0", "talker-1"], talk, directions)
    before, after = (decide([each], GUARDED)[0] for each in (pool, talked))
    assert after.gates == {2 + more: "over_long", 3 + more: "over_long"}
    assert votes_of(talked, after) == pytest.approx(votes_of(pool, before))
    assert (after.pick, after.support) == (before.pick, before.support)


@settings(max_examples=25, deadline=None)
@given(
    right=st.integers(2, 6),
    wrong=st.integers(0, 5),
    prompts=st.integers(1, 25),
    equivalence=st.sampled_from(["final_answer", "code"]),
)
def test_worked_answers_that_resemble_each_other_keep_their_votes(make_pool, right, wrong, prompts, equivalence):
    """They restate the question and take the same steps: where a key is counted, that is no copying."""
    steps = "# The shop {} sells twelve boxes with one hundred pens in each, so that the number of pens is asked for.\n"
    ends = {"final_answer": "The answer is {}.", "code": "pens = {}\n"}[equivalence]
    values = [1200] * right + [1100 + k for k in range(wrong)]

    def asked(shop):
        said = [(steps.format(f"no{shop}") + ends.format(value), CLOSE) for value in values]
        return replace(a_pool_about(make_pool, f"p{shop}", said), equivalence=equivalence)

    pools = [asked(shop) for shop in range(prompts)]
    for decision in decide(pools, Policy(rule="vote")):
        assert decision.support == right
        assert sum(cluster.votes for cluster in decision.clusters) == right + wrong


def test_where_most_have_more_to_say_a_repeated_short_sentence_supports_itself_no_more(make_pool):
    pools = [a_mixed_pool(make_pool, 6, 4, prompt_id=name) for name in ("a", "b", "c")]
    policy = Policy(abstain=False)
    assert all(len(text) > 80 for text in picked(pools, policy))
    unguarded = picked(pools, replace(policy, guards=False))
    assert all(len(text) < 80 for text in unguarded), "without gates nobody asks who repeats whom"


def test_its_givers_keep_their_votes(make_pool):
    """Facts agree word for word, also beside those who elaborate: one participant, one vote."""
    (decision,) = decide([a_mixed_pool(make_pool, 6, 4)], Policy(abstain=False))
    assert decision.support == pytest.approx(10)


def test_where_half_are_short_they_agree(make_pool):
    pools = [a_mixed_pool(make_pool, 4, 4, prompt_id=name) for name in ("a", "b", "c")]
    assert all(len(text) < 80 for text in picked(pools, Policy(abstain=False)))


def test_copies_do_not_make_most_of_a_pool_long(make_pool):
    """Four copies of a long answer have one vote: five that say a fact in the same short words still agree."""
    pool = a_mixed_pool(make_pool, 2, 5, prompt_id="paris")
    lie = elaborate(np.random.default_rng(9), "It is paris and nothing else, but")
    texts = [*pool.texts, *[lie] * 4]
    vectors = [*pool.vectors, *[near(9, 0.95)] * 4]
    assert len(picked([one_meaning(make_pool, texts, vectors, prompt_id="paris")], Policy(abstain=False))[0]) < 80


def test_samples_do_not_make_most_of_a_pool_long(make_pool):
    """One participant that elaborates five times is one."""
    pool = a_mixed_pool(make_pool, 5, 3, prompt_id="paris")
    names = ["talker"] * 5 + ["a", "b", "c"]
    sampled = make_pool(pool.vectors, names, pool.texts, prompt_id="paris")
    sampled = replace(sampled, prompt="Which?", prompt_opening=pool.vectors[0], openings=sampled.vectors)
    assert len(picked([sampled], Policy(abstain=False))[0]) < 80

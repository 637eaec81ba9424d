"""Copies under several names, and what they leave of a vote."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import decide
from consensus_server.core.consensus.answers.pairs import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.round.redundancy import unusual_repeats
from tests.support.rounds import GUARDED, joined, measures_of, rearranged, text_of, votes_of, with_openings


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

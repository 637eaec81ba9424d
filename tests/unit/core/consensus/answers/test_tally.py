"""Votes, counted by cluster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus.answers.table import first_members, read
from consensus_server.core.consensus.answers.tally import tally, whole_votes


def counted(make_pool, participants, clusters, may_win=None):
    """clusters, may_win: of the answers as they are given here."""
    answers = read([make_pool(np.eye(len(participants)), participants)])
    own = first_members(np.array(clusters)[answers.places])
    winning = np.ones(len(own), dtype=bool) if may_win is None else np.array(may_win)[answers.places]
    found = tally(answers, own, whole_votes(answers), winning)
    back = np.argsort(answers.places)
    return found, own[back], found.dominant[back].tolist()


def test_every_participant_has_one_vote_in_each_pool_divided_among_its_samples(make_pool):
    names = ["a", "a", "a", "b"]
    answers = read(
        [make_pool(np.eye(4), names, prompt_id="p"), make_pool(np.eye(4), ["a", "b", "b", "c"], prompt_id="q")]
    )
    rows = zip(answers.pool, answers.participant, whole_votes(answers), strict=True)
    of = {(answers.prompt_ids[pool], answers.names[who]): vote for pool, who, vote in rows}
    assert of == {("p", "a"): 1 / 3, ("p", "b"): 1, ("q", "a"): 1, ("q", "b"): 1 / 2, ("q", "c"): 1}


def test_a_cluster_has_the_votes_of_its_answers_and_the_support_of_all_who_say_it_half_of_the_time(make_pool):
    found, clusters, dominant = counted(make_pool, ["a", "a", "a", "b", "b", "c"], [0, 0, 1, 0, 2, 0])
    assert (found.support[clusters[2]], found.support[clusters[4]]) == (0, 1)
    first = clusters[0]
    assert found.cluster_votes[first] == pytest.approx(2 / 3 + 1 / 2 + 1, abs=1e-6)
    assert found.support[first] == 3
    assert dominant == [True, True, False, True, False, True]
    assert (found.pool_votes.tolist(), found.tied.tolist()) == ([3], [False])
    assert np.flatnonzero(found.cluster_votes).tolist() == sorted(set(clusters.tolist()))


def test_thrice_a_third_ties_with_one(make_pool):
    found, _, dominant = counted(make_pool, ["a", "a", "a", "b"], [0, 0, 0, 1])
    assert found.tied.tolist() == [True]
    assert dominant == [True] * 4


def test_a_cluster_that_says_nothing_wins_only_where_nobody_says_anything(make_pool):
    participants, clusters = ["a", "b", "c", "d"], [0, 0, 0, 1]
    assert counted(make_pool, participants, clusters, [False] * 3 + [True])[2] == [False] * 3 + [True]
    assert counted(make_pool, participants, clusters, [False] * 4)[2] == [True] * 3 + [False]
    assert counted(make_pool, participants, clusters, [True, False, False, False])[2] == [True] * 3 + [False]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_pools_are_counted_each_by_itself(random_pool, seed):
    rng = np.random.default_rng(seed)
    answers = read([random_pool(seed + i, f"p{i}", dimension=2) for i in range(3)])
    clusters = first_members(answers.pool * 3 + rng.integers(0, 3, len(answers.pool)))
    votes, may_win = rng.random(len(answers.pool)), rng.random(len(answers.pool)) < 0.7
    whole = tally(answers, clusters, votes, may_win)
    for pool in range(3):
        rows = np.flatnonzero(answers.pool == pool)
        alone = tally(answers.at(rows), clusters[rows] - rows[0], votes[rows], may_win[rows])
        for column in ("cluster_votes", "support", "dominant"):
            np.testing.assert_array_equal(getattr(alone, column), getattr(whole, column)[rows])
        assert (alone.pool_votes[0], alone.tied[0]) == (whole.pool_votes[pool], whole.tied[pool])

"""Long and short mean one thing, and one field of the policy moves all of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.answers.lengths import Lengths
from tests.support.rounds import with_openings


def lengths(*pools, short_chars=80):
    pool = np.repeat(np.arange(len(pools)), [len(each) for each in pools])
    return Lengths(pool, np.array([length for each in pools for length in each]), short_chars)


def test_a_pool_is_long_where_its_median_answer_is():
    found = lengths([79], [80], [10, 80], [10, 150], [10, 80, 90], [10, 20, 900], short_chars=80)
    assert found.long_pools.tolist() == [False, True, False, True, True, False]
    assert found.long.tolist() == [False, True, False, True, False, True, False, True, True, False, False, True]


@pytest.mark.parametrize(("weights", "most"), [([1, 1, 1], True), ([3, 1, 1], False), ([2, 1, 1], False)])
def test_by_weight_it_takes_more_than_half(weights, most):
    found = lengths([10, 100, 100])
    assert found.mostly_long(np.array(weights, dtype=float)).tolist() == [most]


def test_long_answers_that_do_not_count_are_as_short():
    found, everyone = lengths([10, 100, 100], [100]), np.ones(4)
    assert found.mostly_long(everyone, np.array([True, True, False, True])).tolist() == [False, True]


@given(st.lists(st.integers(0, 200), min_size=1, max_size=9).filter(lambda each: len(each) % 2))
def test_of_an_odd_number_of_equal_answers_both_ways_to_ask_agree(characters):
    found = lengths(characters)
    assert found.long_pools.tolist() == found.mostly_long(np.ones(len(characters))).tolist()


def test_one_field_moves_what_is_a_copy_where_clusters_are_cut_and_which_confidence_tells(make_pool):
    """Three answers of sixty characters that differ in one word of twelve, two of them at a distance of .3, and one that shares none."""
    texts = [f"one two three four five six seven eight nine ten eleven {end}" for end in ("a", "b", "c")]
    texts.append("neither the first nor any other of those words stands in this one")
    vectors = [[1.0, 0, 0], [0.7, np.sqrt(0.51), 0], [0.7, 0.7 * 0.3 / np.sqrt(0.51), 0.5], [0.8, 0, 0.6]]
    pool = with_openings(make_pool(vectors, texts=texts), [1.0, 0.5, 0.5])
    short, long = (decide([pool], Policy(short_chars=chars, abstain=False))[0] for chars in (80, 40))
    assert sum(cluster.votes for cluster in short.clusters) == 4
    assert sum(cluster.votes for cluster in long.clusters) == pytest.approx(
        2
    )  # long answers in the same words are copies
    assert len(long.clusters) < len(short.clusters)
    assert short.confidence == short.share
    assert long.confidence != long.share
    assert decide([pool], replace(Policy(abstain=False), short_chars=80))[0] == short

"""What likeness is usual, and what is beyond it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.consensus.round.usual import beyond, usual


def test_usual_is_the_lower_quartile_of_each_group():
    values = np.array([0.1, 0.4, 0.3, 0.2, 0.9, 0.8, 0.7])
    group = np.array([0, 0, 0, 0, 2, 2, 2])
    found = usual(values, np.full(7, 2.0), group)
    assert found.tolist() == [0.1, 0, 0.7]


def test_pairs_that_do_not_count_are_not_usual():
    values, weight = np.array([0.1, 0.5, 0.6, 0.7]), np.array([0, 2.0, 2.0, 2.0])
    assert usual(values, weight, np.zeros(4, dtype=np.int64)).tolist() == [0.5]


def test_one_pair_has_no_others_to_be_compared_with():
    both_ways = np.zeros(2, dtype=np.int64)
    assert usual(np.full(2, 0.9), np.ones(2), both_ways).tolist() == [0]
    assert usual(np.full(4, 0.9), np.ones(4), np.zeros(4, dtype=np.int64)).tolist() == [0.9]


def test_of_nothing_nothing_is_usual():
    assert usual(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=30), st.randoms())
def test_the_order_of_pairs_does_not_matter(pairs, random):
    """Weights of a third, whose sums depend on the order in which they are taken."""

    def found(some):
        values, weight = (np.array(column, dtype=float) for column in zip(*some, strict=True))
        return usual(values / 10, weight / 3, np.zeros(len(some), dtype=np.int64)).tolist()

    shuffled = random.sample(pairs, len(pairs))
    assert found(shuffled) == found(pairs)


def test_beyond_is_the_part_of_the_way_to_identity():
    assert beyond(np.array([0.6, 0.8, 0.9, 1.0, 0.2]), np.full(5, 0.6)).tolist() == [0, 0.5, 0.75, 1, -1]
    assert beyond(np.array([0.8]), np.zeros(1)).tolist() == [0.8]


@pytest.mark.parametrize("everywhere", [1.0, 1.0 + 1e-12])
def test_what_is_identical_is_beyond_whatever_is_usual(everywhere):
    assert beyond(np.ones(1), np.array([everywhere])).tolist() == [1]

"""Which answers contradict one another, by rows and by pairs."""

import numpy as np
import pytest

from consensus_server.core.consensus.answers.conflicts import conflicts
from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.contradictions.findings import HARD

POOL = np.array([0, 0, 0, 1, 1, 1])


@pytest.fixture
def found():
    """In the first pool 0 and 2 contradict; in the second 3 and 4 do, and 5 is only in doubt of 3."""
    return conflicts(np.array([0, 4, 3]), np.array([2, 3, 5]), np.array([HARD, 1.0, 0.5]), 6)


def test_only_hard_findings_contradict_and_both_ways(found):
    assert sorted(zip(*found.hard.nonzero(), strict=True)) == [(0, 2), (2, 0), (3, 4), (4, 3)]


def test_pairs_are_those_of_the_answers(found):
    pairs = Pairs(POOL)
    told = found.hard_pairs(pairs)
    assert sorted(zip(pairs.left[told].tolist(), pairs.right[told].tolist(), strict=True)) == [
        (0, 2), (2, 0), (3, 4), (4, 3),
    ]  # fmt: skip


def test_matrices_are_those_of_pools_of_one_size(found):
    first, second = found.hard_matrices(np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(np.argwhere(first), [[0, 2], [2, 0]])
    np.testing.assert_array_equal(np.argwhere(second), [[0, 1], [1, 0]])


def test_some_rows_keep_what_was_found_between_them(found):
    some = found.at(np.array([0, 2, 5, 3]))
    np.testing.assert_array_equal(some.strength.toarray() > 0, np.array(
        [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=bool,
    ))  # fmt: skip


def test_where_nothing_was_found_nothing_contradicts():
    nothing = np.zeros(0, dtype=np.int64)
    none = conflicts(nothing, nothing, np.zeros(0), 4)
    assert not none.hard_pairs(Pairs(np.zeros(4, dtype=np.int64))).any()
    assert not none.at(np.array([1, 3])).hard_matrices(np.array([[0, 1]])).any()

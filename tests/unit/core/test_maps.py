"""Pools in two dimensions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.maps import principal_plane


def vectors_of(rows):
    return np.asarray(rows, dtype=np.float32)


@given(st.integers(0, 1000), st.integers(3, 12))
def test_distances_in_the_plane_are_at_most_those_of_the_vectors(seed, count):
    vectors = vectors_of(np.random.default_rng(seed).normal(size=(count, 6)))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    points, (first, second) = principal_plane(vectors)
    assert points.mean(axis=0) == pytest.approx([0, 0], abs=1e-5)
    assert 1 + 1e-6 >= first >= second >= 0
    apart = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    assert (np.linalg.norm(points[:, None] - points[None], axis=2) <= apart + 1e-5).all()
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()


@given(st.integers(0, 1000))
def test_what_is_mirrored_lies_where_it_lay(seed):
    vectors = np.random.default_rng(seed).normal(size=(7, 5))
    mirrored = vectors * np.array([-1, 1, -1, 1, 1])
    one, other = principal_plane(vectors_of(vectors)), principal_plane(vectors_of(mirrored))
    np.testing.assert_allclose(one[0], other[0], atol=1e-5)
    assert one[1] == pytest.approx(other[1], abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "points", "explained"),
    [
        (np.zeros((0, 3)), [], (0, 0)),
        ([[1, 0, 0]], [[0, 0]], (0, 0)),
        ([[1, 0, 0]] * 4, [[0, 0]] * 4, (0, 0)),
        ([[1, 0, 0], [0, 1, 0]], [[0.707107, 0], [-0.707107, 0]], (1, 0)),
    ],
)
def test_small_pools_and_copies_lie_on_a_point_or_a_line(rows, points, explained):
    found, parts = principal_plane(vectors_of(rows))
    assert found.tolist() == points
    assert parts == explained

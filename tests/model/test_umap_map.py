"""A pool by UMAP: seeded, so that the same answers lie at the same places."""

import numpy as np
import pytest

from consensus_server.backends.projections import umap_plane


@pytest.mark.timeout(900)  # numba compiles for half a minute, longer on a busy machine
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*:UserWarning:umap")
def test_two_meanings_lie_apart_and_at_the_same_places_again():
    pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    meanings = np.repeat(np.eye(8)[:2], 10, axis=0)
    vectors = (meanings + 0.05 * rng.normal(size=meanings.shape)).astype(np.float32)
    points = umap_plane(vectors)
    assert points.shape == (20, 2)
    assert np.isfinite(points).all()
    one, other = points[:10], points[10:]
    within = max(np.linalg.norm(group - group.mean(axis=0), axis=1).mean() for group in (one, other))
    assert np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) > within
    np.testing.assert_array_equal(umap_plane(vectors), points)

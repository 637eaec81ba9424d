"""How near an answer is to others of its pool, and where the middle of a pool is."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from consensus_server.core.consensus.answers.centrality import closeness_to_geometric_median, mean_cosine
from consensus_server.core.consensus.answers.similarity import unit_vectors


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), left_out=st.booleans())
def test_the_mean_cosine_is_that_over_the_votes_of_the_others(seed, left_out):
    """Of each answer to its pool, its own part of the pool left out or not."""
    rng = np.random.default_rng(seed)
    pool, votes = np.sort(rng.integers(0, 4, 12)), rng.random(12)
    unit, part = unit_vectors(rng.normal(size=(12, 5)).astype(np.float32)), pool * 3 + rng.integers(0, 3, 12)
    counted = (pool[:, None] == pool) & ~(left_out & (part[:, None] == part))
    weight = counted * votes
    expected = np.divide((weight * (unit @ unit.T)).sum(1), weight.sum(1), out=np.zeros(12), where=weight.sum(1) > 0)
    np.testing.assert_allclose(mean_cosine(unit, votes, pool, part if left_out else None), expected, atol=1e-6)


def test_the_geometric_median_is_where_summed_distance_is_least(random_pool):
    rng = np.random.default_rng(3)
    for seed in range(20):
        unit = unit_vectors(random_pool(seed, answers=3 + seed % 7).vectors)
        votes, one = np.ones(len(unit)), np.zeros(len(unit), dtype=np.int64)
        near = closeness_to_geometric_median(unit, votes, one)

        def summed(point, unit=unit):
            return np.sqrt(((unit - point) ** 2).sum(axis=1)).sum()

        best = minimize(summed, unit.mean(axis=0) + 1e-3 * rng.normal(size=unit.shape[1])).x
        np.testing.assert_allclose(near, -np.sqrt(((unit - best) ** 2).sum(axis=1)), atol=0.02)

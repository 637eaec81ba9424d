"""The geometric median against an independent optimiser, and against those who want to move it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from consensus_server.core.parameters.geometric_median import median_weights


def median_of(points, importance=None):
    weights = median_weights(points @ points.T, np.ones(len(points)) if importance is None else importance)
    return weights @ points


def total_distance(points, at, importance=None):
    distances = np.linalg.norm(points - at, axis=1)
    return float(distances @ (np.ones(len(points)) if importance is None else importance))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_it_is_where_an_independent_optimiser_ends(seed, count):
    rng = np.random.default_rng([seed, count])
    points, importance = (
        rng.normal(size=(count, 6)) * rng.uniform(0.1, 3, size=(count, 1)),
        rng.uniform(0.5, 2, size=count),
    )
    start = importance @ points / importance.sum()
    found = minimize(
        lambda at: total_distance(points, at, importance), start, method="Nelder-Mead",
        options={"maxiter": 40_000, "maxfev": 40_000, "xatol": 1e-9, "fatol": 1e-12, "adaptive": True},
    )  # fmt: skip
    ours = total_distance(points, median_of(points, importance), importance)
    assert ours <= found.fun * (1 + 1e-6)


def test_two_equal_points_have_their_midpoint():
    points = np.array([[0.0, 0.0], [4.0, 2.0]])
    assert median_of(points) == pytest.approx(np.array([2.0, 1.0]))


def test_of_two_unequal_points_the_more_important_wins():
    points = np.array([[0.0, 0.0], [4.0, 2.0]])
    assert median_of(points, np.array([1.0, 3.0])) == pytest.approx(points[1], abs=1e-4)


def test_of_three_points_on_a_line_the_middle_one():
    points = np.outer([0.0, 1.0, 50.0], [1.0, 2.0])
    assert median_of(points) == pytest.approx(points[1], abs=1e-3)


def test_most_points_in_one_place_are_the_median():
    points = np.array([[1.0, 2.0]] * 3 + [[50.0, -4.0], [9.0, 9.0]])
    assert median_of(points) == pytest.approx(points[0], abs=1e-6)


def test_equal_points_have_equal_weights():
    assert median_weights(np.ones((4, 4)), np.ones(4)) == pytest.approx(np.full(4, 0.25))


@pytest.mark.parametrize(("honest", "arbitrary"), [(3, 1), (5, 3), (6, 5)])
@pytest.mark.parametrize("size", [1e1, 1e4, 1e8, 1e12])
def test_a_minority_moves_it_only_boundedly(honest, arbitrary, size):
    """Lemma of RFA: no further than 2 n / (n - 2 f) times the honest spread."""
    rng = np.random.default_rng(honest)
    good = rng.normal(size=(honest, 20))
    bad = size * np.ones((arbitrary, 20)) + rng.normal(size=(arbitrary, 20))
    spread = np.linalg.norm(good, axis=1).max()
    n = honest + arbitrary
    assert np.linalg.norm(median_of(np.vstack([good, bad]))) <= 2 * n / (n - 2 * arbitrary) * spread
    assert np.linalg.norm(np.vstack([good, bad]).mean(axis=0)) > size / 10


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 7))
def test_it_moves_with_the_points_and_knows_no_order(seed, count):
    rng = np.random.default_rng(seed)
    points, shift, order = rng.normal(size=(count, 5)), rng.normal(size=5), rng.permutation(count)
    assert median_of(points + shift) == pytest.approx(median_of(points) + shift, abs=1e-4)
    assert median_of(points[order]) == pytest.approx(median_of(points), abs=1e-6)

from fractions import Fraction

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from consensus_server.core.consensus.answers.similarity import cosines, pairs_within, unit_vectors


def vectors(answers, dimension, seed=0):
    return np.random.default_rng(seed).normal(size=(answers, dimension)).astype(np.float32)


def test_dot_products_are_exact():
    unit = unit_vectors(vectors(6, 50))
    for i, j in np.ndindex(6, 6):
        exact = sum(Fraction(a) * Fraction(b) for a, b in zip(unit[i].tolist(), unit[j].tolist(), strict=True))
        assert Fraction(float(unit[i] @ unit[j])) == exact


def test_cosines_agree_with_the_definition_to_a_millionth():
    raw = vectors(9, 384).astype(np.float64)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines(unit_vectors(raw.astype(np.float32))[None])[0], unit @ unit.T, atol=1.1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_cosines_depend_neither_on_the_batch_nor_on_threads_nor_on_layout(threads):
    unit = unit_vectors(vectors(40 * 8, 384)).reshape(40, 8, 384)
    with threadpool_limits(limits=threads):
        batch = unit @ unit.swapaxes(1, 2)
    for pool, expected in zip(unit, batch, strict=True):
        assert (pool @ pool.T).tobytes() == expected.tobytes()
        assert np.einsum("id,jd->ij", np.asfortranarray(pool), pool[:, ::1]).tobytes() == expected.tobytes()
        assert (pool[:, ::-1] @ pool[:, ::-1].T).tobytes() == expected.tobytes()


def test_threads_do_not_show_in_a_large_product():
    unit = unit_vectors(vectors(700, 384))
    with threadpool_limits(limits=1):
        one = (unit @ unit.T).tobytes()
    with threadpool_limits(limits=2):
        assert (unit @ unit.T).tobytes() == one


@pytest.mark.parametrize("factor", [1e-30, 0.25, 3.0, 1e30])
def test_length_is_no_part_of_meaning(factor):
    raw = vectors(7, 33)
    scaled = (raw.astype(np.float64) * factor).astype(np.float32)
    np.testing.assert_array_equal(cosines(unit_vectors(scaled)[None]), cosines(unit_vectors(raw)[None]))


def test_a_vector_without_direction_becomes_zeros():
    raw = np.array([[np.nan, 1], [np.inf, 0], [0, 0], [3, 4]], np.float32)
    np.testing.assert_allclose(unit_vectors(raw), [[0, 0], [0, 0], [0, 0], [0.6, 0.8]], atol=1e-7)


def test_pairs_do_not_depend_on_the_block(monkeypatch):
    raw = vectors(50, 5)
    whole = pairs_within(raw, 0.3)
    assert len(whole) > 10
    for values in (1, 170, 2500):
        monkeypatch.setattr("consensus_server.core.consensus.answers.similarity._BLOCK_VALUES", values)
        np.testing.assert_array_equal(pairs_within(raw, 0.3), whole)

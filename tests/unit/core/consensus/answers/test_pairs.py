import numpy as np

from consensus_server.core.consensus.answers.pairs import Pairs


def test_every_pair_of_a_pool_has_its_place():
    pairs = Pairs(np.array([0, 0, 0, 1, 2, 2]))
    assert len(pairs) == 9 + 1 + 4
    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [
        (i, j) for pool in ([0, 1, 2], [3], [4, 5]) for i in pool for j in pool
    ]
    np.testing.assert_array_equal(pairs.pair_of(pairs.left, pairs.right), np.arange(len(pairs)))


def test_cosines_stand_where_their_pairs_do():
    rng = np.random.default_rng(2)
    unit = rng.normal(size=(9, 5))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    pairs = Pairs(np.array([0, 0, 0, 1, 2, 2, 3, 3, 3]))
    np.testing.assert_allclose(pairs.cosines(unit), (unit @ unit.T)[pairs.left, pairs.right], atol=1e-6)

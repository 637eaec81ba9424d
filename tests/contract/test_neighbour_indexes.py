"""One suite for every index: all close pairs, and the same bytes."""

import numpy as np
import pytest

from consensus_server.backends.neighbours.faiss_flat import FaissNeighbours, float32_error
from consensus_server.core.consensus import Pool, decide
from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.core.consensus.rounding import settled
from tests.support.policies import plain


@pytest.fixture(params=[BlockedNeighbours, FaissNeighbours])
def index(request):
    return request.param()


def vectors(answers, dimension, seed=0):
    rng = np.random.default_rng(seed)
    meanings = rng.normal(size=(max(1, answers // 10), dimension))
    return (meanings[rng.integers(0, len(meanings), answers)] + rng.normal(size=(answers, dimension))).astype(
        np.float32
    )


@pytest.mark.parametrize("similarity", [-0.5, 0.0, 0.6, 0.8, 1.0])
@pytest.mark.parametrize(("answers", "dimension"), [(1, 4), (2, 3), (60, 16), (300, 384)])
def test_it_finds_every_pair_and_no_other(index, answers, dimension, similarity):
    raw = vectors(answers, dimension)
    unit = unit_vectors(raw)
    cosine = settled(np.array([[float(a @ b) for b in unit] for a in unit]))
    expected = [(i, j) for i in range(answers) for j in range(i + 1, answers) if cosine[i, j] >= similarity]
    found = index.pairs_within(raw, similarity)
    assert found.dtype == np.int64
    assert [tuple(pair) for pair in found.tolist()] == expected


def test_no_vectors_have_no_pairs(index):
    assert index.pairs_within(np.zeros((0, 8), np.float32), 0.5).shape == (0, 2)


def test_a_pair_at_the_threshold_counts(index):
    pair = np.array([[1, 0], [0.8, 0.6]], np.float32)
    assert len(index.pairs_within(pair, 0.8)) == 1
    assert len(index.pairs_within(pair, 0.800001)) == 0


def test_lengths_and_vectors_without_direction_do_no_harm(index):
    raw = np.array([[3, 0], [0, 0], [np.nan, 1], [7, 0.1]], np.float32)
    assert index.pairs_within(raw, 0.9).tolist() == [[0, 3]]


def test_all_indexes_give_the_same_bytes_where_float32_cannot_tell():
    rng = np.random.default_rng(2)
    base = rng.normal(size=384)
    raw = (base + 5e-3 * rng.normal(size=(1500, 384))).astype(np.float32)
    unit = unit_vectors(raw)
    threshold = float(np.median(settled(unit[:200] @ unit[:200].T)))
    exact = BlockedNeighbours().pairs_within(raw, threshold)
    assert 0 < len(exact) < 1500 * 1499 // 2
    assert FaissNeighbours().pairs_within(raw, threshold).tobytes() == exact.tobytes()


def test_the_margin_covers_what_float32_does():
    raw = vectors(500, 384, seed=3)
    unit = unit_vectors(raw)
    single = unit.astype(np.float32)
    off = np.abs((single @ single.T).astype(np.float64) - settled(unit @ unit.T)).max()
    assert off < float32_error(384) < 1e-4


def test_labels_do_not_depend_on_the_index():
    raw = vectors(1500, 16, seed=4)
    texts = tuple(f"{i} ".ljust(100, "x") for i in range(1500))
    digests = tuple(f"{i * 7919 % 1500:064x}" for i in range(1500))
    pool = Pool(
        "p", tuple(f"s{i % 400}" for i in range(1500)), tuple(i // 400 for i in range(1500)), texts, digests, raw
    )
    policy = plain(distance_long=0.1, abstain=False)
    by_default = decide([pool], policy)
    assert len(by_default[0].clusters) > 3
    assert decide([pool], policy, BlockedNeighbours()) == decide([pool], policy, FaissNeighbours()) == by_default

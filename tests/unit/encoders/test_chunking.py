from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.chunking import Chunk, ChunkRule, chunk_text, mean_of_chunks, plan_batches

LENGTHS = st.lists(st.integers(0, 2_000), max_size=40)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, []),
        (1, [1]),
        (254, [254]),
        (255, [254]),
        (254 + 15, [254]),
        (254 + 16, [254, 16]),
        (6 * 254, [254] * 6),
        (6 * 254 + 100, [254] * 6),
        (5 * 254 + 3, [254] * 5),
    ],
)
def test_a_text_is_cut_as_the_rule_says(length, expected):
    assert [chunk.tokens for chunk in chunk_text(0, length, ChunkRule())] == expected


def test_chunks_follow_one_another():
    chunks = chunk_text(7, 600, ChunkRule())
    assert [(chunk.text, chunk.start, chunk.stop) for chunk in chunks] == [(7, 0, 254), (7, 254, 508), (7, 508, 600)]


@given(LENGTHS, st.integers(1, 4_000))
def test_batches_hold_every_chunk_once_and_one_length_each(lengths, batch_tokens):
    batches = plan_batches(lengths, ChunkRule(), batch_tokens)
    planned = sorted(chain.from_iterable(batches), key=lambda chunk: (chunk.text, chunk.start))
    assert planned == [chunk for text, length in enumerate(lengths) for chunk in chunk_text(text, length, ChunkRule())]
    for batch in batches:
        assert len({chunk.tokens for chunk in batch}) == 1
        assert len(batch) == 1 or sum(chunk.tokens for chunk in batch) <= batch_tokens


def test_the_mean_weighs_chunks_by_their_tokens():
    vectors = np.eye(3, dtype=np.float32)
    chunks = [Chunk(1, 254, 270), Chunk(0, 0, 40), Chunk(1, 0, 254)]
    means = mean_of_chunks(vectors, chunks, 3)
    length = np.hypot(254, 16)
    np.testing.assert_allclose(means, [[0, 1, 0], [16 / length, 0, 254 / length], [0, 0, 0]], atol=1e-7)


@given(st.permutations(range(6)))
def test_the_order_of_batches_leaves_no_trace_in_the_mean(order):
    rows = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    chunks = [Chunk(text, start, start + 3 + text) for text in range(2) for start in (0, 10, 20)]
    shuffled = mean_of_chunks(rows[list(order)], [chunks[at] for at in order], 2)
    assert shuffled.tobytes() == mean_of_chunks(rows, chunks, 2).tobytes()


@pytest.mark.parametrize("fault", [{"tokens": 0}, {"chunks": 0}, {"least_last": -1}])
def test_a_rule_without_room_for_a_token_is_refused(fault):
    with pytest.raises(ValueError, match="at least one"):
        ChunkRule(**fault)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus.answers.table import in_blocks, read
from tests.support.rounds import rearranged


def test_neither_the_order_of_pools_nor_of_answers_shows(make_pool):
    a = make_pool([[1, 0], [0, 1]], ["x", "y"], ["one", "two"], prompt_id="a")
    b = make_pool([[1, 1]], ["y"], ["three"], prompt_id="b")
    other = make_pool([[0, 1], [1, 0]], ["y", "x"], ["two", "one"], prompt_id="a")
    one, two = read([a, b]), read([b, other])
    assert (one.names, one.prompt_ids, one.texts) == (two.names, two.prompt_ids, two.texts) == (
        ("x", "y"), ("a", "b"), one.texts,
    )  # fmt: skip
    for column in ("pool", "participant", "content", "unit"):
        np.testing.assert_array_equal(getattr(one, column), getattr(two, column))
    assert (one.sources.tolist(), two.sources.tolist()) == ([0, 1], [1, 0])
    assert [a.texts[place] for place in one.places[:2]] == [other.texts[place] for place in two.places[:2]]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), shuffle=st.randoms(use_true_random=False))
def test_whatever_the_order_the_columns_are_equal(random_pool, seed, shuffle):
    pools = [random_pool(seed + i, f"p{i % 3}", dimension=3) for i in range(5)]
    others = [rearranged(pool, shuffle.sample(range(len(pool.texts)), len(pool.texts))) for pool in pools]
    shuffle.shuffle(others)
    one, two = read(pools), read(others)
    assert (one.names, one.prompt_ids, one.digests) == (two.names, two.prompt_ids, two.digests)
    for column in ("pool", "participant", "content", "unit"):
        np.testing.assert_array_equal(getattr(one, column), getattr(two, column))
    for answers, given_pools in ((one, pools), (two, others)):
        sources, places = answers.sources[answers.pool].tolist(), answers.places.tolist()
        assert [given_pools[i].texts[place] for i, place in zip(sources, places, strict=True)] == list(answers.texts)


def test_a_table_of_some_rows_leaves_out_pools_without_one(make_pool):
    answers = read([make_pool(np.eye(3), prompt_id=name) for name in "abc"])
    some = answers.at(np.array([2, 7, 7, 6]))
    assert some.prompt_ids == ("a", "c")
    assert some.pool.tolist() == [0, 1, 1, 1]
    assert some.sources.tolist() == [0, 2]
    assert some.texts == tuple(answers.texts[row] for row in (2, 7, 7, 6))
    assert some.content.tolist() == [0, 2, 2, 1]
    assert (some.starts.tolist(), some.sizes.tolist()) == ([0, 1], [1, 3])


def test_vectors_of_fewer_dimensions_get_zeros(make_pool):
    answers = read([make_pool([[3.0]], prompt_id="a"), make_pool([[0, 2.0]], prompt_id="b")])
    assert answers.unit.tolist() == [[1, 0], [0, 1]]


def test_an_empty_pool_and_an_empty_round_have_no_rows(make_pool):
    empty = make_pool(np.zeros((0, 2)), texts=())
    assert read([empty, make_pool([[1, 0]], prompt_id="q")]).prompt_ids == ("q",)
    assert read([]).texts == read([empty]).texts == ()


def test_columns_of_unequal_length_are_refused(make_pool):
    with pytest.raises(ValueError, match="'p' differ in length"):
        read([make_pool(np.eye(3), texts=["a", "b"], participants=["x", "y"])])


@given(st.lists(st.integers(0, 6), max_size=8), st.integers(0, 12))
def test_blocks_hold_whole_pools_and_all_rows(sizes, most):
    pool = np.repeat(np.arange(len(sizes)), sizes)  # pools of size 0 leave gaps
    blocks = list(in_blocks(pool, most))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(len(pool)))
    for block in blocks:
        inside = pool[block]
        assert len(inside)
        assert len(inside) <= most or len(set(inside)) == 1
        assert not set(inside) & set(np.delete(pool, np.r_[block]))

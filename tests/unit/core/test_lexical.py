import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.consensus import lexical
from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.lexical import overlaps, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP, don't!", {"don", "t", "stop"}),
        ("snake_case = 2^10", {"snake", "case", "2", "10"}),
        ("Straße ﬁne", {"strasse", "fine"}),
        ("\u200bPa\u200bris \u202eis", {"paris", "is"}),
        ("नमस्ते दुनिया", {"नमस्ते", "दुनिया"}),
        ("שלום, עולם", {"שלום", "עולם"}),
        ("今日は良い", {"今", "日", "は", "良", "い"}),
        ("ラーメンを", {"ラーメン", "ーメンを"}),
        ("สวัสดี", {"สวัส", "วัสด", "ัสดี"}),
        ("x², Ελλάδα", {"x2", "ελλάδα"}),
        ("!?… 🙂", set()),
        ("", set()),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_ascii_has_a_short_cut_that_changes_nothing():
    text = "".join(map(chr, range(128))) + " Words, and 12 more-words_here."
    assert words(text) == words(text + "é") - {"é"} - {w for w in words(text + "é") if "é" in w} | words("here")


def test_overlaps_are_those_of_the_sets():
    rng = np.random.default_rng(1)
    vocabulary = [f"w{i}" for i in range(30)]
    texts = [" ".join(rng.choice(vocabulary, rng.integers(0, 25))) for _ in range(40)]
    pool = np.sort(rng.integers(0, 7, 40))
    _, pool = np.unique(pool, return_inverse=True)
    layout = Layout(pool)
    f1, f2 = overlaps(texts, layout)
    for pair, (i, j) in enumerate(zip(layout.left, layout.right, strict=True)):
        a, b = set(texts[i].split()), set(texts[j].split())
        assert pool[i] == pool[j]
        shared = len(a & b)
        precision, recall = shared / max(len(a), 1), shared / max(len(b), 1)
        for value, beta in ((f1[pair], 1), (f2[pair], 4)):
            expected = (1 + beta) * precision * recall / (beta * precision + recall) if shared else 0
            assert value == pytest.approx(expected, abs=1e-6)


def test_every_pair_of_a_pool_has_its_place():
    layout = Layout(np.array([0, 0, 0, 1, 2, 2]))
    assert layout.pairs == 9 + 1 + 4
    assert list(zip(layout.left.tolist(), layout.right.tolist(), strict=True)) == [
        (i, j) for pool in ([0, 1, 2], [3], [4, 5]) for i in pool for j in pool
    ]
    np.testing.assert_array_equal(layout.pair_of(layout.left, layout.right), np.arange(layout.pairs))


def test_cosines_stand_where_their_pairs_do():
    rng = np.random.default_rng(2)
    unit = rng.normal(size=(9, 5))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    layout = Layout(np.array([0, 0, 0, 1, 2, 2, 3, 3, 3]))
    np.testing.assert_allclose(layout.cosines(unit), (unit @ unit.T)[layout.left, layout.right], atol=1e-6)


@given(st.lists(st.tuples(st.integers(0, 3), st.text("ab cé日ラ", max_size=12)), max_size=12))
def test_few_pairs_are_counted_one_by_one_to_the_same_bytes(rows):
    rows.sort(key=lambda row: row[0])
    texts = [text for _, text in rows]
    pool = np.unique([number for number, _ in rows], return_inverse=True)[1]
    counted = {}
    for limit in (0, 10_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lexical, "_FEW_PAIRS", limit)
            counted[limit] = [column.tobytes() for column in overlaps(texts, Layout(pool.astype(np.int64)))]
    assert counted[0] == counted[10_000]

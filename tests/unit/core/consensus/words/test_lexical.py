from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.consensus.words import lexical
from consensus_server.core.consensus.words.lexical import distinct_words, information, overlaps, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP, don't!", {"don", "t", "stop"}),
        ("snake_case = 2^10", {"snake", "case", "2", "10"}),
        ("Straße ﬁne", {"strasse", "fine"}),
        ("\u200bPa\u200bris \u202eis\U000e0100\U000e0041", {"paris", "is"}),
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


def _words(texts, pool, prompts=None):
    pools = int(pool.max(initial=-1)) + 1
    return distinct_words(texts, [""] * pools if prompts is None else prompts, pool)


def _overlaps(texts, pairs, prompts=None):
    """prompts: of the pools, whose words then do not count."""
    found = _words(texts, pairs.pool, prompts)
    return overlaps(found, pairs, information(found, pairs.pool), np.full(len(texts), prompts is not None))


def _pools(numbers):
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def test_overlaps_are_those_of_the_sets():
    rng = np.random.default_rng(1)
    vocabulary = [f"w{i}" for i in range(30)]
    texts = [" ".join(rng.choice(vocabulary, rng.integers(0, 25))) for _ in range(40)]
    pool = _pools(np.sort(rng.integers(0, 7, 40)))
    sets = [set(text.split()) for text in texts]
    told = {w: np.log(8 / (len({p for p, s in zip(pool, sets, strict=True) if w in s}) + 0.5)) for w in vocabulary}
    pairs = Pairs(pool)
    f1, coverage = _overlaps(texts, pairs)
    for pair, (i, j) in enumerate(zip(pairs.left, pairs.right, strict=True)):
        assert pool[i] == pool[j]
        a, b = sets[i], sets[j]
        assert f1[pair] == pytest.approx(2 * len(a & b) / max(len(a) + len(b), 1), abs=1e-6)
        covered = sum(told[w] for w in a & b) / sum(told[w] for w in b) if b else 0
        assert coverage[pair] == pytest.approx(covered, abs=2e-6)


def test_words_of_one_pool_all_count_alike():
    """A panel's question stands alone: nothing tells there which words are rare."""
    texts = ["the cat sat on the mat", "a cat sat there", "no"]
    _, coverage = _overlaps(texts, Pairs(np.zeros(3, dtype=np.int64)))
    assert coverage[:3].tolist() == [1, 0.5, 0]
    assert coverage[3] == 0.4


def test_a_word_of_few_pools_counts_for_more():
    texts = ["the capital is paris", "the capital is rome", "paris", *["the capital is here"] * 3]
    pairs = Pairs(np.array([0, 0, 0, 1, 2, 3]))
    _, coverage = _overlaps(texts, pairs)
    by_frame, by_name = coverage[pairs.pair_of(np.array([1, 2]), np.array([0, 0]))]
    assert by_name > by_frame > 0


def test_what_a_word_says_depends_on_pools_and_not_on_answers():
    """Who repeats a word in one pool, or sends many samples, makes it no commoner."""
    few, many = np.array([0, 0, 1]), np.array([0, 0, 0, 1])
    once, often = _words(["rare", "common", "common"], few), _words(["rare", "rare", "common", "common"], many)
    np.testing.assert_array_equal(information(once, few), information(often, many))


def test_words_of_the_prompt_earn_nothing():
    """Neither who repeats it covers the others by it, nor is he covered by those who do."""
    texts = ["sort the list by size", "sort the list", "by size please", "by size please"]
    pool = np.array([0, 0, 0, 1])
    f1, coverage = _overlaps(texts, Pairs(pool), ["Sort the list!", "No."])
    assert coverage[:9].reshape(3, 3).tolist() == [[1, 1, pytest.approx(2 / 3, abs=1e-5)], [0, 1, 0], [1, 0, 1]]
    assert f1[1] == 0.75, "what tells copies are all words"
    assert coverage[9] == 1
    plain = _overlaps(texts, Pairs(pool))[1]
    assert plain[3] > 0.5


def test_an_answer_in_words_of_the_prompt_alone_is_read_by_them():
    """Of choices, and of what is put in order."""
    texts = ["red", "red", "blue", "I say red"]
    _, coverage = _overlaps(texts, Pairs(np.zeros(4, dtype=np.int64)), ["Red or blue?"])
    assert coverage.reshape(4, 4).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 0, 1]]


def test_only_where_it_is_asked_for_do_words_of_the_prompt_not_count():
    texts, pairs = ["sort it", "sort that"] * 2, Pairs(np.array([0, 0, 1, 1]))
    found = _words(texts, pairs.pool, ["Sort!", "Sort!"])
    _, coverage = overlaps(found, pairs, information(found, pairs.pool), np.array([True, True, False, False]))
    assert coverage[1] == 0
    assert coverage[5] > 0


@given(st.lists(st.tuples(st.integers(0, 3), st.text("ab cé日ラ", max_size=12)), max_size=12))
def test_small_rounds_are_counted_in_a_dense_table_to_the_same_bytes(rows):
    rows.sort(key=lambda row: row[0])
    texts = [text for _, text in rows]
    pairs = Pairs(_pools([number for number, _ in rows]))
    counted = {}
    for limit in (-1, 10_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lexical, "_DENSE_VALUES", limit)
            counted[limit] = [column.tobytes() for column in _overlaps(texts, pairs)]
    assert counted[-1] == counted[10_000]


@given(st.lists(st.text("ab cé日ラ", max_size=12), max_size=12), st.randoms())
def test_numbers_of_words_do_not_show(texts, random):
    """Words are numbered as they come, and a set's order differs from process to process."""
    pairs = Pairs(np.zeros(len(texts), dtype=np.int64))
    found = _words(texts, pairs.pool, ["ab cé"] * (len(texts) > 0))
    again = list(range(int(found.word.max(initial=-1)) + 1))
    random.shuffle(again)
    renumbered = replace(found, word=np.array(again, dtype=np.int64)[found.word])
    only_own = np.ones(len(texts), dtype=bool)
    columns = overlaps(found, pairs, information(found, pairs.pool), only_own)
    others = overlaps(renumbered, pairs, information(renumbered, pairs.pool), only_own)
    assert [c.tobytes() for c in columns] == [c.tobytes() for c in others]

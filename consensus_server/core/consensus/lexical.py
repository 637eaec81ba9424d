"""How far answers use the same words: overlap of word sets, for all pools of a batch in one sparse product.

Words are what separators leave between them. Scripts that write none have other units: an ideograph is a word, and
runs of kana, Thai, Lao, Khmer or Burmese are cut into overlapping pieces of four characters (their single letters
would make any two texts alike).
"""

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_array

from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.rounding import settled

GRAM: Final = 4
"""Characters of a piece where no word boundaries are written. Source: CONSENSUS.md, .960 against .962 for words."""

_FEW_PAIRS: Final = 256
"""Pairs up to which sets are intersected one by one: a pool of 16, or a panel."""

_IDEOGRAPHS: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED: Final = "\u3040-\u30ff\u31f0-\u31ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"
_INVISIBLE: Final = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
"""Format characters and variation selectors: they change a text's bytes and nothing that a reader sees."""

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
"""What `_patterns` comes to on ASCII, several times faster."""


def words(text: str) -> frozenset[str]:
    """The distinct words of a text, compatibility-composed, without case and invisible characters."""
    return frozenset(word_sequence(text))


def word_sequence(text: str) -> list[str]:
    """The words of a text in their order; those of unspaced scripts, in theirs, after all others."""
    if text.isascii():
        return _ASCII_WORD.findall(text.casefold())
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    spaced, unspaced = _patterns()
    return [*spaced.findall(plain), *(piece for run in unspaced.findall(plain) for piece in _pieces(run))]


def _pieces(run: str) -> Iterator[str]:
    return (run[at : at + GRAM] for at in range(max(1, len(run) - GRAM + 1)))


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a spaced word or an ideograph is, and what a run of an unspaced script is.

    A separator is any punctuation, symbol, space or control character. (`re`'s own word characters lack combining marks.).
    """
    kinds = groupby(map(chr, range(sys.maxunicode + 1)), key=lambda char: unicodedata.category(char)[0] in "PSZC")
    runs = [(separates, list(chars)) for separates, chars in kinds]
    separators = "".join(f"{re.escape(run[0])}-{re.escape(run[-1])}" for separates, run in runs if separates)
    spaced = re.compile(f"[{_IDEOGRAPHS}]|[^{separators}{_IDEOGRAPHS}{_UNSPACED}]+")
    unspaced = re.compile(f"(?:(?![{separators}])[{_UNSPACED}])+")
    return spaced, unspaced


def shared_words(
    texts: Sequence[str], layout: Layout
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " answers"]]:
    """Number of words that the two answers of each pair share, and the number of words of each answer."""
    sets = [words(text) for text in texts]
    sizes = np.fromiter(map(len, sets), dtype=np.int64, count=len(sets))
    counts = _one_by_one(sets, layout) if layout.pairs <= _FEW_PAIRS else _in_one_product(sets, sizes, layout)
    return counts, sizes.astype(np.float64)


def _one_by_one(sets: Sequence[frozenset[str]], layout: Layout) -> Float64[np.ndarray, " pairs"]:
    """The counts of `_in_one_product`, without what setting it up takes."""
    pairs = zip(layout.left.tolist(), layout.right.tolist(), strict=True)
    return np.fromiter((len(sets[i] & sets[j]) for i, j in pairs), dtype=np.float64, count=layout.pairs)


def _in_one_product(
    sets: Sequence[frozenset[str]], sizes: Int64[np.ndarray, " answers"], layout: Layout
) -> Float64[np.ndarray, " pairs"]:
    """How many words the answers of each pair share, as one sparse product over all pools."""
    known: dict[str, int] = {}
    word = np.fromiter((known.setdefault(w, len(known)) for each in sets for w in each), dtype=np.int64)
    row = np.repeat(np.arange(len(sets)), sizes)
    # One column per pool and word: answers of different pools share none, so one product does all pools at once.
    _, column = np.unique(layout.pool[row] * len(known) + word, return_inverse=True)
    shape = (len(sets), int(column.max(initial=-1)) + 1)
    member = csr_array((np.ones(len(row), dtype=np.int32), (row, column)), shape=shape)
    shared = (member @ member.T).tocoo()
    counts = np.zeros(layout.pairs, dtype=np.float64)
    counts[layout.pair_of(shared.row.astype(np.int64), shared.col.astype(np.int64))] = shared.data
    return counts


def overlaps(
    texts: Sequence[str], layout: Layout
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """F1 and F2 of the word sets of each pair (i, j), 0..1, with precision |i & j| / |i| and recall |i & j| / |j|.

    F1 is symmetric; F2 says how far i covers j.
    """
    shared, sizes = shared_words(texts, layout)
    size = np.maximum(sizes, 1)
    precision, recall = shared / size[layout.left], shared / size[layout.right]
    return f_measure(precision, recall, 1), f_measure(precision, recall, 2)


def f_measure(
    precision: Float64[np.ndarray, " pairs"], recall: Float64[np.ndarray, " pairs"], beta: int
) -> Float64[np.ndarray, " pairs"]:
    """(1 + b^2) p r / (b^2 p + r), 0 where nothing is shared, to six decimals."""
    square = beta * beta
    return settled((1 + square) * precision * recall / np.maximum(square * precision + recall, 1e-9))

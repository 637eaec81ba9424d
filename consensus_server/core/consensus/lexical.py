"""How far answers use the same words: overlap of word sets, for all pools of a batch in one sparse product.

Words are what separators leave between them. Scripts that write none have other units: an ideograph is a word, and
runs of kana, Thai, Lao, Khmer or Burmese are cut into overlapping pieces of four characters (their single letters
would make any two texts alike).

Two answers that share "the" and "of" share little. Where it is asked how far one covers the other, words count by their
*information*: how rare they are in the round (decision 0015).
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_array

from consensus_server.core.consensus.invisible import visible
from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.rounding import settled

GRAM: Final = 4
"""Characters of a piece where no word boundaries are written. Source: earlier work, .960 against .962 for words."""

_DENSE_VALUES: Final = 2**18
"""Answers times their distinct words, or times themselves, up to which dense tables are quicker: 2 MiB, a panel's question."""
_STEPS: Final = 2.0**20
"""Steps of information per nat."""

_IDEOGRAPHS: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED: Final = "\u3040-\u30ff\u31f0-\u31ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
"""What `_patterns` comes to on ASCII, several times faster."""


def words(text: str) -> frozenset[str]:
    """The distinct words of a text, compatibility-composed, without case and invisible characters."""
    return frozenset(word_sequence(text))


def word_sequence(text: str) -> list[str]:
    """The words of a text in their order; those of unspaced scripts, in theirs, after all others."""
    if text.isascii():
        return _ASCII_WORD.findall(text.casefold())
    plain = visible(unicodedata.normalize("NFKC", text)).casefold()
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


@dataclass(frozen=True, slots=True)
class Words:
    """The distinct words of texts, text after text."""

    texts: int
    text: Int64[np.ndarray, " words"]
    """Ascending."""
    word: Int64[np.ndarray, " words"]
    """A number, the same in all texts."""

    def of(self, rows: Int64[np.ndarray, " chosen"]) -> "Words":
        """The words of some texts, which are numbered anew; words keep their numbers."""
        at, text = entries_of(self.text, self.texts, rows)
        return Words(len(rows), text, self.word[at])


def entries_of(
    text: Int64[np.ndarray, " entries"], texts: int, rows: Int64[np.ndarray, " chosen"]
) -> tuple[Int64[np.ndarray, " some"], Int64[np.ndarray, " some"]]:
    """Where the entries of the chosen texts stand in a table sorted by text, and which chosen one each is of."""
    first = np.searchsorted(text, np.arange(texts + 1))
    count = first[rows + 1] - first[rows]
    of = np.repeat(np.arange(len(rows)), count)
    return np.arange(len(of)) + (first[rows] - (np.cumsum(count) - count))[of], of


def distinct_words(texts: Iterable[str]) -> Words:
    """The words of `texts`, numbered as they come."""
    known: dict[str, int] = {}
    sizes: list[int] = []

    def numbers() -> Iterator[int]:
        for text in texts:
            found = words(text)
            sizes.append(len(found))
            yield from (known.setdefault(word, len(known)) for word in found)

    word = np.fromiter(numbers(), dtype=np.int64)
    return Words(len(sizes), np.repeat(np.arange(len(sizes)), sizes), word)


def information(found: Words, pool: Int64[np.ndarray, " texts"]) -> Int64[np.ndarray, " known"]:
    """log((P + 1) / (n + 1/2)) of each word that occurs in n of the round's P pools, above 0; in steps of 2^-20 nats.

    pool: of each text. Inverse document frequency (Sparck Jones 1972) with the pool as the document. In a round of one
    pool all words weigh alike. Whole numbers, so that sums are exact in any order.
    """
    pools = len(np.unique(pool))
    stride = int(pool.max(initial=-1)) + 1
    in_pools = np.bincount(np.unique(found.word * stride + pool[found.text]) // max(stride, 1))
    return np.rint(np.log((pools + 1) / (in_pools + 0.5)) * _STEPS).astype(np.int64)


def overlaps(
    found: Words, layout: Layout, weight: Int64[np.ndarray, " known"]
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """F1 of the words of each pair (i, j), all counting alike, and how far i covers j, by their weight; 0..1.

    F1 = 2 |i & j| / (|i| + |j|) is symmetric and tells copies. Coverage is the weight of the words that both have over
    that of all words of j: recall, if j were the truth. weight: of each word, by its number.
    """
    # One column per pool and word: answers of different pools share none, so one product does all pools at once.
    stride = int(found.word.max(initial=-1)) + 1
    columns, column = np.unique(layout.pool[found.text] * stride + found.word, return_inverse=True)
    shape = (found.texts, len(columns))
    member = _table(shape, found.text, column, np.ones_like(column))
    count = _pairs(member @ member.T, layout)
    weighed = _pairs(_table(shape, found.text, column, weight[found.word]) @ member.T, layout)
    own = layout.pair_of(np.arange(len(layout.pool)), np.arange(len(layout.pool)))  # what an answer shares with itself
    size, whole = count[own], weighed[own]
    f1 = 2 * count / np.maximum(size[layout.left] + size[layout.right], 1)
    return settled(f1), settled(weighed / np.maximum(whole[layout.right], 1))


def _table(
    shape: tuple[int, int],
    text: Int64[np.ndarray, " words"],
    column: Int64[np.ndarray, " words"],
    values: Int64[np.ndarray, " words"],
) -> np.ndarray | csr_array:
    """`values` by text and column, 0 elsewhere: dense for a panel or a small round, where a sparse one is slow to set up."""
    if shape[0] * max(shape) > _DENSE_VALUES:
        return csr_array((values, (text, column)), shape=shape)
    table = np.zeros(shape)
    table[text, column] = values
    return table


def _pairs(product: np.ndarray | csr_array, layout: Layout) -> Float64[np.ndarray, " pairs"]:
    """What stands at the pairs of the layout in a table of all texts by all texts."""
    if isinstance(product, np.ndarray):
        dense: Float64[np.ndarray, " pairs"] = product[layout.left, layout.right]
        return dense
    found = product.tocoo()
    values = np.zeros(layout.pairs, dtype=np.float64)
    values[layout.pair_of(found.row.astype(np.int64), found.col.astype(np.int64))] = found.data
    return values

"""How far answers use the same words: overlap of word sets, for all pools of a batch in one sparse product.

Words are what separators leave between them. Scripts that write none have other units: an ideograph is a word, and
runs of kana, Thai, Lao, Khmer or Burmese are cut into overlapping pieces of four characters (their single letters
would make any two texts alike).

Two answers that share "the" and "of" share little. Where it is asked how far one covers the other, words count by their
*information*: how rare they are in the round. Among long answers the prompt's words do not count there: repeating what was asked
says nothing, and whoever repeats most of it would cover everybody. A short answer may be one of the prompt's choices.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import groupby
from typing import Final, TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import csr_array

from consensus_server.core.consensus.answers.characters import visible
from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.consensus.answers.table import in_blocks
from consensus_server.core.consensus.rounding import settled

GRAM: Final = 4
"""Characters of a piece where no word boundaries are written. Source: earlier work, .960 against .962 for words."""

_DENSE_VALUES: Final = 2**18
"""Answers times their distinct words, or times themselves, up to which dense tables are quicker: 2 MiB, a panel's question."""
_BLOCK_ANSWERS: Final = 2**13
"""Most answers whose words are compared at once; a larger pool is a block of its own."""
_STEPS: Final = 2.0**20
"""Steps of information per nat."""

_IDEOGRAPHS: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED: Final = "\u3040-\u30ff\u31f0-\u31ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
"""What `_patterns` comes to on ASCII, several times faster."""


def folded(text: str) -> str:
    """`text` without case, outer white space and differences of inner white space, canonically composed.

    Not compatibility-composed: x² and x2 stay two texts.
    """
    return unicodedata.normalize("NFC", " ".join(text.casefold().split()))


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


SomeEntries = TypeVar("SomeEntries", bound="Entries")


@dataclass(frozen=True)
class Entries:
    """Some entries of each of many texts, text after text; subclasses add a column for each thing told of an entry."""

    texts: int
    text: Int64[np.ndarray, " entries"]
    """Number of the text that each entry is of, ascending."""

    def of(self: SomeEntries, rows: Int64[np.ndarray, " chosen"]) -> SomeEntries:  # noqa: PYI019 - beartype decorates methods, and knows no Self there
        """The entries of some texts, which are numbered anew."""
        first = np.searchsorted(self.text, np.arange(self.texts + 1))
        count = first[rows + 1] - first[rows]
        text = np.repeat(np.arange(len(rows)), count)
        at = np.arange(len(text)) + (first[rows] - (np.cumsum(count) - count))[text]
        columns = {field.name: getattr(self, field.name)[at] for field in fields(self)[2:]}
        return replace(self, texts=len(rows), text=text, **columns)


@dataclass(frozen=True)
class Words(Entries):
    """The distinct words of texts."""

    word: Int64[np.ndarray, " entries"]
    """A number, equal for equal words of all texts."""
    own: Bool[np.ndarray, " entries"]
    """Whether the text's prompt does not have the word; of a text without such words, all are its own."""


def distinct_words(texts: Sequence[str], prompts: Sequence[str], asked: Int64[np.ndarray, " texts"]) -> Words:
    """The words of `texts`, numbered as they come. asked: prompt that each is to, an index into `prompts`."""
    known: dict[str, int] = {}
    of_prompts = [words(prompt) for prompt in prompts]
    sizes: list[int] = []
    own: list[bool] = []

    def numbers() -> Iterator[int]:
        for text, prompt in zip(texts, asked.tolist(), strict=True):
            found = words(text)
            sizes.append(len(found))
            # "A or B?" is answered in words of the prompt, and so is what has to be put in order.
            quoted = frozenset() if found <= of_prompts[prompt] else of_prompts[prompt]
            own.extend(word not in quoted for word in found)
            yield from (known.setdefault(word, len(known)) for word in found)

    word = np.fromiter(numbers(), dtype=np.int64)
    return Words(len(sizes), np.repeat(np.arange(len(sizes)), sizes), word, np.array(own, dtype=bool))


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
    found: Words, pairs: Pairs, weight: Int64[np.ndarray, " known"], only_own: Bool[np.ndarray, " texts"]
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """F1 of the words of each pair (i, j), all counting alike, and how far i covers j, by their weight; 0..1.

    F1 = 2 |i & j| / (|i| + |j|) is symmetric and tells copies. Coverage is the weight of the words that both have over
    that of all words of j: recall, if j were the truth. weight: of each word, by its number. only_own: of each text, whether
    its coverage counts only the words that its prompt does not have.
    """
    f1, coverage = [np.zeros(0)], [np.zeros(0)]
    for rows in in_blocks(pairs.pool, _BLOCK_ANSWERS):
        block = Pairs(pairs.pool[rows] - pairs.pool[rows.start])
        words = found.of(np.arange(rows.start, rows.stop))
        told = np.where(words.own | ~only_own[rows][words.text], weight[words.word], 0)
        both, weighed = _shared(words, block, told)
        own = block.pair_of(np.arange(words.texts), np.arange(words.texts))  # what an answer shares with itself
        size, whole = both[own], weighed[own]
        f1.append(2 * both / np.maximum(size[block.left] + size[block.right], 1))
        coverage.append(weighed / np.maximum(whole[block.right], 1))
    return settled(np.concatenate(f1)), settled(np.concatenate(coverage))


def _shared(
    found: Words, pairs: Pairs, told: Int64[np.ndarray, " entries"]
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Of the words that both answers of each pair have: their number, and how much the second tells by them."""
    # One column per pool and word: answers of different pools share none, so one product does all pools at once.
    stride = int(found.word.max(initial=-1)) + 1
    columns, column = np.unique(pairs.pool[found.text] * stride + found.word, return_inverse=True)
    shape = (found.texts, len(columns))
    member = _table(shape, found.text, column, np.ones_like(column))
    weighed = _table(shape, found.text, column, told)
    return _at_pairs(member @ member.T, pairs), _at_pairs(member @ weighed.T, pairs)


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


def _at_pairs(product: np.ndarray | csr_array, pairs: Pairs) -> Float64[np.ndarray, " pairs"]:
    """What stands at the pairs in a table of all texts by all texts."""
    if isinstance(product, np.ndarray):
        dense: Float64[np.ndarray, " pairs"] = product[pairs.left, pairs.right]
        return dense
    found = product.tocoo()
    values = np.zeros(len(pairs), dtype=np.float64)
    values[pairs.pair_of(found.row.astype(np.int64), found.col.astype(np.int64))] = found.data
    return values

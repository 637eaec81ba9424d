"""Text in no order: whether neighbouring words stand the way round in which others write them.

A set of words does not know order, so the words of everybody's answers, shuffled, overlap with every answer. Order shows
in pairs: where a round holds "of the" a hundred times and "the of" never, text has the first and a shuffle has both.
No language is assumed; what the round does not know, such as the one answer in its language, is not judged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.words.lexical import Entries, word_sequence

LEAST_PAIRS: Final = 20
"""Pairs of which the round must know the order before an answer is judged by them."""
READ_WORDS: Final = 2000
"""Words that are read of an answer, from its beginning."""


@dataclass(frozen=True)
class WordPairs(Entries):
    """Distinct pairs of unlike neighbouring words of texts; none that a text's prompt holds in the same order."""

    pair: Int64[np.ndarray, " entries"]
    """A number for two words, whichever comes first."""
    direction: Int64[np.ndarray, " entries"]
    """1 or -1: which of the two comes first."""


def word_pairs(texts: Sequence[str], prompts: Sequence[str], asked: Int64[np.ndarray, " texts"]) -> WordPairs:
    """asked: prompt that each text is to, an index into `prompts`."""
    known: dict[str, int] = {}
    row, first, second = _neighbours([*texts, *prompts], known)
    _, code = np.unique(first * len(known) + second, return_inverse=True)
    codes = int(code.max(initial=-1)) + 1
    of_prompt = row >= len(texts)
    quoted = (row[of_prompt] - len(texts)) * codes + code[of_prompt]
    text, at = row[~of_prompt], np.flatnonzero(~of_prompt)
    own = ~np.isin(asked[text] * codes + code[at], quoted)
    _, distinct = np.unique(text[own] * codes + code[at[own]], return_index=True)
    at = at[own][distinct]
    _, pair = np.unique(np.minimum(first, second)[at] * len(known) + np.maximum(first, second)[at], return_inverse=True)
    return WordPairs(len(texts), row[at], pair, np.where(first[at] < second[at], 1, -1))


def _neighbours(
    texts: Sequence[str], known: dict[str, int]
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Text, first and second word of every two neighbours that differ; words are numbered in `known`."""
    sizes: list[int] = []

    def numbers() -> Iterator[int]:
        for text in texts:
            words = list(islice(word_sequence(text), READ_WORDS))
            sizes.append(len(words))
            yield from (known.setdefault(word, len(known)) for word in words)

    word = np.fromiter(numbers(), dtype=np.int64)
    row = np.repeat(np.arange(len(texts)), sizes)
    inside = np.flatnonzero((row[:-1] == row[1:]) & (word[:-1] != word[1:]))
    return row[inside], word[inside], word[inside + 1]


def shares_in_order(
    pairs: WordPairs, participant: Int64[np.ndarray, " texts"], pool: Int64[np.ndarray, " texts"]
) -> Float64[np.ndarray, " texts"]:
    """Of each text's pairs that others know, the share that stands the way round in which more of them have it.

    Others are the answers of other participants to other prompts: neither copies nor the own habit count. About .5 for
    words in no order, about .9 for prose; nan where fewer than `LEAST_PAIRS` are known.
    """
    who, where = participant[pairs.text], pool[pairs.text]
    contributor = who * (int(pool.max(initial=-1)) + 1) + where
    everybody = _leaning(pairs, np.zeros_like(who))
    others = everybody - _leaning(pairs, who) - _leaning(pairs, where) + _leaning(pairs, contributor)
    agrees = pairs.direction * others
    with_them = np.bincount(pairs.text, weights=agrees > 0, minlength=pairs.texts)
    known = np.bincount(pairs.text, weights=agrees != 0, minlength=pairs.texts)
    return np.where(known >= LEAST_PAIRS, with_them / np.maximum(known, 1), np.nan)


def _leaning(pairs: WordPairs, group: Int64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    """For each pair: how many texts of its group have it one way round, less how many the other."""
    _, at = np.unique(pairs.pair * (int(group.max(initial=-1)) + 1) + group, return_inverse=True)
    leaning: Float64[np.ndarray, " pairs"] = np.bincount(at, weights=pairs.direction).astype(np.float64)[at]
    return leaning

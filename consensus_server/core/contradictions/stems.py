"""Words by their stems: forms of one word, British or American, are one.

A light stemmer of its own: the Porter and Snowball stemmers cut "general" and "generous" to one stem, leave "colour" and
"color" two, and know no irregular forms, and each of these is a false finding or a missed one.
"""

import re
from functools import lru_cache

from consensus_server.core.contradictions.lexicon import BASE_FORMS, WORDS

_AMERICAN = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"oe(?=[a-z])|ae(?=[a-z])", "e"),
        (r"our(?=s?$|ed$|ing$|al$|able$)", "or"),
        (r"is(?=(e|es|ed|er|ing|ation)$)", "iz"),
        (r"ys(?=(e|es|ed|ing)$)", "yz"),
        (r"(?<=[^aeiou])re(?=s?$)", "er"),
        (r"(?<=[a-z]{3}e)ll(?=(ed|ing|er)$)", "l"),
        (r"ogue$", "og"),
        (r"mme$", "m"),
    )
)
_SHORTEST_SPELLING = 5
_SHORTEST_STEM = 3
_SUFFIXES = ("ingly", "edly", "ation", "ing", "ed", "ly", "ment")


@lru_cache(maxsize=2**16)
def stem(word: str) -> str:
    """The stem of a word in small letters."""
    word = word.removesuffix("'s")
    word = BASE_FORMS.get(word, word)
    found = _without_end(word)
    if len(word) >= _SHORTEST_SPELLING and word not in WORDS["spelled"] and found not in _SPELLED:
        for pattern, instead in _AMERICAN:
            word = pattern.sub(instead, word)
        found = _without_end(word)
    return found


def _without_end(word: str) -> str:
    word = _without_suffix(_singular(word))
    return word[:-1] if len(word) > _SHORTEST_STEM and word.endswith("e") else word


def _singular(word: str) -> str:
    if len(word) <= _SHORTEST_STEM:
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _without_suffix(word: str) -> str:
    """At least four letters stay; a consonant that was doubled before the suffix is single again."""
    if word.endswith("ied") and len(word) > _SHORTEST_SPELLING:
        return word[:-3] + "y"
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) > _SHORTEST_STEM:
            word = word.removesuffix(suffix)
            return word[:-1] if word[-1] == word[-2] and word[-1] not in "sle" else word
    return word


_SPELLED = frozenset(map(_without_end, WORDS["spelled"]))
"""Stems of words in which nothing is British: "rises" as "rise"."""

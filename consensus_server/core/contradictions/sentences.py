"""A text as sentences of plain words: what is no prose is left out, and turns of phrase are written in one way.

Negation in English has many forms ("no more than", "rule out", "free of", "unless"). Each is rewritten here to one that the
reader of a sentence knows, so that the reader stays small. What only looks like a negation ("not only", "no doubt") goes.
"""

import re
from typing import Final, NamedTuple

from consensus_server.core.contradictions.lexicon import NUMBERS, turns

_CODE: Final = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_SENTENCE_END: Final = re.compile(
    r"(?<=[.!?])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bProf\.)(?<!\bSt\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\d\.(?=\s\S{1,40}$))\s+|\n+|;\s"
)
_SPELLINGS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), instead)
    for pattern, instead in (
        (r"^[ \t]*(?:[-•]|\(?\d{1,2}[.)]|[a-h][.)])[ \t]+", ""),  # marks of lists
        (r"\b(\d{3}0)'?s\b", r"\1"),  # decades
        (r"\b([ap])\.m\b\.?(?=\W*(\s[A-Z]|$))", r"\1m."),  # 8 a.m. at the end of a sentence
        (r"\b([ap])\.m\.", r"\1m"),
        (r"(?<![\w.,])\.(?=\d)", "0."),  # .5 mg
        (r"(?<![\w\d)])[-\u2212](?=\d)", "minus "),  # -5 degrees
        (r"\b(non|pre|post|hyper|hypo|over|under)-(?=[a-z])", r"\1"),
    )
)
"""What is spelled in several ways, and how it is written instead."""
_TYPOGRAPHY: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u00a0": " ", "*": ""})
_TOKEN: Final = re.compile(
    r"\d+(?:,\d{3})+(?:\.\d+)?|\d{4}-\d\d-\d\d|\d{1,2}:\d\d|\d+(?:\.\d+)?"
    r"|[A-Za-zÀ-ÿµμ°][\w'À-ÿ]*|[%$€£<>≤≥~/.,;:!?()\n\N{EN DASH}-]"
)
_VERDICT: Final = re.compile(
    r"^\W*(yes|no|true|false|correct|incorrect)\b(?=\W|$)"
    r"(?! (?:one|evidence|need|sign|doubt|other|more|less|member|prescription|patient|studies)\b)",
    re.IGNORECASE,
)
_ORDINALS: Final = NUMBERS["ordinal"]
_CENTURY: Final = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)|({'|'.join(sorted(_ORDINALS, reverse=True))}))[ -]century", re.IGNORECASE
)
_TURNS: Final = tuple((re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in turns())
_TURN_WORDS: Final = re.compile(
    r"n't|\b(?:no|not|never|cannot|without|dr|mr|mrs|ms|prof|st|rul(?:e|es|ed|ing) out|free (?:of|from)|absence|up to"
    r"|rather|instead|except|prior|in advance|later|earlier|or (?:more|less|above|below|under|over|younger|older)"
    r"|it goes|nothing better|unless|blood|cholesterol|heart|infarction|kidney|renal)\b",
    re.IGNORECASE,
)
"""Every turn has one of them. To look once is faster than to rewrite thirty times; a test holds that none is forgotten."""


class Split(NamedTuple):
    """A text as sentences."""

    verdict: int
    """1 where the text begins with a yes of its own, -1 with a no, else 0."""
    sentences: tuple[str, ...]
    """With the turns of phrase rewritten; the verdict left out."""
    written: tuple[str, ...]
    """These sentences as a person reads them."""


def split(text: str) -> Split:
    """The sentences of a text, without code, tables, list marks and emphasis."""
    text = _CODE.sub(" ", text).translate(_TYPOGRAPHY)
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    text = _CENTURY.sub(_century, text)
    sentences = [sentence for sentence in _SENTENCE_END.split(text) if sentence.strip() and sentence.count("|") <= 1]
    verdict, rest = _verdict(sentences[0]) if sentences else (0, "")
    if verdict:
        sentences[0] = rest
    return Split(verdict, tuple(map(_rewritten, sentences)), tuple(map(str.strip, sentences)))


def _century(found: re.Match[str]) -> str:
    """As a quantity: "19 centuries"."""
    return f"{found[1] or int(_ORDINALS[found[2].lower()])} centuries"


def _verdict(sentence: str) -> tuple[int, str]:
    """The verdict with which a sentence begins, 1, -1 or 0, and what follows it."""
    found = _VERDICT.match(sentence)
    if found is None:
        return 0, sentence
    word, rest = found[1].lower(), sentence[found.end() :]
    if rest.strip() and rest.lstrip()[0] not in ",.!;:-\N{EN DASH}\N{EM DASH}" and word != "yes":
        return 0, sentence
    return (1 if word in ("yes", "true", "correct") else -1), rest.lstrip(",.!;: ")


def _rewritten(sentence: str) -> str:
    if _TURN_WORDS.search(sentence):
        for pattern, instead in _TURNS:
            sentence = pattern.sub(instead, sentence)
    return sentence


def tokens_of(sentence: str) -> list[str]:
    """Words, numbers and marks of a sentence, as written."""
    return _TOKEN.findall(sentence)

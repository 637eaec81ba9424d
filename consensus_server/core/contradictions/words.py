"""Contradictions told by words alone: deterministic, in English, a millisecond an answer.

In other languages it finds next to nothing, and says nothing false: a text whose words it does not know has no opposites.
docs/contradictions.md says what is caught and what is not.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

from consensus_server.core.contradictions.alignment import Difference
from consensus_server.core.contradictions.compare import compare
from consensus_server.core.contradictions.findings import Finding
from consensus_server.core.contradictions.lexicon import lexicon_digest
from consensus_server.core.contradictions.questions import Question, read_question
from consensus_server.core.contradictions.reading import Reading, read
from consensus_server.core.contradictions.replies import Answer, answer_to

_KEPT_READINGS: Final = 4096
_VERSION: Final = 1
"""Of the rules; raised when a change of them can change a finding."""


class WordContradictions:
    """`ports.Contradictions` by words."""

    @property
    def identity(self) -> str:
        """Name, version of the rules and digest of the lexicon."""
        return f"words-{_VERSION}-{lexicon_digest()[:12]}"

    def between(self, texts: Sequence[str], prompt: str) -> list[Finding]:
        """The strongest difference between every two answers; see `ports.Contradictions`."""
        question = read_question(prompt)
        found = compare(answers_in(texts, question), question)
        return placed(texts, {pair: each[0].difference for pair, each in found.items()})


def answers_in(texts: Sequence[str], question: Question) -> list[Answer]:
    """The distinct ones of `texts`, by code points, read as answers to a question. Readings are kept."""
    return [answer_to(question, _reading(text)) for text in sorted(set(texts))]


def placed(texts: Sequence[str], found: Mapping[tuple[int, int], Difference]) -> list[Finding]:
    """Findings by places in `texts`. found: by places (i, j), i < j, among the distinct ones as `answers_in` orders them."""
    place = {text: i for i, text in enumerate(sorted(set(texts)))}
    rows = [place[text] for text in texts]
    return [
        _placed(i, j, found[min(one, other), max(one, other)], turned=one > other)
        for (i, one), (j, other) in combinations(enumerate(rows), 2)
        if (min(one, other), max(one, other)) in found
    ]


def _placed(first: int, second: int, found: Difference, *, turned: bool) -> Finding:
    """turned: whether the difference was found with the second answer first."""
    words = (found.second, found.first) if turned else (found.first, found.second)
    return Finding(first, second, found.strength, found.kind, *words)


@lru_cache(maxsize=_KEPT_READINGS)
def _reading(text: str) -> Reading:
    return read(text)

"""What words leave open about two answers, in statements that a model can judge, and what its verdict makes of it.

A model is asked where words only doubt, and where a prompt is a closed question and they find nothing: there two answers that
share no word may still contradict one another. It is asked about single sentences, not about answers: models of entailment are
made for these, and who reads 300 words finds side matter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Final, NamedTuple

from consensus_server.core.contradictions.alignment import Difference
from consensus_server.core.contradictions.compare import Located
from consensus_server.core.contradictions.findings import HARD
from consensus_server.core.contradictions.replies import Answer

MOST_REPLIES: Final = 3
"""Sentences of a long answer that are shown as its reply: the first of the most relevant ones."""
MOST_CHARS: Final = 1000
"""Of a statement; what follows is not shown. Windows of models end at about 500 tokens, for both."""
_SHOWN_CHARS: Final = 80
"""Of a statement in a finding."""
_STRENGTH: Final = 0.9


class Verdict(StrEnum):
    """What a model says of two statements. Stored, so the words stay."""

    CONTRADICTION = "contradiction"
    """Both cannot be right, whichever is read first."""
    SAME = "same"
    """Each follows from the other."""
    NEITHER = "neither"
    UNREADABLE = "unreadable"
    """Nothing that one can go by. Counts as `NEITHER`."""


class Doubt(NamedTuple):
    """Two statements to be judged, in the order of their code points: who answers first changes nothing."""

    question: str
    """What they reply to; empty where they are sentences that stand alone."""
    first: str
    second: str


class Open(NamedTuple):
    """What is open about two answers."""

    doubt: Doubt
    places: tuple[int, int]
    """Of the sentences in the answers; (-1, -1) for their replies."""
    words: tuple[str, str]
    """Of each answer, what may decide."""


def open_pairs(
    texts: Sequence[str], answers: Sequence[Answer], prompt: str, found: Mapping[tuple[int, int], Sequence[Located]]
) -> Mapping[tuple[int, int], Open]:
    """What to ask a model, by places (i, j), i < j, of two answers.

    texts, answers: distinct, as `words.answers_in` orders them. found: as `compare` gives it.
    """
    return dict(_open_pairs(texts, answers, prompt, found))


def _open_pairs(
    texts: Sequence[str], answers: Sequence[Answer], prompt: str, found: Mapping[tuple[int, int], Sequence[Located]]
) -> Iterator[tuple[tuple[int, int], Open]]:
    replies = [_reply(text, answer) for text, answer in zip(texts, answers, strict=True)]
    for i, j in combinations(range(len(answers)), 2):
        strongest = found[i, j][0] if (i, j) in found else None
        if strongest is not None and strongest.difference.strength >= HARD:
            continue
        if strongest is not None and strongest.places != _WHOLE:
            yield (i, j), _of_sentences(answers[i], answers[j], strongest)
        elif replies[i] and replies[j] and replies[i] != replies[j]:
            words = (replies[i][:_SHOWN_CHARS], replies[j][:_SHOWN_CHARS])
            yield (i, j), Open(_doubt(prompt[:MOST_CHARS], replies[i], replies[j]), _WHOLE, words)


_WHOLE: Final = (-1, -1)


def _of_sentences(first: Answer, second: Answer, found: Located) -> Open:
    one, other = (
        answer.reading.sentences[place].written for answer, place in zip((first, second), found.places, strict=True)
    )
    return Open(_doubt("", one, other), found.places, (found.difference.first, found.difference.second))


def _doubt(question: str, one: str, other: str) -> Doubt:
    return Doubt(question, *sorted((one[:MOST_CHARS], other[:MOST_CHARS])))


def _reply(text: str, answer: Answer) -> str:
    """What an answer says to a closed question: all of a short one, else its replies. Empty for an open prompt."""
    if not answer.relevance:
        return ""
    if answer.reading.short:
        return text.strip()
    return " ".join(answer.reading.sentences[place].written for place in _foremost(answer))


def _foremost(answer: Answer) -> list[int]:
    """Places of the most relevant replies, in the order of the text."""
    return sorted(sorted(answer.replies, key=lambda place: (-answer.relevance[place], place))[:MOST_REPLIES])


def settled(kind: str, verdict: Verdict, asked: Open, found: Sequence[Located]) -> Difference | None:
    """The strongest difference between two answers, with what a model said of them; None where there is none.

    kind: of the model's own findings.
    """
    if verdict is Verdict.CONTRADICTION:
        return Difference(_STRENGTH, kind, *asked.words)
    left: Iterable[Located] = found
    if verdict is Verdict.SAME:
        left = (each for each in found if each.places != asked.places)
    return next((each.difference for each in left), None)

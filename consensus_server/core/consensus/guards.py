"""Gates that need to know the round: what is garbage, off topic or repeated is kept out before anybody is counted.

Each is a function from the measures of a round to the answers it refuses; where several refuse, the first in the
table gives the name. Honest answers: 1.4 % are kept out. Source of constants: docs/experiments.md, entry 1.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from consensus_server.core.consensus.background import Known
from consensus_server.core.consensus.invisible import INVISIBLE
from consensus_server.core.consensus.measures import Cues, Measures
from consensus_server.core.consensus.pools import Reading
from consensus_server.core.consensus.redundancy import LONG_CHARS, heads
from consensus_server.core.consensus.rounding import SLACK, settled

LEAST_PRINTABLE: Final = 0.7
LEAST_RELEVANCE: Final = 0.17
RELEVANCE_OF_SECOND: Final = 0.5
"""Where all answers are far from the prompt, half the relevance of the second-best is enough."""
FLOOR_OF_SECOND: Final = 0.02
LIKENESS_OF_TOPICAL: Final = 0.75
"""An answer far from the prompt is on topic all the same if it is at least three quarters as near to those near the prompt
as they are to one another: the right answer to a riddle need not sound like it."""
MOST_REPETITION: Final = 0.35
LEAST_ORDER: Final = 0.65
"""Word order: shuffled words lie about .5, the answers of honest models about .9, .1 % of them under .65."""
OVER_LONG: Final = "over_long"
"""Name of the gate in `redundancy.votes`, which stands last: it needs the votes of those that were admitted."""

_BLANK: Final = re.compile(rf"[\s{INVISIBLE}]+")
"""White space and invisible characters count neither way: joiners and direction marks belong to honest scripts."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard found."""

    refused: Bool[np.ndarray, " answers"]
    value: Float64[np.ndarray, " answers"]
    """What it measured."""
    limit: Float64[np.ndarray, " answers"]
    """What it held that against."""


Guard = Callable[[Measures, Cues, Bool[np.ndarray, " answers"]], Finding]
"""What it finds, given which answers no earlier guard refused."""


def printable_share(text: str) -> float:
    """Share of the characters of `text` that can be printed, white space aside; 0 for a text without any.

    Control characters, lone surrogates, private and unassigned code points and the replacement character cannot.
    """
    marks = _BLANK.sub("", text)
    if marks.isprintable() and "\ufffd" not in marks:
        return 1.0 if marks else 0.0
    good = sum(unicodedata.category(char)[0] != "C" and char != "\ufffd" for char in marks)
    return good / len(marks)


def _garbage(_measures: Measures, cues: Cues, _admitted: Bool[np.ndarray, " answers"]) -> Finding:
    """Less than 70 % of it can be printed."""
    limit = np.full_like(cues.printable, LEAST_PRINTABLE)
    return Finding(cues.printable < limit, cues.printable, limit)


def _off_topic(measures: Measures, cues: Cues, admitted: Bool[np.ndarray, " answers"]) -> Finding:
    """Far from the prompt, and from the answers near it.

    Where all would be refused nobody is: there, distance tells about the prompt or the encoder.
    """
    pool = measures.layout.pool
    least = _least_relevance(measures, cues, admitted)
    far = cues.relevance < least
    refused = far & ~_excused(measures, cues, admitted) & ~_like_topical(measures, cues, admitted & ~far)
    somebody_left = np.bincount(pool, weights=admitted & ~refused) > 0
    return Finding(refused & somebody_left[pool], cues.relevance, least)


def _like_topical(
    measures: Measures, cues: Cues, topical: Bool[np.ndarray, " answers"]
) -> Bool[np.ndarray, " answers"]:
    """Which answers are like the topical ones, those near the prompt. None in a pool too large for pairs."""
    layout = measures.layout
    if not len(cues.opening_cosine):
        return np.zeros_like(topical)
    head = heads(measures, topical)
    others = head[layout.right] * (1 - measures.same_participant)
    nearness = layout.total(others * cues.opening_cosine) / np.maximum(layout.total(others), SLACK)
    count = np.bincount(layout.pool, weights=head)
    usual = np.bincount(layout.pool, weights=head * nearness) / np.maximum(count, SLACK)
    like: Bool[np.ndarray, " answers"] = (
        nearness >= np.where(usual > 0, LIKENESS_OF_TOPICAL * usual, np.inf)[layout.pool]
    )
    return like


def _least_relevance(
    measures: Measures, cues: Cues, admitted: Bool[np.ndarray, " answers"]
) -> Float64[np.ndarray, " answers"]:
    """Relevance below which an answer is far: .17, or half the second-best of the pool. Unknown relevance is not below."""
    known = np.where(admitted & np.isfinite(cues.relevance), cues.relevance, -1)
    second = np.maximum(_second_best(measures, known), FLOOR_OF_SECOND)
    least: Float64[np.ndarray, " answers"] = np.minimum(LEAST_RELEVANCE, RELEVANCE_OF_SECOND * second)[
        measures.layout.pool
    ]
    return least


def _excused(measures: Measures, cues: Cues, admitted: Bool[np.ndarray, " answers"]) -> Bool[np.ndarray, " answers"]:
    """Short answers, unless more than half of the pool's participants gave long answers near the prompt.

    A right answer of one word may share nothing with its prompt, and a class label recurs from prompt to prompt. Where
    most had more to say, it is the short one that is out of place.
    """
    pool, head = measures.layout.pool, heads(measures, admitted)
    long = measures.length >= LONG_CHARS
    far = cues.relevance < _least_relevance(measures, cues, admitted)
    telling = np.bincount(pool, weights=head * (long & ~far))
    most_tell = telling > np.bincount(pool, weights=head) / 2 + SLACK
    excused: Bool[np.ndarray, " answers"] = ~long & ~most_tell[pool]
    return excused


def _second_best(measures: Measures, values: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " pools"]:
    """Second-highest value of each pool; -1 in a pool of one."""
    layout = measures.layout
    ordered = values[np.lexsort((values, layout.pool))]
    last = layout.starts + layout.sizes - 1
    return np.where(layout.sizes > 1, ordered[last - (layout.sizes > 1)], -1)


def _repetitive(measures: Measures, cues: Cues, admitted: Bool[np.ndarray, " answers"]) -> Finding:
    """Its participant says the same across prompts, word for word, in at least 35 % of what it says."""
    limit = np.full_like(cues.repetition, MOST_REPETITION)
    return Finding((cues.repetition >= limit) & ~_excused(measures, cues, admitted), cues.repetition, limit)


def _disordered(_measures: Measures, cues: Cues, _admitted: Bool[np.ndarray, " answers"]) -> Finding:
    """Of the neighbouring words whose order the round knows, less than 65 % stand in it."""
    limit = np.full_like(cues.order, LEAST_ORDER)
    return Finding(cues.order < limit, cues.order, limit)


GUARDS: Final[Mapping[str, Guard]] = MappingProxyType(
    {"garbage": _garbage, "off_topic": _off_topic, "repetitive": _repetitive, "disordered": _disordered}
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an answer is kept out."""

    gate: str
    reading: Reading


def guarded(measures: Measures, known: Known) -> tuple[Bool[np.ndarray, " answers"], dict[int, Refusal]]:
    """Which answers are admitted, and why each of the others is not, by row. Without cues all are admitted."""
    admitted = np.ones(len(measures.length), dtype=bool)
    refusals: dict[int, Refusal] = {}
    if measures.cues is None:
        return admitted, refusals
    for name, guard in GUARDS.items():
        found = guard(measures, measures.cues, admitted)
        refused = found.refused & admitted & ~known.spared(name, measures.participant)
        admitted &= ~refused
        refusals |= refusals_of(name, refused, found.value, found.limit)
    return admitted, refusals


def refusals_of(
    gate: str,
    refused: Bool[np.ndarray, " answers"],
    value: Float64[np.ndarray, " answers"],
    limit: Float64[np.ndarray, " answers"],
) -> dict[int, Refusal]:
    """The refusals of one gate, by row."""
    rows = np.flatnonzero(refused)
    values, limits = settled(value[rows]).tolist(), settled(limit[rows]).tolist()
    return {row: Refusal(gate, Reading(*reading)) for row, *reading in zip(rows.tolist(), values, limits, strict=True)}

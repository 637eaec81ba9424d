"""What a gate is, and the gates that read an answer by itself. The table of all gates stands in `round.gates`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64

from client_kit.refusals import is_refusal
from consensus_server.core.consensus.answers.characters import shows_something
from consensus_server.core.consensus.records import Reading
from consensus_server.core.consensus.rounding import settled


class Reads(StrEnum):
    """What a gate must know before it can judge."""

    ANSWER = "answer"
    """One answer, its text and its vector."""
    ROUND = "round"
    """What is measured of all answers of the round."""
    VOTES = "votes"
    """The votes of those that the other gates let pass."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Which answers a gate keeps out, and what it measured."""

    rejected: Bool[np.ndarray, " answers"]
    value: Float64[np.ndarray, " answers"] | None = None
    """What was measured of each answer; None where there is nothing to measure."""
    limit: Float64[np.ndarray, " answers"] | None = None
    """What the gate holds that against."""


Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Gate(Generic[Seen]):
    """One reason for which an answer is kept out of its pool."""

    find: Callable[[Seen], Finding]
    reads: Reads
    sentence: str
    """For whom it rejects; `{measured}` and `{limit}` stand for the two figures of a reading."""
    appealable: bool = True
    """Whether it judges. What is empty or has no vector cannot be admitted, whoever asks."""
    constants: Mapping[str, int | float] = field(default_factory=dict)
    """The numbers it decides by, by the names under which a round's card has them."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an answer is kept out."""

    gate: str
    reading: Reading | None
    """What the gate measured; None for a gate that measures nothing."""


Rejections = dict[int, Rejection]
"""By row."""


def rejections_of(gate: str, found: Finding, rejected: Bool[np.ndarray, " answers"]) -> Rejections:
    """One gate's rejections. rejected: those of its findings that count."""
    rows = np.flatnonzero(rejected)
    if found.value is None or found.limit is None:
        return {row: Rejection(gate, None) for row in rows.tolist()}
    values, limits = settled(found.value[rows]).tolist(), settled(found.limit[rows]).tolist()
    return {
        row: Rejection(gate, Reading(*reading)) for row, *reading in zip(rows.tolist(), values, limits, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Candidates:
    """Answers of any number of pools, one row each, before anything of the round is known."""

    texts: Sequence[str]
    vectors: Float32[np.ndarray, "answers dimension"]
    declining: Bool[np.ndarray, " answers"] | None = None
    """Which may be kept out where they decline to answer; None: no one, as refusals are kept."""


def _empty(candidates: Candidates) -> Finding:
    """Nothing but white space, zero-width and control characters."""
    return Finding(np.fromiter((not shows_something(text) for text in candidates.texts), dtype=bool))


def _not_embeddable(candidates: Candidates) -> Finding:
    """The encoder gave no direction: a value that is not finite, or zeros only."""
    vectors = candidates.vectors
    return Finding(~(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)))


def _refusal(candidates: Candidates) -> Finding:
    """Declines to answer, in English."""
    if candidates.declining is None:
        return Finding(np.zeros(len(candidates.texts), dtype=bool))
    pairs = zip(candidates.texts, candidates.declining.tolist(), strict=True)
    return Finding(np.fromiter((may and is_refusal(text) for text, may in pairs), dtype=bool))


REFUSAL: Final = "refusal"

ANSWER_GATES: Final[Mapping[str, Gate[Candidates]]] = MappingProxyType(
    {
        "empty": Gate(_empty, Reads.ANSWER, "A reader would see nothing in it.", appealable=False),
        "not_embeddable": Gate(
            _not_embeddable,
            Reads.ANSWER,
            "The encoder gave it no vector, so that it cannot be compared.",
            appealable=False,
        ),
        REFUSAL: Gate(_refusal, Reads.ANSWER, "It declines to answer, and this federation takes no refusals."),
    }
)


def usable_answers(candidates: Candidates) -> tuple[Bool[np.ndarray, " answers"], Rejections]:
    """Which answers no gate keeps out that reads an answer by itself; the rejections of the others.

    Where several gates reject, the first in the table counts.
    """
    rejections: Rejections = {}
    for name, gate in ANSWER_GATES.items():
        found = gate.find(candidates)
        rejections = rejections_of(name, found, found.rejected) | rejections
    usable = np.ones(len(candidates.texts), dtype=bool)
    usable[list(rejections)] = False
    return usable, rejections

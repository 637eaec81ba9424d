"""What a round is weighed by: figures of answers and of pairs, measured pool by pool, read across the whole round."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.layout import Layout


@dataclass(frozen=True, slots=True)
class Cues:
    """What the guards read beside the figures that every rule needs."""

    opening_cosine: Float64[np.ndarray, " pairs"]
    """Cosine of the openings of two answers, -1..1."""
    printable: Float64[np.ndarray, " answers"]
    """Share of characters that can be printed, 0..1."""
    relevance: Float64[np.ndarray, " answers"]
    """Cosine of the answer's opening and the prompt's, -1..1; nan where the prompt could not be embedded."""
    repetition: Float64[np.ndarray, " answers"]
    """Share of its participant's text that recurs across prompts, 0..1."""
    order: Float64[np.ndarray, " answers"]
    """Share of its neighbouring words that stand in an order known from others, 0..1; nan where too little is known."""

    def first(self, answers: int) -> "Cues":
        """Of the first answers, which have pairs."""
        return Cues(self.opening_cosine, *(column[:answers] for column in self._columns()))

    def unpaired(self, start: int, stop: int) -> "Cues":
        """Of the answers from `start` to `stop`, without pairs."""
        return Cues(np.zeros(0), *(column[start:stop] for column in self._columns()))

    def _columns(self) -> tuple[Float64[np.ndarray, " answers"], ...]:
        return self.printable, self.relevance, self.repetition, self.order


@dataclass(frozen=True)
class Measures:
    """The answers of a round, pool after pool."""

    layout: Layout
    participant: Int64[np.ndarray, " answers"]
    """A number per participant, the same in all pools."""
    length: Int64[np.ndarray, " answers"]
    """Characters."""
    wording: Int64[np.ndarray, " answers"]
    """A number, equal for answers of a pool that are the same text but for case and white space (`equivalence.folded`)."""
    by_key: Bool[np.ndarray, " answers"]
    """Whether its pool counts a key of each answer, such as its final number, and not what the whole text means."""
    cosine: Float64[np.ndarray, " pairs"]
    f1: Float64[np.ndarray, " pairs"]
    """Of the words of both, 0..1: what tells copies."""
    coverage: Float64[np.ndarray, " pairs"]
    """How far the first says what the second does, by the information of its words, 0..1; 1 for an answer with itself."""
    cues: Cues | None
    """Measured where the policy guards."""

    @cached_property
    def voice(self) -> Int64[np.ndarray, " answers"]:
        """A number per pool and participant: its samples speak with one voice."""
        pool = self.layout.pool
        _, voice = np.unique(pool * (self.participant.max(initial=-1) + 1) + self.participant, return_inverse=True)
        return voice

    @cached_property
    def text(self) -> Int64[np.ndarray, " answers"]:
        """A number per pool and wording."""
        pool = self.layout.pool
        _, text = np.unique(pool * (self.wording.max(initial=-1) + 1) + self.wording, return_inverse=True)
        return text

    @cached_property
    def couple(self) -> Int64[np.ndarray, " pairs"]:
        """A number per pair of participants, the same in all pools."""
        people = int(self.participant.max(initial=-1)) + 1
        code = self.participant[self.layout.left] * people + self.participant[self.layout.right]
        _, couple = np.unique(code, return_inverse=True)
        return couple

    @cached_property
    def same_participant(self) -> Float64[np.ndarray, " pairs"]:
        """1 for two samples of one participant and for an answer with itself, else 0."""
        same: Float64[np.ndarray, " pairs"] = (self.voice[self.layout.left] == self.voice[self.layout.right]).astype(
            float
        )
        return same


def joined(parts: Sequence[Measures]) -> Measures:
    """The measures of several batches as those of one round; cues, which are read across it, come after."""
    shift = np.cumsum([0, *(len(part.layout.sizes) for part in parts)])
    layout = Layout(np.concatenate([part.layout.pool + by for part, by in zip(parts, shift, strict=False)]))
    return Measures(
        layout=layout,
        participant=np.concatenate([part.participant for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        wording=np.concatenate([part.wording for part in parts]),
        by_key=np.concatenate([part.by_key for part in parts]),
        cosine=np.concatenate([part.cosine for part in parts]),
        f1=np.concatenate([part.f1 for part in parts]),
        coverage=np.concatenate([part.coverage for part in parts]),
        cues=None,
    )

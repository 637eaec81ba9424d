"""What is measured of the answers of a round: figures of each answer, and of every two answers of a pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.characters import is_latin
from consensus_server.core.consensus.answers.lengths import Lengths
from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.consensus.answers.similarity import row_cosines
from consensus_server.core.consensus.answers.table import Answers, dense
from consensus_server.core.consensus.records import SEMANTIC, Policy
from consensus_server.core.consensus.words.lexical import Words, information, overlaps
from consensus_server.core.consensus.words.order import WordPairs, shares_in_order
from consensus_server.core.consensus.words.repetition import Units, repetition


@dataclass(frozen=True, slots=True)
class GateMeasures:
    """What the gates read beside the figures that every rule needs. Columns over answers."""

    printable: Float64[np.ndarray, " answers"]
    """Share of characters that can be printed, 0..1."""
    relevance: Float64[np.ndarray, " answers"]
    """Cosine of the answer's opening and the prompt's, -1..1; nan where the prompt could not be embedded."""
    repetition: Float64[np.ndarray, " answers"]
    """Share of its participant's text that recurs across prompts, 0..1."""
    order: Float64[np.ndarray, " answers"]
    """Share of its neighbouring words that stand in an order known from others, 0..1; nan where too little is known."""

    def at(self, rows: Int64[np.ndarray, " some"]) -> "GateMeasures":
        """The measures of some answers."""
        return GateMeasures(self.printable[rows], self.relevance[rows], self.repetition[rows], self.order[rows])


@dataclass(frozen=True)
class Measures:
    """The answers of some pools, measured. Columns over pairs are empty where a pool is too large for pairs."""

    pairs: Pairs
    lengths: Lengths
    participant: Int64[np.ndarray, " answers"]
    """A number per participant, equal in all pools."""
    wording: Int64[np.ndarray, " answers"]
    """A number, equal for answers of a pool that are one text but for case and white space (`lexical.folded`)."""
    by_key: Bool[np.ndarray, " answers"]
    """Whether its pool counts a key of each answer, such as its final number, and not what the whole text means."""
    stated: Int64[np.ndarray, " answers"]
    """A number, equal for answers that state the same; -1 where a pool's keys state nothing (`equivalences.statements`)."""
    cosine: Float64[np.ndarray, " pairs"]
    f1: Float64[np.ndarray, " pairs"]
    """Of the words of both, 0..1: what tells copies."""
    coverage: Float64[np.ndarray, " pairs"]
    """How far the first says what the second does, by the information of its words, 0..1; 1 for an answer with itself."""
    opening_cosine: Float64[np.ndarray, " opening_pairs"]
    """Cosine of the openings of two answers, -1..1. Empty where the policy does not guard."""
    contradict: Bool[np.ndarray, " pairs"]
    """Whether two answers cannot both be right."""
    for_gates: GateMeasures | None
    """None where the policy does not guard."""

    @cached_property
    def contributor(self) -> Int64[np.ndarray, " answers"]:
        """A number per pool and participant: what its samples have in common."""
        return self._per_pool(self.participant)

    @cached_property
    def text(self) -> Int64[np.ndarray, " answers"]:
        """A number per pool and wording."""
        return self._per_pool(self.wording)

    def _per_pool(self, number: Int64[np.ndarray, " answers"]) -> Int64[np.ndarray, " answers"]:
        return dense(self.pairs.pool * (number.max(initial=-1) + 1) + number)

    @cached_property
    def couple(self) -> Int64[np.ndarray, " pairs"]:
        """A number per two participants, equal in all pools."""
        people = int(self.participant.max(initial=-1)) + 1
        return dense(self.participant[self.pairs.left] * people + self.participant[self.pairs.right])

    @cached_property
    def same_participant(self) -> Float64[np.ndarray, " pairs"]:
        """1 for two samples of one participant and for an answer with itself, else 0."""
        same: Float64[np.ndarray, " pairs"] = (
            self.contributor[self.pairs.left] == self.contributor[self.pairs.right]
        ).astype(float)
        return same


_NO_PAIRS = np.zeros(0)


def measure(
    answers: Answers,
    pairs: Pairs,
    policy: Policy,
    *,
    for_gates: GateMeasures | None,
    words: Words,
    wording: Int64[np.ndarray, " answers"],
    stated: Int64[np.ndarray, " answers"],
    cosine: Float64[np.ndarray, " pairs"],
    opening_cosine: Float64[np.ndarray, " opening_pairs"] = _NO_PAIRS,
) -> Measures:
    """Measure answers and their pairs. How much a word tells is read across all of them.

    pairs: of the answers. words, wording, stated, cosine, opening_cosine: of the answers and their pairs, read now or held from before.
    """
    lengths = answers.lengths(policy.short_chars)
    f1, coverage = overlaps(words, pairs, information(words, answers.pool), lengths.long_pools[answers.pool])
    return Measures(
        pairs=pairs,
        lengths=lengths,
        participant=answers.participant,
        wording=wording,
        by_key=by_key(answers),
        stated=stated,
        cosine=cosine,
        f1=f1,
        coverage=coverage,
        opening_cosine=opening_cosine,
        contradict=answers.conflicts.hard_pairs(pairs),
        for_gates=for_gates,
    )


def measure_unpaired(answers: Answers, policy: Policy, for_gates: GateMeasures) -> Measures:
    """Measure each answer of a pool that is too large for pairs."""
    return Measures(
        pairs=Pairs(answers.pool),
        lengths=answers.lengths(policy.short_chars),
        participant=answers.participant,
        wording=np.arange(len(answers.pool)),
        by_key=by_key(answers),
        stated=np.full(len(answers.pool), -1),
        cosine=_NO_PAIRS,
        f1=_NO_PAIRS,
        coverage=_NO_PAIRS,
        opening_cosine=_NO_PAIRS,
        contradict=np.zeros(0, dtype=bool),
        for_gates=for_gates,
    )


def by_key(answers: Answers) -> Bool[np.ndarray, " answers"]:
    """Whether each answer's pool is compared by keys, and not by meaning."""
    keyed = np.array([each != SEMANTIC for each in answers.equivalences], dtype=bool)
    by_key: Bool[np.ndarray, " answers"] = keyed[answers.pool]
    return by_key


def measure_for_gates(
    answers: Answers,
    usable: Int64[np.ndarray, " usable"],
    *,
    printable: Float64[np.ndarray, " usable"],
    relevance: Float64[np.ndarray, " usable"],
    neighbours: WordPairs,
    units: Units,
) -> GateMeasures:
    """What gates read of the usable answers. Repetition and word order are read across all of them.

    units: of all answers, since a participant that gave an empty answer to a prompt answered it. neighbours: of the usable.
    """
    participant, pool = answers.participant[usable], dense(answers.pool[usable])
    return GateMeasures(
        printable=printable,
        relevance=relevance,
        repetition=repetition(units, answers.participant, answers.pool)[participant],
        order=shares_in_order(neighbours, participant, pool),
    )


def relevance(
    openings: Float64[np.ndarray, "answers dimension"],
    prompts: Float64[np.ndarray, "answers dimension"],
    other_script: Bool[np.ndarray, " answers"],
) -> Float64[np.ndarray, " answers"]:
    """Cosine of each answer's opening and its prompt's, both unit vectors; nan where it tells nothing.

    That is where the prompt has no direction, and where one of both is written in Latin letters and the other is not: an encoder of
    one language puts an English answer to a Japanese prompt far off, however right it is.
    """
    return np.where(prompts.any(axis=1) & ~other_script, row_cosines(openings, prompts), np.nan)


def other_scripts(
    texts: Sequence[str], prompts: Sequence[str], prompt: Int64[np.ndarray, " answers"]
) -> Bool[np.ndarray, " answers"]:
    """Whether each answer and its prompt are written in letters of other kinds. prompt: the place of each answer's."""
    asked = [is_latin(each) for each in prompts]
    pairs = ((is_latin(text), asked[at]) for text, at in zip(texts, prompt.tolist(), strict=True))
    return np.fromiter((None not in pair and pair[0] != pair[1] for pair in pairs), dtype=bool)

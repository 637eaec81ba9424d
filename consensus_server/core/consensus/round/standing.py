"""How well an answer stands in its pool: support by others who are independent, less what length adds, plus trust.

Source of formulas and constants: earlier work (docs/experiments.md, entry 1), but for the price of length and what words
and one wording count: docs/decisions/0014.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.centrality import mean_cosine
from consensus_server.core.consensus.answers.table import Answers
from consensus_server.core.consensus.answers.tally import whole_votes
from consensus_server.core.consensus.round.measures import Measures
from consensus_server.core.consensus.round.redundancy import participant_shares
from consensus_server.core.consensus.rounding import SLACK, settled

SCALE_COSINE: Final = 9.28
SCALE_WORDS: Final = 12.22
"""1 / spread of the off-diagonal cosines, and 2 / spread of the coverages, after each prompt's mean is removed: words count
twice. Constants, never re-estimated."""
SCALE_WORDING: Final = 12.22
"""What one wording of a short answer adds to the agreement of two: as much as words can, so that of three that differ in
nothing else two who choose the same words always win."""
STATED_BY: Final = 0.25
"""Share of a pool's votes beyond which those who state the same agree."""
SHRINK_LENGTH: Final = 160.0
"""Answers at which half of a round's effect of length counts: twenty pools of eight."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of each answer beside its vote. Columns over answers."""

    similarity: Float64[np.ndarray, " answers"]
    """Mean cosine to the independent rest of the pool, by weight, -1..1; 0 where nobody is independent."""
    reliability: Float64[np.ndarray, " answers"]
    """Its participant's, from all other prompts, as far as this answer has it; in standard deviations."""
    score: Float64[np.ndarray, " answers"]
    """What the rules `fused` and `hybrid` compare within a pool."""
    z: Float64[np.ndarray, " answers"]
    """Support standardised within the pool: 0 is its middle."""
    weight: Float64[np.ndarray, " answers"]
    """Vote times exp(BETA reliability), reliability as it was before voters were trusted by it."""

    def columns(self) -> tuple[Float64[np.ndarray, " answers"], ...]:
        """In the order in which `Standing` takes them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def at(self, rows: Int64[np.ndarray, " some"]) -> "Standing":
        """The standing of some answers, in the order of `rows`."""
        return Standing(*(column[rows] for column in self.columns()))


def standing_alone(answers: Answers) -> Standing:
    """Of answers whose pools are decided each by itself: by meaning only, every participant counting once.

    Similarity leaves out the participant's own answers, the score identical texts: copies do not support each other.
    """
    votes = whole_votes(answers)
    nothing = np.zeros_like(votes)
    return Standing(
        similarity=mean_cosine(answers.unit, votes, answers.pool, leave_out=answers.contributor),
        reliability=nothing,
        score=mean_cosine(answers.unit, votes, answers.pool, leave_out=answers.content),
        z=nothing,
        weight=votes,
    )


def agreement(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " pairs"]:
    """How far the two answers of each pair agree: by meaning, by words, and by one wording of short answers.

    Where keys state the answer, two agree by their keys and by nothing else: 18 and 19 are reached by the same steps in the same
    words. docs/decisions/0025.
    """
    alike = SCALE_COSINE * measures.cosine + SCALE_WORDS * measures.coverage
    alike += SCALE_WORDING * _one_wording(measures, votes)
    stated = measures.stated[measures.pairs.left] >= 0
    return np.where(stated, SCALE_WORDING * _one_statement(measures, votes), alike)


def _one_statement(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Bool[np.ndarray, " pairs"]:
    """Whether two answers state the same, and more than a quarter of their pool's votes with them.

    Two of eight who agree with nobody else may have agreed to: that earns no trust.
    """
    pairs, stated = measures.pairs, measures.stated
    key = np.where(stated >= 0, stated, np.arange(len(stated)))
    behind = np.bincount(key, weights=votes)[key]
    shared = behind > np.bincount(pairs.pool, weights=votes)[pairs.pool] * STATED_BY + SLACK
    one: Bool[np.ndarray, " pairs"] = (key[pairs.left] == key[pairs.right]) & shared[pairs.left]
    return one


def _one_wording(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Bool[np.ndarray, " pairs"]:
    """Whether two short answers are one text, for which half of their pool's votes stand.

    Who chooses the same words for a fact agrees with it more than who covers them. Fewer than half gain nothing by it.
    """
    pairs, text = measures.pairs, measures.text
    behind = np.bincount(text, weights=votes)[text]
    half = np.bincount(pairs.pool, weights=votes)[pairs.pool] / 2
    shared = ~measures.lengths.long & (behind >= half - SLACK)
    one: Bool[np.ndarray, " pairs"] = (text[pairs.left] == text[pairs.right]) & shared[pairs.left] & shared[pairs.right]
    return one


def independent_support(
    measures: Measures,
    utility: Float64[np.ndarray, " pairs"],
    weight: Float64[np.ndarray, " answers"],
    redundant: Float64[np.ndarray, " pairs"],
) -> Float64[np.ndarray, " answers"]:
    """sum_j w_j (1 - r_ij) u_ij / sum_j w_j (1 - r_ij): copies do not support each other. 0 where nobody is left."""
    independent = (1 - redundant) * weight[measures.pairs.right]
    total = measures.pairs.total(independent)
    return np.where(total > 1e-6, measures.pairs.total(utility * independent) / np.maximum(total, 1e-9), 0)  # noqa: PLR2004 - as the source has it


def price_of_length(
    measures: Measures,
    support: Float64[np.ndarray, " answers"],
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    length_penalty: float,
) -> Float64[np.ndarray, " answers"]:
    """What an answer's support loses for its length: penalty x effect x (log(characters + 20) beyond the pool's mean).

    Long answers cover more words of the others and so look more central than they are. The effect, support for each
    e-fold of length, is the least-squares slope over the round within pools, shrunk by n/(n + 160) for its n answers,
    a participant's samples counting as one; a falling one counts as 0. Where it counts what answers state, length adds
    nothing and costs nothing. Brevity earns nothing: else an answer of one word would gain more by it than by being
    right. Judged answers play no part in it.

    length_penalty: share, 0..2, of the effect that is taken.
    """
    if length_penalty == 0:
        return np.zeros_like(support)
    log_length = np.log(measures.lengths.characters + 20.0)
    share = np.where(measures.stated >= 0, 0, participant_shares(measures, admitted))
    x, y = (each - pool_mean(measures, each, share) for each in (log_length, support))
    answers, spread = share.sum(), (share * x * x).sum()
    if spread <= 0:
        return np.zeros_like(support)
    effect = max(float((share * x * y).sum() / spread), 0.0) * answers / (answers + SHRINK_LENGTH)
    excess = np.maximum(log_length - pool_mean(measures, log_length, np.where(admitted, votes, 0)), 0)
    price: Float64[np.ndarray, " answers"] = np.where(measures.stated >= 0, 0, length_penalty * effect * excess)
    return price


def pool_mean(
    measures: Measures, values: Float64[np.ndarray, " answers"], weight: Float64[np.ndarray, " answers"]
) -> Float64[np.ndarray, " answers"]:
    """Weighted mean of `values` over each answer's pool; 0 where nothing has weight."""
    pool = measures.pairs.pool
    total = np.bincount(pool, weights=weight)
    mean: Float64[np.ndarray, " answers"] = (
        np.bincount(pool, weights=weight * values) / np.where(total > 0, total, 1)
    )[pool]
    return mean


def standardised(
    measures: Measures, values: Float64[np.ndarray, " answers"], admitted: Bool[np.ndarray, " answers"]
) -> Float64[np.ndarray, " answers"]:
    """`values` less their mean, over their spread, within each pool's admitted answers; every participant counts once.

    Values are settled first: over a spread that is noise of the arithmetic, noise would look like a score.
    """
    values = settled(values)
    pool, share = measures.pairs.pool, participant_shares(measures, admitted)
    count = np.maximum(np.bincount(pool, weights=share), 1)
    away = values - (np.bincount(pool, weights=share * values) / count)[pool]
    spread = np.sqrt(np.bincount(pool, weights=share * away**2) / count) + 1e-9
    return np.where(admitted, away / spread[pool], 0)

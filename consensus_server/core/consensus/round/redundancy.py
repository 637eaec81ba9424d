"""One vote per independent contributor: how far two answers count as one, and what that leaves of each vote.

Source of all constants: earlier work (docs/experiments.md, entry 1), attacks on 200 prompts with 36 models. They hold
for MiniLM's cosines.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from consensus_server.core.consensus.round.measures import Measures
from consensus_server.core.consensus.rounding import SLACK

REDUNDANT_F1: Final = (0.70, 0.80)
"""F1 of word sets between which two long answers become copies; of honest pairs 99 % lie under .73."""
REDUNDANT_PAIR: Final = (0.86, 0.92)
"""Mean cosine of openings between which two participants become one."""
COPY_COSINE: Final = 0.985
"""Cosine of openings from which two long answers are copies whatever their words."""
PAIR_PROMPTS: Final = 20
"""Prompts, at least, with long answers of both before two participants are compared."""

GroupSize = Callable[[Float64[np.ndarray, " answers"]], Float64[np.ndarray, " answers"]]
"""From each answer's share of its participant (0: not counted) to the number of participants that count as one with it,
its own included; a fraction where some are only partly redundant."""


def ramp(values: Float64[np.ndarray, " n"], low: float, high: float) -> Float64[np.ndarray, " n"]:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    clipped: Float64[np.ndarray, " n"] = np.clip((values - low) / (high - low), 0, 1)
    return clipped


def comparable(measures: Measures) -> Bool[np.ndarray, " answers"]:
    """Which answers can be copies: long ones that are compared by meaning.

    Short facts agree word by word, and that is no copying. Where a key is counted no text is a copy of another: two that lead
    to one number by the same steps agree, and two that lead to different ones do not.
    """
    long: Bool[np.ndarray, " answers"] = measures.lengths.long & ~measures.by_key
    return long


def redundancy(measures: Measures, admitted: Bool[np.ndarray, " answers"]) -> Float64[np.ndarray, " pairs"]:
    """How far the answers of each pair count as one, 0..1; 1 for the samples of one participant.

    max(ramp(F1), [cosine of openings >= .985]) of two comparable answers that do not contradict one another, or the redundancy
    of their participants over the round, whichever is more; 0 where one is not admitted. Without guards only a participant's own answers count.
    """
    own: Float64[np.ndarray, " pairs"] = measures.same_participant
    if measures.for_gates is None:
        return own
    pairs = measures.pairs
    both = admitted[pairs.left] & admitted[pairs.right]
    candidates = comparable(measures)
    compared = both & candidates[pairs.left] & candidates[pairs.right]
    copies = np.where(compared & ~measures.contradict, _same_text(measures.f1, measures.opening_cosine), 0)
    alike = np.where(both, _participants_alike(measures, compared), 0)
    most: Float64[np.ndarray, " pairs"] = np.maximum(np.maximum(copies, alike), own)
    return most


def redundancy_in_support(
    measures: Measures,
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    redundant: Float64[np.ndarray, " pairs"],
) -> Float64[np.ndarray, " pairs"]:
    """How far the answers of each pair give each other no support, 0..1: their redundancy, and what short ones repeat.

    Short answers that say what others say keep their votes, since facts agree word for word. Where most, by votes, have
    more to say, they are no support, nor have any from it.
    """
    if measures.for_gates is None:
        return redundant
    pairs, lengths = measures.pairs, measures.lengths
    short = admitted & ~lengths.long & ~measures.by_key & lengths.mostly_long(votes)[pairs.pool]
    at = np.flatnonzero((short[pairs.left] & admitted[pairs.right]) | (short[pairs.right] & admitted[pairs.left]))
    found = redundant.copy()
    found[at] = np.maximum(redundant[at], _same_text(measures.f1[at], measures.opening_cosine[at]))
    return found


def _same_text(f1: Float64[np.ndarray, " n"], opening_cosine: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    same: Float64[np.ndarray, " n"] = np.maximum(ramp(f1, *REDUNDANT_F1), opening_cosine >= COPY_COSINE)
    return same


def unusual_repeats(
    measures: Measures, admitted: Bool[np.ndarray, " answers"], redundant: Float64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " answers"]:
    """Other participants that an answer repeats here and does not usually repeat, each by how far: 0 for an answer of its own.

    Usually: mean redundancy of the two over the round. Participants that are alike everywhere are no surprise anywhere.
    """
    pairs = measures.pairs
    both = admitted[pairs.left] & admitted[pairs.right]
    _, usual = _over_the_round(measures, both, redundant)
    beyond = np.where(both, np.maximum(redundant - usual, 0), 0) * (1 - measures.same_participant)
    return pairs.total(beyond * participant_shares(measures, admitted)[pairs.right])


def _participants_alike(measures: Measures, compared: Bool[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    """ramp(mean cosine of the openings of two participants over the prompts where their answers are compared)."""
    prompts, mean = _over_the_round(measures, compared, measures.opening_cosine)
    alike: Float64[np.ndarray, " pairs"] = ramp(np.where(prompts >= PAIR_PROMPTS - SLACK, mean, 0), *REDUNDANT_PAIR)
    return alike


def _over_the_round(
    measures: Measures, counted: Bool[np.ndarray, " pairs"], values: Float64[np.ndarray, " pairs"]
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Of each pair's two participants: prompts with counted pairs, and the mean of `values` over them, each counting once."""
    couple = measures.couple
    part = np.where(counted, _part_of_prompt(measures, counted), 0.0)
    prompts = np.bincount(couple, weights=part)
    mean = np.bincount(couple, weights=part * values) / np.maximum(prompts, 1)
    return prompts[couple], mean[couple]


def _part_of_prompt(measures: Measures, counted: Bool[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    """1 over the counted pairs of samples that two participants have on a prompt."""
    left, right = measures.contributor[measures.pairs.left], measures.contributor[measures.pairs.right]
    _, meeting = np.unique(left * (measures.contributor.max(initial=-1) + 1) + right, return_inverse=True)
    return 1 / np.maximum(np.bincount(meeting, weights=counted), 1)[meeting]


def participant_shares(measures: Measures, admitted: Bool[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
    """Share of its participant that each admitted answer is: 1 over its participant's admitted samples; else 0."""
    samples = np.bincount(measures.contributor, weights=admitted)[measures.contributor]
    return np.where(admitted, 1 / np.maximum(samples, 1), 0)


def group_size_by_pairs(measures: Measures, redundant: Float64[np.ndarray, " pairs"]) -> GroupSize:
    """Group sizes by the mean redundancy with each participant's answers."""

    def size(share: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        return measures.pairs.total(redundant * share[measures.pairs.right])

    return size


def votes_of(
    measures: Measures, admitted: Bool[np.ndarray, " answers"], group_size: GroupSize
) -> Float64[np.ndarray, " answers"]:
    """Vote of each answer, 0..1: its share of its participant over its group's size; 0 for one that is not admitted.

    An answer that is not admitted belongs to no group: whoever repeats it keeps the whole vote.
    """
    share = participant_shares(measures, admitted)
    votes: Float64[np.ndarray, " answers"] = share / np.maximum(group_size(share), 1)
    return votes

"""One vote per independent contributor: how far two answers count as one, and what that leaves of each vote.

Source of all constants: earlier work (docs/experiments.md, entry 1), attacks on 200 prompts with 36 models. They hold
for MiniLM's cosines.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from consensus_server.core.consensus.round.measures import Measures
from consensus_server.core.consensus.round.usual import beyond, usual
from consensus_server.core.consensus.rounding import SLACK

REDUNDANT_F1: Final = (0.70, 0.80)
"""F1 of word sets between which two long answers become copies; of honest pairs 99 % lie under .73."""
REDUNDANT_PAIR: Final = (0.86, 0.92)
"""Mean cosine of openings between which two participants become one."""
COPY_COSINE: Final = 0.985
"""Cosine of openings from which two long answers are copies whatever their words."""
UNUSUAL_TEXT: Final = (0.45, 0.64)
"""Part of the way from what is usual in their pool to identity, between which two long answers become copies. At a usual F1 of
.45, as where prompts leave every choice of words, these are the limits above."""
UNUSUAL_PAIR: Final = (0.44, 0.68)
"""The same of two participants' mean cosine, by what is usual in the round: the limits above at a usual cosine of .75."""
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

    By words or openings, of two comparable answers that do not contradict one another and are more alike than is usual in
    their pool; or the redundancy of their participants over the round, whichever is more. 0 where one is not admitted. Without
    guards only a participant's own answers count.
    """
    own: Float64[np.ndarray, " pairs"] = measures.same_participant
    if measures.for_gates is None:
        return own
    pairs = measures.pairs
    both = admitted[pairs.left] & admitted[pairs.right]
    candidates = comparable(measures)
    compared = both & candidates[pairs.left] & candidates[pairs.right]
    copies = np.where(compared & ~measures.contradict, _copies(measures, compared), 0)
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
    unknown = np.zeros(len(at))  # what is usual among the long ones says nothing of them
    same = _same_text(measures.f1[at], measures.opening_cosine[at], unknown, unknown)
    found[at] = np.maximum(redundant[at], same)
    return found


def _copies(measures: Measures, compared: Bool[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    """How far the answers of each pair are one text, by what is usual among the compared answers of their pool.

    Answers that are one text but for case and white space have no part in what is usual: else copies of one text would be.
    """
    pairs, text = measures.pairs, measures.text
    others = compared & (text[pairs.left] != text[pairs.right]) & (measures.same_participant == 0)
    weight = np.where(others, _part_of_prompt(measures, others), 0)
    pool = pairs.pool[pairs.left]
    f1, cosine = (usual(each, weight, pool)[pool] for each in (measures.f1, measures.opening_cosine))
    return _same_text(measures.f1, measures.opening_cosine, f1, cosine)


def _same_text(
    f1: Float64[np.ndarray, " n"],
    opening_cosine: Float64[np.ndarray, " n"],
    usual_f1: Float64[np.ndarray, " n"],
    usual_cosine: Float64[np.ndarray, " n"],
) -> Float64[np.ndarray, " n"]:
    """By words, or by openings, whichever is more: alike by the limits that hold everywhere, and unusually alike."""
    by_words = np.minimum(ramp(f1, *REDUNDANT_F1), ramp(beyond(f1, usual_f1), *UNUSUAL_TEXT))
    same: Float64[np.ndarray, " n"] = np.maximum(by_words, opening_cosine >= copy_cosine(usual_cosine))
    return same


def copy_cosine(usual_cosine: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Cosine of openings from which two long answers are copies, where `usual_cosine` is usual in their pool."""
    limit: Float64[np.ndarray, " n"] = np.maximum(COPY_COSINE, 1 - (1 - UNUSUAL_TEXT[1]) * (1 - usual_cosine))
    return limit


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
    """Of two participants, by the mean cosine of their openings over the prompts where they are compared: their likeness.

    By the limits that hold everywhere, and by what is usual among the round's participants.
    """
    prompts, mean = _over_the_round(measures, compared, measures.opening_cosine)
    known = prompts >= PAIR_PROMPTS - SLACK
    mean = np.where(known, mean, 0)
    unusual = ramp(beyond(mean, _usual_likeness(measures, mean, known)), *UNUSUAL_PAIR)
    alike: Float64[np.ndarray, " pairs"] = np.minimum(ramp(mean, *REDUNDANT_PAIR), unusual)
    return alike


def _usual_likeness(
    measures: Measures, mean: Float64[np.ndarray, " pairs"], known: Bool[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " pairs"]:
    """What is usual of `mean` among the round's pairs of participants, at each pair."""
    once = np.zeros(len(mean))
    once[np.unique(measures.couple, return_index=True)[1]] = 1
    counted = np.where(known & (measures.same_participant == 0), once, 0)
    return usual(mean, counted, np.zeros(len(mean), dtype=np.int64))[np.zeros(len(mean), dtype=np.int64)]


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

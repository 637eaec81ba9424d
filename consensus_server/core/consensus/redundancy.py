"""One vote per independent voice: how far two answers count as one, and what that leaves each of them to say.

Source of all constants: earlier work (docs/experiments.md, entry 1), attacks on 200 prompts with 36 models. They hold
for MiniLM's cosines.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from consensus_server.core.consensus.measures import Cues, Measures
from consensus_server.core.consensus.rounding import SLACK

REDUNDANT_F1: Final = (0.70, 0.80)
"""F1 of word sets between which two long answers become copies; of honest pairs 99 % lie under .73."""
REDUNDANT_PAIR: Final = (0.86, 0.92)
"""Mean cosine of openings between which two participants become one."""
COPY_COSINE: Final = 0.985
"""Cosine of openings from which two long answers are copies whatever their words."""
LONG_CHARS: Final = 80
"""Answers at least this long can be copies. Short facts agree word by word, and that is no cloning."""
PAIR_PROMPTS: Final = 20
"""Prompts, at least, with long answers of both before two participants are compared."""
OVER_LONG_FACTOR: Final = 4
OVER_LONG_CHARS: Final = 4000
"""An answer is over-long beyond 4 times the pool's median by votes, and beyond 4,000 characters."""


Company = Callable[[Float64[np.ndarray, " answers"]], Float64[np.ndarray, " answers"]]
"""Given each answer's part of its participant (0: no voice), how many participants each answer speaks with, itself included."""


def ramp(values: Float64[np.ndarray, " n"], low: float, high: float) -> Float64[np.ndarray, " n"]:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    clipped: Float64[np.ndarray, " n"] = np.clip((values - low) / (high - low), 0, 1)
    return clipped


def redundancy(measures: Measures, admitted: Bool[np.ndarray, " answers"]) -> Float64[np.ndarray, " pairs"]:
    """How far the answers of each pair count as one voice, 0..1; 1 for the samples of one participant.

    r = max(ramp(F1), [cosine of openings >= .985]) of two long answers, or the redundancy of their participants over
    the round, whichever is more; 0 where one is not admitted. Where a key is counted no text is a copy of another: two that
    lead to one number by the same steps agree, and two that lead to different ones do not. Without cues only a participant's own answers count.
    """
    own: Float64[np.ndarray, " pairs"] = measures.same_participant
    if measures.cues is None:
        return own
    layout = measures.layout
    both = admitted[layout.left] & admitted[layout.right]
    comparable = (measures.length >= LONG_CHARS) & ~measures.by_key
    both_long = both & comparable[layout.left] & comparable[layout.right]
    copies = np.where(both_long, _same_text(measures.f1, measures.cues.opening_cosine), 0)
    alike = np.where(both, _participants_alike(measures, measures.cues, both_long), 0)
    most: Float64[np.ndarray, " pairs"] = np.maximum(np.maximum(copies, alike), own)
    return most


def repeated(
    measures: Measures,
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    redundant: Float64[np.ndarray, " pairs"],
) -> Float64[np.ndarray, " pairs"]:
    """How far the answers of each pair say nothing for each other, 0..1: their redundancy, and what short ones repeat.

    Short answers that say what others say keep their votes, since facts agree word for word. Where most, by votes, have
    more to say, they are no support, nor have any from it.
    """
    if measures.cues is None:
        return redundant
    layout = measures.layout
    short = admitted & (measures.length < LONG_CHARS) & ~measures.by_key & _most_are_long(measures, votes)
    pairs = np.flatnonzero(
        (short[layout.left] & admitted[layout.right]) | (short[layout.right] & admitted[layout.left])
    )
    found = redundant.copy()
    same = _same_text(measures.f1[pairs], measures.cues.opening_cosine[pairs])
    found[pairs] = np.maximum(redundant[pairs], same)
    return found


def _most_are_long(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Bool[np.ndarray, " answers"]:
    """Whether long answers have more than half of the votes in an answer's pool; by votes, for copies are one voice."""
    pool = measures.layout.pool
    long = np.bincount(pool, weights=votes * (measures.length >= LONG_CHARS))
    most: Bool[np.ndarray, " answers"] = (long > np.bincount(pool, weights=votes) / 2 + SLACK)[pool]
    return most


def _same_text(f1: Float64[np.ndarray, " n"], opening_cosine: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    same: Float64[np.ndarray, " n"] = np.maximum(ramp(f1, *REDUNDANT_F1), opening_cosine >= COPY_COSINE)
    return same


def unusual_company(
    measures: Measures, admitted: Bool[np.ndarray, " answers"], redundant: Float64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " answers"]:
    """Other participants that an answer repeats here and does not usually repeat, each by how far: 0 for an answer of its own.

    Usually: mean redundancy of the two over the round. Participants that are alike everywhere are no surprise anywhere.
    """
    layout = measures.layout
    both = admitted[layout.left] & admitted[layout.right]
    _, usual = _over_the_round(measures, both, redundant)
    beyond = np.where(both, np.maximum(redundant - usual, 0), 0) * (1 - measures.same_participant)
    return layout.total(beyond * heads(measures, admitted)[layout.right])


def _participants_alike(
    measures: Measures, cues: Cues, both_long: Bool[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " pairs"]:
    """ramp(mean cosine of the openings of two participants over the prompts where both are long)."""
    prompts, mean = _over_the_round(measures, both_long, cues.opening_cosine)
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
    left, right = measures.voice[measures.layout.left], measures.voice[measures.layout.right]
    _, meeting = np.unique(left * (measures.voice.max(initial=-1) + 1) + right, return_inverse=True)
    return 1 / np.maximum(np.bincount(meeting, weights=counted), 1)[meeting]


def heads(measures: Measures, admitted: Bool[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
    """Part of its participant that each admitted answer is: 1 over its participant's admitted samples; else 0."""
    samples = np.bincount(measures.voice, weights=admitted)[measures.voice]
    return np.where(admitted, 1 / np.maximum(samples, 1), 0)


def votes(
    measures: Measures,
    admitted: Bool[np.ndarray, " answers"],
    redundant: Float64[np.ndarray, " pairs"],
    spared: Bool[np.ndarray, " answers"],
) -> tuple[Float64[np.ndarray, " answers"], Bool[np.ndarray, " answers"], Float64[np.ndarray, " answers"]]:
    """Vote of each answer, 0..1, whether it is over-long and has lost its vote, and the characters it might have had.

    vote = head / sum over participants of the mean redundancy with their answers (its own: 1). Without cues no answer
    is over-long. A pool that would lose every answer keeps them. spared: answers that may be of any length.
    """

    def company(head: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        return measures.layout.total(redundant * head[measures.layout.right])

    if measures.cues is None:
        vote = votes_of(heads(measures, admitted), company)
        return vote, np.zeros_like(admitted), np.full_like(vote, np.inf)
    return within_length(measures, admitted, company, spared)


def votes_of(head: Float64[np.ndarray, " answers"], company: Company) -> Float64[np.ndarray, " answers"]:
    """Each answer's part of its participant, over the company that it is in, itself included."""
    vote: Float64[np.ndarray, " answers"] = head / np.maximum(company(head), 1)
    return vote


def within_length(
    measures: Measures,
    admitted: Bool[np.ndarray, " answers"],
    company: Company,
    spared: Bool[np.ndarray, " answers"],
) -> tuple[Float64[np.ndarray, " answers"], Bool[np.ndarray, " answers"], Float64[np.ndarray, " answers"]]:
    """Votes once the over-long have lost theirs, who they are, and what they might have had.

    An over-long answer is no company either: whoever it repeats keeps the whole vote.
    """
    longest = _longest(measures, votes_of(heads(measures, admitted), company))
    over = admitted & (measures.length > longest) & ~spared
    return votes_of(heads(measures, admitted & ~over), company), over, longest


def _longest(measures: Measures, vote: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
    """Characters an answer may have in its pool, by the lower median of lengths, weighted by votes."""
    pool, starts = measures.layout.pool, measures.layout.starts
    order = np.lexsort((measures.length, vote <= 0, pool))  # those without a vote stand last
    summed = np.cumsum(vote[order])
    before = (summed - vote[order])[starts]
    total = np.bincount(pool, weights=vote)
    lower = (summed - before[pool[order]] < total[pool[order]] / 2 - SLACK).astype(float)
    middle = np.minimum(np.bincount(pool[order], weights=lower).astype(np.int64), measures.layout.sizes - 1)
    median = measures.length[order][starts + middle]
    longest: Float64[np.ndarray, " answers"] = np.maximum(OVER_LONG_FACTOR * median, OVER_LONG_CHARS).astype(float)[
        pool
    ]
    return longest

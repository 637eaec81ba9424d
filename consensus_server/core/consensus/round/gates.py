"""The gates that read the round, and the one table of all gates.

A gate is a function from what is seen of a round to the answers that it keeps out; where several would, the first in the
table gives the name. To add one, write the function and enter it in `GATES`: its sentence, the card and appeals follow.
Honest answers: 1.4 % are kept out. Source of the constants: docs/experiments.md, entry 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float64

from consensus_server.core.consensus.answers.gates import (
    ANSWER_GATES,
    Finding,
    Gate,
    Reads,
    Rejections,
    rejections_of,
)
from consensus_server.core.consensus.round.earlier import Known
from consensus_server.core.consensus.round.measures import GateMeasures, Measures
from consensus_server.core.consensus.round.redundancy import participant_shares
from consensus_server.core.consensus.rounding import SLACK
from consensus_server.core.consensus.words import order, repetition

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
OVER_LONG_FACTOR: Final = 4
OVER_LONG_CHARS: Final = 4000
"""An answer is over-long beyond 4 times the pool's median by votes, and beyond 4,000 characters."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a gate sees of a round."""

    measures: Measures
    admitted: Bool[np.ndarray, " answers"]
    """Which answers no earlier gate kept out."""
    votes: Float64[np.ndarray, " answers"] | None = None
    """Of the admitted ones; None before they are counted."""

    @property
    def for_gates(self) -> GateMeasures:
        """What only gates read. Raises ValueError where it was not measured."""
        if self.measures.for_gates is None:
            raise ValueError("Gates are asked without their measures.")
        return self.measures.for_gates


def _garbage(seen: Seen) -> Finding:
    """Less than 70 % of it can be printed."""
    return _below(seen.for_gates.printable, LEAST_PRINTABLE)


def _below(value: Float64[np.ndarray, " answers"], least: float) -> Finding:
    return Finding(value < least, value, np.full_like(value, least))


def _off_topic(seen: Seen) -> Finding:
    """Far from the prompt, and from the answers near it.

    Where all would be rejected nobody is: there, distance tells about the prompt or the encoder.
    """
    pool, relevance = seen.measures.pairs.pool, seen.for_gates.relevance
    least = _least_relevance(seen)
    far = relevance < least
    rejected = far & ~_excused(seen) & ~_like_topical(seen.measures, seen.admitted & ~far)
    somebody_left = np.bincount(pool, weights=seen.admitted & ~rejected) > 0
    return Finding(rejected & somebody_left[pool], relevance, least)


def _like_topical(measures: Measures, topical: Bool[np.ndarray, " answers"]) -> Bool[np.ndarray, " answers"]:
    """Which answers are like the topical ones, those near the prompt. None in a pool too large for pairs."""
    pairs = measures.pairs
    if not len(measures.opening_cosine):
        return np.zeros_like(topical)
    share = participant_shares(measures, topical)
    others = share[pairs.right] * (1 - measures.same_participant)
    nearness = pairs.total(others * measures.opening_cosine) / np.maximum(pairs.total(others), SLACK)
    count = np.bincount(pairs.pool, weights=share)
    usual = np.bincount(pairs.pool, weights=share * nearness) / np.maximum(count, SLACK)
    like: Bool[np.ndarray, " answers"] = (
        nearness >= np.where(usual > 0, LIKENESS_OF_TOPICAL * usual, np.inf)[pairs.pool]
    )
    return like


def _least_relevance(seen: Seen) -> Float64[np.ndarray, " answers"]:
    """Relevance below which an answer is far: .17, or half the second-best of the pool. Unknown relevance is not below."""
    relevance = seen.for_gates.relevance
    known = np.where(seen.admitted & np.isfinite(relevance), relevance, -1)
    second = np.maximum(_second_best(seen.measures, known), FLOOR_OF_SECOND)
    least: Float64[np.ndarray, " answers"] = np.minimum(LEAST_RELEVANCE, RELEVANCE_OF_SECOND * second)[
        seen.measures.pairs.pool
    ]
    return least


def _excused(seen: Seen) -> Bool[np.ndarray, " answers"]:
    """Short answers, unless more than half of the pool's participants gave long answers near the prompt.

    A right answer of one word may share nothing with its prompt, and a class label recurs from prompt to prompt. Where
    most had more to say, it is the short one that is out of place.
    """
    lengths, share = seen.measures.lengths, participant_shares(seen.measures, seen.admitted)
    near = ~(seen.for_gates.relevance < _least_relevance(seen))
    excused: Bool[np.ndarray, " answers"] = ~lengths.long & ~lengths.mostly_long(share, near)[lengths.pool]
    return excused


def _second_best(measures: Measures, values: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " pools"]:
    """Second-highest value of each pool; -1 in a pool of one."""
    pairs = measures.pairs
    ordered = values[np.lexsort((values, pairs.pool))]
    last = pairs.starts + pairs.sizes - 1
    return np.where(pairs.sizes > 1, ordered[last - (pairs.sizes > 1)], -1)


def _repetitive(seen: Seen) -> Finding:
    """Its participant says the same across prompts, word for word, in at least 35 % of what it says."""
    value = seen.for_gates.repetition
    return Finding((value >= MOST_REPETITION) & ~_excused(seen), value, np.full_like(value, MOST_REPETITION))


def _disordered(seen: Seen) -> Finding:
    """Of the neighbouring words whose order the round knows, less than 65 % stand in it."""
    return _below(seen.for_gates.order, LEAST_ORDER)


def _over_long(seen: Seen) -> Finding:
    """More than 4 times the pool's median length by votes, and more than 4,000 characters."""
    if seen.votes is None:
        raise ValueError("The gate over_long reads votes; it comes after they are counted.")
    longest = _longest(seen.measures, seen.votes)
    characters = seen.measures.lengths.characters.astype(np.float64)
    return Finding(characters > longest, characters, longest)


def _longest(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
    """Characters an answer may have in its pool, by the lower median of lengths, weighted by votes."""
    pool, starts, characters = measures.pairs.pool, measures.pairs.starts, measures.lengths.characters
    by_length = np.lexsort((characters, votes <= 0, pool))  # those without a vote stand last
    summed = np.cumsum(votes[by_length])
    before = (summed - votes[by_length])[starts]
    total = np.bincount(pool, weights=votes)
    lower = (summed - before[pool[by_length]] < total[pool[by_length]] / 2 - SLACK).astype(float)
    middle = np.minimum(np.bincount(pool[by_length], weights=lower).astype(np.int64), measures.pairs.sizes - 1)
    median = characters[by_length][starts + middle]
    longest: Float64[np.ndarray, " answers"] = np.maximum(OVER_LONG_FACTOR * median, OVER_LONG_CHARS).astype(float)[
        pool
    ]
    return longest


GATES: Final[Mapping[str, Gate[Any]]] = MappingProxyType(
    {
        **ANSWER_GATES,
        "garbage": Gate(
            _garbage,
            Reads.ROUND,
            "{measured:.0%} of its characters can be printed; it takes {limit:.0%}.",
            constants={"least_printable": LEAST_PRINTABLE},
        ),
        "off_topic": Gate(
            _off_topic,
            Reads.ROUND,
            "It is as close to the prompt as {measured:.3f} (cosine); in this pool it takes {limit:.3f}.",
            constants={
                "least_relevance": LEAST_RELEVANCE,
                "relevance_of_second": RELEVANCE_OF_SECOND,
                "floor_of_second": FLOOR_OF_SECOND,
                "likeness_of_topical": LIKENESS_OF_TOPICAL,
            },
        ),
        "repetitive": Gate(
            _repetitive,
            Reads.ROUND,
            "{measured:.0%} of what its participant says recurs across prompts; less than {limit:.0%} may.",
            constants={
                "most_repetition": MOST_REPETITION,
                "repetition_unit_chars": repetition.UNIT_CHARS,
                "repetition_prompts": repetition.RECURS_IN,
                "repetition_prompt_share": repetition.RECURS_IN_SHARE,
            },
        ),
        "disordered": Gate(
            _disordered,
            Reads.ROUND,
            "{measured:.0%} of its neighbouring words stand in the order in which others write them; it takes {limit:.0%}.",
            constants={
                "least_order": LEAST_ORDER,
                "least_order_pairs": order.LEAST_PAIRS,
                "order_read_words": order.READ_WORDS,
            },
        ),
        "over_long": Gate(
            _over_long,
            Reads.VOTES,
            "It has {measured:.0f} characters; in this pool {limit:.0f} are the most.",
            constants={"over_long_factor": OVER_LONG_FACTOR, "over_long_chars": OVER_LONG_CHARS},
        ),
    }
)
"""Every gate by name, in the order in which they are asked."""


def reject(seen: Seen, known: Known, reads: Reads) -> tuple[Seen, Rejections]:
    """Ask the gates that read that much, one after the other: what is seen once they have judged, and whom they reject.

    Without guards nobody is asked.
    """
    rejections: Rejections = {}
    if seen.measures.for_gates is None:
        return seen, rejections
    for name, gate in GATES.items():
        if gate.reads is not reads:
            continue
        found = gate.find(seen)
        rejected = found.rejected & seen.admitted & ~known.exempt_from(name, seen.measures.participant)
        seen = replace(seen, admitted=seen.admitted & ~rejected)
        rejections |= rejections_of(name, found, rejected)
    return seen, rejections

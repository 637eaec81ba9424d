"""Reliability: how well a participant stands on the round's other prompts, and how far an answer has the trust of its giver.

Source of formulas and constants: earlier work (docs/experiments.md, entry 1), but for how far trust goes: by the number of
independent votes, and not for what several share: docs/decisions/0014.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from consensus_server.core.consensus.round.earlier import REPUTATION_PROMPTS, Known
from consensus_server.core.consensus.round.measures import Measures
from consensus_server.core.consensus.round.redundancy import participant_shares, ramp, unusual_repeats
from consensus_server.core.consensus.round.standing import (
    Standing,
    agreement,
    independent_support,
    pool_mean,
    price_of_length,
    standardised,
)
from consensus_server.core.consensus.rounding import settled

BETA: Final = 2.5
"""A voter's weight is its vote times exp(BETA reliability)."""
LAMBDA: Final = 7.0
"""An answer's score is its standing plus LAMBDA times its participant's reliability."""
SHRINK: Final = 20.0
"""Prompts at which half of a participant's reliability counts."""
HALF_TELLING_VOTES: Final = 7.0
"""Other effective votes in a pool at which half of what it tells about a participant counts."""
SHARED_BY: Final = (1.25, 1.75)
"""Others that unusually repeat an answer, between which it loses its participant's reliability."""
CLEARLY_CENTRAL: Final = 1.0
"""Standard deviations above the middle of its pool from which an answer may be repeated by others and keep all trust."""
MOST_RELIABILITY: Final = 1.0
"""Bound of what prompts and reputation say, on both sides; m votes make m/(m + 7) of it: where eight answer, half. No vote of
eight weighs more than exp(BETA) = 12 times another's, and none is silenced."""


def stand(
    measures: Measures,
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    redundant: Float64[np.ndarray, " pairs"],
    *,
    reliability: bool,
    length_penalty: float,
    known: Known,
) -> Standing:
    """Independent support of all answers less the price of length, with reliability where it is asked for.

    Reliability is taken twice: once to weigh the voters, and once more of the standing that their weights give.
    redundant: as `redundancy.redundancy_in_support` has it.
    """
    utility = agreement(measures, votes)

    def standing(weight: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        support = independent_support(measures, utility, weight, redundant)
        price = price_of_length(measures, support, admitted, votes, length_penalty)
        return standardised(measures, support - price, admitted)

    def trust(z: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        earned = reliabilities(measures, z, admitted, votes, known)
        return shared_trust(measures, earned, z, votes, own_part)

    z, weight = standing(votes), votes
    of_answer = np.zeros_like(z)
    if reliability:
        own_part = 1 - ramp(unusual_repeats(measures, admitted, redundant), *SHARED_BY)
        weight = votes * np.exp(BETA * trust(z))
        z = standing(weight)
        of_answer = trust(z)
    similarity = independent_support(measures, measures.cosine, weight, redundant)
    return Standing(similarity, of_answer, z + LAMBDA * of_answer, z, weight)


def shared_trust(
    measures: Measures,
    reliability: Float64[np.ndarray, " answers"],
    z: Float64[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    own_part: Float64[np.ndarray, " answers"],
) -> Float64[np.ndarray, " answers"]:
    """The reliability that an answer has: its participant's, or for what several share only `own_part`, 0..1, of it.

    Trust that was earned by answers of one's own may not be spent on an answer that is shared among several; the rest of it
    is then the baseline, the mean reliability of the pool's own answers, at most 0. Where the pool itself supports the
    answer, agreement is what it looks like, and nothing is lost.
    """
    baseline = np.minimum(pool_mean(measures, reliability, votes * own_part), 0)
    loses = (reliability > baseline) & (z < CLEARLY_CENTRAL)
    left: Float64[np.ndarray, " answers"] = np.where(
        loses, reliability * own_part + baseline * (1 - own_part), reliability
    )
    return left


def reliabilities(
    measures: Measures,
    z: Float64[np.ndarray, " answers"],
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    known: Known,
) -> Float64[np.ndarray, " answers"]:
    """Reliability of each answer's participant, from the round's *other* prompts and its reputation: see `shrunk`."""
    participant, contributor = measures.participant, measures.contributor
    share = participant_shares(measures, admitted)
    prompts = np.bincount(participant, weights=share)[participant]
    others = prompts - np.bincount(contributor, weights=share)[contributor]

    def elsewhere(values: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        here = np.bincount(contributor, weights=share * values)[contributor]
        total = np.bincount(participant, weights=share * values)[participant]
        mean: Float64[np.ndarray, " answers"] = (total - here) / np.maximum(others, 1)
        return mean

    here = telling(measures, votes)
    told = np.where(others > 0.5, elsewhere(here), here)  # noqa: PLR2004 - whole prompts; a reputation counts in a round of one, too
    carried = known.mean[participant], known.prompts[participant]
    return shrunk(elsewhere(z), prompts, *carried, told, in_full=known.in_full)


def telling(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
    """m / (m + 7), 0..1, for the m other effective votes of each answer's pool: how far centrality there tells quality.

    The reliability of the mean of m judges (Spearman 1910; Brown 1910), each of which alone has 1/8.
    """
    others = np.maximum(np.bincount(measures.pairs.pool, weights=votes) - 1, 0)
    share: Float64[np.ndarray, " answers"] = (others / (others + HALF_TELLING_VOTES))[measures.pairs.pool]
    return share


def shrunk(
    mean: Float64[np.ndarray, " n"],
    prompts: Float64[np.ndarray, " n"],
    reputation: Float64[np.ndarray, " n"],
    behind: Float64[np.ndarray, " n"],
    told: Float64[np.ndarray, " n"],
    *,
    in_full: bool = False,
) -> Float64[np.ndarray, " n"]:
    """told x (n mean + c reputation) / (n + c + 20), the fraction within -1..1: what `n` prompts show, and what is carried on.

    c = min(prompts behind the reputation, 20, n): a reputation never counts more than what the round itself shows; all
    prompts behind it where it counts `in_full`. `mean`, `reputation`: mean z, in standard deviations of a pool. told: mean of
    `telling` over the prompts, 0..1.
    """
    carried = behind if in_full else np.minimum(np.minimum(behind, REPUTATION_PROMPTS), prompts)
    value = (mean * prompts + reputation * carried) / (prompts + carried + SHRINK)
    bounded: Float64[np.ndarray, " n"] = told * np.clip(value, -MOST_RELIABILITY, MOST_RELIABILITY)
    return bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantStanding:
    """How a participant came out of a round, over all its prompts."""

    participant: str
    mean: float
    """Mean z of its admitted answers; 0 is the middle of the pools."""
    prompts: int
    """Prompts with an admitted answer of it."""
    prior_mean: float
    prior_prompts: float
    """Prompts behind its reputation when the round began; 0 for a newcomer."""
    reliability: float
    """What both give together, -1..1."""


def participant_standings(
    measures: Measures,
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    z: Float64[np.ndarray, " answers"],
    *,
    known: Known,
    names: Sequence[str],
) -> tuple[ParticipantStanding, ...]:
    """One for each participant that has an answer in the round, by name. names: at the participants' numbers."""
    share = participant_shares(measures, admitted)
    prompts = settled(np.bincount(measures.participant, weights=share, minlength=len(names)))

    def over_prompts(values: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " participants"]:
        total = np.bincount(measures.participant, weights=share * values, minlength=len(names))
        return settled(total / np.maximum(prompts, 1))

    mean = over_prompts(z)
    told = over_prompts(telling(measures, votes))
    reliability = shrunk(mean, prompts, known.mean, known.prompts, told, in_full=known.in_full)
    columns = zip(names, mean, prompts, known.mean, known.prompts, settled(reliability), strict=True)
    return tuple(
        ParticipantStanding(
            participant=name,
            mean=float(own),
            prompts=round(float(count)),
            prior_mean=float(prior),
            prior_prompts=float(behind),
            reliability=float(both),
        )
        for name, own, count, prior, behind, both in columns
    )

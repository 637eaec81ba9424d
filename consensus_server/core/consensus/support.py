"""How well an answer stands in its pool: independent support, and the reliability that a round lends to participants.

Source of formulas and constants: earlier work (docs/experiments.md, entry 1). Of this repository are the price of
length, what words count (decision 0015), that one wording counts more (0017), and how far trust goes: by the number of
voices, not to copies (0014, 0016).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.background import CARRIED_PROMPTS, Known
from consensus_server.core.consensus.guards import Refusal
from consensus_server.core.consensus.measures import Measures
from consensus_server.core.consensus.redundancy import LONG_CHARS, heads, ramp, unusual_company
from consensus_server.core.consensus.rounding import SLACK, settled

SCALE_COSINE: Final = 9.28
SCALE_WORDS: Final = 12.22
"""1 / spread of the off-diagonal cosines, and 2 / spread of the coverages, after each prompt's mean is removed: words count
twice (decision 0015). Constants, never re-estimated."""
SCALE_WORDING: Final = 12.22
"""What one wording of a short answer adds to the agreement of two: as much as words can, so that of three that differ in
nothing else two who choose the same words always win (decision 0017)."""
BETA: Final = 2.5
"""A voter's weight is its vote times exp(BETA reliability)."""
LAMBDA: Final = 7.0
"""An answer's score is its standing plus LAMBDA times its participant's reliability."""
SHRINK: Final = 20.0
"""Prompts at which half of a participant's reliability counts."""
VOICES: Final = 7.0
"""Other independent voices in a pool at which half of what it tells about a participant counts."""
SHARED_OUT: Final = (1.25, 1.75)
"""Others that unusually repeat an answer, between which it loses what its participant's reliability would lend it."""
CLEARLY_CENTRAL: Final = 1.0
"""Standard deviations above the middle of its pool from which an answer may be repeated by others and keep all trust."""
SHRINK_LENGTH: Final = 160.0
"""Answers at which half of a round's effect of length counts: twenty pools of eight."""
MOST_RELIABILITY: Final = 1.0
"""Bound of what prompts and name say, on both sides; m voices make m/(m + 7) of it: where eight answer, half. No voice of
eight weighs more than exp(BETA) = 12 times another's, and none is silenced."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the round says about each answer."""

    similarity: Float64[np.ndarray, " answers"]
    """Mean cosine to the independent rest of the pool, by their voices, -1..1; 0 where nobody is independent."""
    reliability: Float64[np.ndarray, " answers"]
    """What its participant lends it, from all other prompts; in standard deviations."""
    score: Float64[np.ndarray, " answers"]
    """What the rules `fused` and `hybrid` compare within a pool."""
    z: Float64[np.ndarray, " answers"]
    """Support standardised within the pool: 0 is its middle."""
    voice: Float64[np.ndarray, " answers"]
    """Vote times exp(BETA reliability), reliability as it was before voters were trusted by it."""

    def columns(self) -> tuple[Float64[np.ndarray, " answers"], ...]:
        """In the order in which `Standing` takes them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def at(self, rows: Int64[np.ndarray, " some"]) -> "Standing":
        """The same of some answers, or in another order."""
        return Standing(*(column[rows] for column in self.columns()))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The same for all answers of a round, in the order of its measures."""

    admitted: Bool[np.ndarray, " answers"]
    refusals: dict[int, Refusal]
    """By row."""
    votes: Float64[np.ndarray, " answers"]
    standing: Standing


def standing(
    measures: Measures,
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    redundant: Float64[np.ndarray, " pairs"],
    *,
    reliability: bool,
    known: Known,
    length_penalty: float = 0.0,
) -> Standing:
    """Fused centrality of all answers less the penalty on length, with reliability where it is asked for.

    redundant: as `redundancy.repeated` has it.
    length_penalty: share, 0..2, of the round's own effect of length that is taken from answers beyond their pool's mean.
    """
    utility = SCALE_COSINE * measures.cosine + SCALE_WORDS * measures.coverage
    utility += SCALE_WORDING * _agreed(measures, votes)
    support = independent_support(measures, utility, votes, redundant)
    z = standardised(measures, support - length_price(measures, support, admitted, votes, length_penalty), admitted)
    trust, voice = np.zeros_like(z), votes
    if reliability:
        kept = 1 - ramp(unusual_company(measures, admitted, redundant), *SHARED_OUT)
        earned = reliabilities(measures, z, admitted, votes, known)
        voice = votes * np.exp(BETA * lent(measures, earned, z, votes, kept))
        support = independent_support(measures, utility, voice, redundant)
        z = standardised(measures, support - length_price(measures, support, admitted, votes, length_penalty), admitted)
        trust = lent(measures, reliabilities(measures, z, admitted, votes, known), z, votes, kept)
    similarity = independent_support(measures, measures.cosine, voice, redundant)
    return Standing(similarity, trust, z + LAMBDA * trust, z, voice)


def _agreed(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Bool[np.ndarray, " pairs"]:
    """Whether two short answers are one text, for which half of their pool's votes stand.

    Who chooses the same words for a fact agrees with it more than who covers them. Fewer than half gain nothing by it.
    """
    layout = measures.layout
    behind = np.bincount(measures.text, weights=votes)[measures.text]
    half = np.bincount(layout.pool, weights=votes)[layout.pool] / 2
    chosen = (measures.length < LONG_CHARS) & (behind >= half - SLACK)
    agreed: Bool[np.ndarray, " pairs"] = (
        (measures.text[layout.left] == measures.text[layout.right]) & chosen[layout.left] & chosen[layout.right]
    )
    return agreed


def lent(
    measures: Measures,
    reliability: Float64[np.ndarray, " answers"],
    z: Float64[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    kept: Float64[np.ndarray, " answers"],
) -> Float64[np.ndarray, " answers"]:
    """What a participant's reliability lends its answer: all of it, or `kept`, 0..1, where the pool does not stand behind it.

    Whoever earned trust by answers of its own may not spend it on one that is shared out among several: that counts as
    anybody's, and for the rest of its trust it gets the mean of the pool's own voices, at most 0. Where the pool itself
    supports the answer, agreement is what it looks like.
    """
    anybodys = np.minimum(_pool_mean(measures, reliability, votes * kept), 0)
    shared_out = (reliability > anybodys) & (z < CLEARLY_CENTRAL)
    left: Float64[np.ndarray, " answers"] = np.where(
        shared_out, reliability * kept + anybodys * (1 - kept), reliability
    )
    return left


def independent_support(
    measures: Measures,
    utility: Float64[np.ndarray, " pairs"],
    votes: Float64[np.ndarray, " answers"],
    redundant: Float64[np.ndarray, " pairs"],
) -> Float64[np.ndarray, " answers"]:
    """sum_j v_j (1 - r_ij) u_ij / sum_j v_j (1 - r_ij): copies do not support each other. 0 where nobody is left."""
    voice = (1 - redundant) * votes[measures.layout.right]
    total = measures.layout.total(voice)
    return np.where(total > 1e-6, measures.layout.total(utility * voice) / np.maximum(total, 1e-9), 0)  # noqa: PLR2004 - as the source has it


def length_price(
    measures: Measures,
    support: Float64[np.ndarray, " answers"],
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    length_penalty: float,
) -> Float64[np.ndarray, " answers"]:
    """What an answer's support loses for its length: penalty x effect x (log(characters + 20) beyond the pool's mean).

    Long answers cover more words of the others and so look more central than they are. The effect, support for each
    e-fold of length, is the least-squares slope over the round within pools, shrunk by n/(n + 160) for its n answers,
    a participant's samples counting as one; a falling one counts as 0. Brevity earns nothing: else an answer of one
    word would gain more by it than by being right. Judged answers play no part in it.
    """
    if length_penalty == 0:
        return np.zeros_like(support)
    log_length, weight = np.log(measures.length + 20.0), heads(measures, admitted)
    x, y = (_within_pools(measures, each, weight) for each in (log_length, support))
    answers, spread = weight.sum(), (weight * x * x).sum()
    if spread <= 0:
        return np.zeros_like(support)
    effect = max(float((weight * x * y).sum() / spread), 0.0) * answers / (answers + SHRINK_LENGTH)
    excess = np.maximum(_within_pools(measures, log_length, np.where(admitted, votes, 0)), 0)
    price: Float64[np.ndarray, " answers"] = length_penalty * effect * excess
    return price


def _within_pools(
    measures: Measures, values: Float64[np.ndarray, " answers"], weight: Float64[np.ndarray, " answers"]
) -> Float64[np.ndarray, " answers"]:
    """`values` less their weighted mean over the pool."""
    away: Float64[np.ndarray, " answers"] = values - _pool_mean(measures, values, weight)
    return away


def _pool_mean(
    measures: Measures, values: Float64[np.ndarray, " answers"], weight: Float64[np.ndarray, " answers"]
) -> Float64[np.ndarray, " answers"]:
    """Weighted mean of `values` over each answer's pool; 0 where nothing has weight."""
    pool = measures.layout.pool
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
    pool, head = measures.layout.pool, heads(measures, admitted)
    count = np.maximum(np.bincount(pool, weights=head), 1)
    away = values - (np.bincount(pool, weights=head * values) / count)[pool]
    spread = np.sqrt(np.bincount(pool, weights=head * away**2) / count) + 1e-9
    return np.where(admitted, away / spread[pool], 0)


def reliabilities(
    measures: Measures,
    z: Float64[np.ndarray, " answers"],
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    known: Known,
) -> Float64[np.ndarray, " answers"]:
    """Reliability of each answer's participant, from the round's *other* prompts and its name: see `trusted`."""
    participant = measures.participant
    head = heads(measures, admitted)
    prompts = np.bincount(participant, weights=head)[participant]
    others = prompts - np.bincount(measures.voice, weights=head)[measures.voice]

    def elsewhere(values: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        here = np.bincount(measures.voice, weights=head * values)[measures.voice]
        total = np.bincount(participant, weights=head * values)[participant]
        mean: Float64[np.ndarray, " answers"] = (total - here) / np.maximum(others, 1)
        return mean

    here = telling(measures, votes)
    told = np.where(others > 0.5, elsewhere(here), here)  # noqa: PLR2004 - whole prompts; a name counts in a round of one, too
    return trusted(elsewhere(z), prompts, known.mean[participant], known.prompts[participant], told)


def telling(measures: Measures, votes: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
    """m / (m + 7), 0..1, for the m other independent voices of each answer's pool: how far centrality there tells quality.

    The reliability of the mean of m judges (Spearman 1910; Brown 1910), each of which alone has 1/8.
    """
    others = np.maximum(np.bincount(measures.layout.pool, weights=votes) - 1, 0)
    share: Float64[np.ndarray, " answers"] = (others / (others + VOICES))[measures.layout.pool]
    return share


def trusted(
    mean: Float64[np.ndarray, " n"],
    prompts: Float64[np.ndarray, " n"],
    prior: Float64[np.ndarray, " n"],
    behind: Float64[np.ndarray, " n"],
    told: Float64[np.ndarray, " n"],
) -> Float64[np.ndarray, " n"]:
    """told x (n mean + c prior) / (n + c + 20), the fraction within -1..1: what `n` prompts show, and what the name carries.

    c = min(prompts behind the name, 20, n): a name never counts more than what the round itself shows. `mean`, `prior`:
    mean z, in standard deviations of a pool. told: mean of `telling` over the prompts, 0..1.
    """
    carried = np.minimum(np.minimum(behind, CARRIED_PROMPTS), prompts)
    shrunk = (mean * prompts + prior * carried) / (prompts + carried + SHRINK)
    bounded: Float64[np.ndarray, " n"] = told * np.clip(shrunk, -MOST_RELIABILITY, MOST_RELIABILITY)
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
    """Prompts behind its name when the round began; 0 for a newcomer."""
    reliability: float
    """What both give together, -1..1."""


def participant_standings(
    measures: Measures, verdict: Verdict, known: Known, names: Sequence[str]
) -> tuple[ParticipantStanding, ...]:
    """One for each participant that has an answer in the round, by name. names: at the participants' numbers."""
    head = heads(measures, verdict.admitted)
    prompts = settled(np.bincount(measures.participant, weights=head, minlength=len(names)))

    def over_prompts(values: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " participants"]:
        total = np.bincount(measures.participant, weights=head * values, minlength=len(names))
        return settled(total / np.maximum(prompts, 1))

    mean, told = over_prompts(verdict.standing.z), over_prompts(telling(measures, verdict.votes))
    reliability = settled(trusted(mean, prompts, known.mean, known.prompts, told))
    columns = zip(names, mean, prompts, known.mean, known.prompts, reliability, strict=True)
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

"""Confidence scores by name: how far a pool agrees with its pick, 0 (not at all) to 1.

A label from a pool of one participant, however many its samples, has confidence 0 under every score: nobody else agreed
with it. (Its share is 1, and a score read off the share would call the weakest label of a round the surest.)
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float64
from scipy.special import entr

from consensus_server.core.consensus.answers.centrality import mean_cosine
from consensus_server.core.consensus.contested import most_confidence
from consensus_server.core.consensus.errors import UnknownConfidence
from consensus_server.core.consensus.evidence import evidence_of, heard
from consensus_server.core.consensus.picked import Picked
from consensus_server.core.consensus.records import Calibration
from consensus_server.core.consensus.rounding import settled

TRUST: Final = 0.2
"""Cosine that one unit of reliability is worth in `trusted_similarity`; chosen by cross-validation over prompts."""


Confidence = Callable[[Picked], Float64[np.ndarray, " pools"]]


def _dominant_share(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """The pick's cluster's votes over all votes."""
    return picked.shares


def _support_fraction(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """The participants that stand behind the pick, by their votes, over all participants with admitted answers.

    Other than `dominant_share` only where participants give several samples.
    """
    fraction: Float64[np.ndarray, " pools"] = picked.support / picked.tally.pool_votes
    return fraction


def _mean_similarity(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """Mean cosine of the pick to the whole pool by votes, itself included as 1; a negative mean counts as 0.

    Included, because to leave out the giver would make the score depend on which of two givers of one text is named.
    """
    ballot = picked.ballot
    means = mean_cosine(ballot.answers.unit, ballot.votes, ballot.answers.pool)
    similarity: Float64[np.ndarray, " pools"] = means[picked.picks]
    return similarity


def _independent_similarity(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """Mean cosine of the pick to the other participants' answers, those left out that repeat it; by weight.

    In a pool that was judged by itself: to all answers of other participants, by votes. A negative mean counts as 0.
    """
    return _of_the_text(picked, picked.ballot.standing.similarity)


def _trusted_similarity(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """`independent_similarity` plus `TRUST` times the reliability of who gave the pick, kept within 0..1."""
    trusted: Float64[np.ndarray, " pools"] = _independent_similarity(picked) + TRUST * _of_the_text(
        picked, picked.ballot.standing.reliability
    )
    return trusted


def _agreement(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """`trusted_similarity` where answers are long and compared by meaning, else `dominant_share`.

    Of long answers nearly all lie within the clustering distance, so that the share is 1 and tells nothing; of short ones the
    share tells who means the same, and similarity mostly that they speak of the same.
    """
    return np.where(picked.long, _trusted_similarity(picked), _dominant_share(picked))


def _evidence(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """The margin in participants, at most 1: evidence of the pick's meaning less that of the strongest other one."""
    return evidence_of(picked).margin


def _of_the_text(picked: Picked, values: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " pools"]:
    """The value of the picked text: the mean over those who gave it, so that it does not matter which of them is named."""
    _, text = np.unique(picked.ballot.answers.content, return_inverse=True)
    means = np.bincount(text, weights=values) / np.bincount(text)
    of_picks: Float64[np.ndarray, " pools"] = means[text[picked.picks]]
    return of_picks


def _semantic_entropy(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """1 - H(votes by cluster) / H(votes by answer): 1 when all mean the same, 0 when every answer stands alone.

    Source: Farquhar et al., Nature 630 (2024), discrete semantic entropy; there in nats, here normalised by the
    largest value that the pool's votes allow.
    """
    ballot, tally = picked.ballot, picked.tally
    pool = ballot.answers.pool
    total = tally.pool_votes[pool]
    by_cluster = np.bincount(pool, weights=entr(tally.cluster_votes / total))
    by_answer = np.bincount(pool, weights=entr(ballot.votes / total))
    return 1 - np.divide(by_cluster, by_answer, out=np.zeros_like(by_answer), where=ballot.answers.sizes > 1)


CONFIDENCES: Final[Mapping[str, Confidence]] = MappingProxyType(
    {
        "agreement": _agreement,
        "dominant_share": _dominant_share,
        "support_fraction": _support_fraction,
        "mean_similarity": _mean_similarity,
        "independent_similarity": _independent_similarity,
        "trusted_similarity": _trusted_similarity,
        "semantic_entropy": _semantic_entropy,
        "evidence": _evidence,
    }
)


def confidence_named(name: str) -> Confidence:
    """The score of that name. Raises UnknownConfidence, which lists the known ones."""
    if name not in CONFIDENCES:
        raise UnknownConfidence(name, CONFIDENCES)
    return CONFIDENCES[name]


def confidences(picked: Picked, score: Confidence) -> Float64[np.ndarray, " pools"]:
    """The score of each pool's pick, settled, 0..1, and no more than contradictions leave; 0 for a pool of one participant."""
    scores = np.minimum(settled(np.clip(score(picked), 0, 1)), most_confidence(picked))
    return np.where(heard(picked) > 1, scores, 0.0)


def calibrated(scores: Float64[np.ndarray, " pools"], calibration: Calibration | None) -> Float64[np.ndarray, " pools"]:
    """The estimated probabilities, settled; the scores themselves without a calibration. A score of 0 stays 0."""
    if calibration is None:
        return scores
    estimated = np.interp(scores, calibration.scores, calibration.probabilities)
    return np.where(scores > 0, settled(estimated), 0.0)

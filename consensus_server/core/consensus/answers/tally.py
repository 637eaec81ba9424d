"""Votes, counted by cluster."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.table import Answers
from consensus_server.core.consensus.rounding import SLACK, settled


@dataclass(frozen=True, slots=True)
class Tally:
    """What the votes say. Columns over answers hold a cluster's figure at its first row and 0 elsewhere."""

    cluster_votes: Float64[np.ndarray, " answers"]
    """Sum of the votes of the cluster's answers."""
    support: Float64[np.ndarray, " answers"]
    """Sum of the whole votes of the participants at least half of whose answers lie in the cluster, by vote."""
    pool_votes: Float64[np.ndarray, " pools"]
    """All votes of a pool."""
    says: Bool[np.ndarray, " answers"]
    """Whether a cluster, at its first row, has an answer that says something of what is counted."""
    dominant: Bool[np.ndarray, " answers"]
    """Whether an answer lies in a cluster of most votes; several clusters where they tie."""
    tied: Bool[np.ndarray, " pools"]
    """Whether several clusters have the most votes."""


def whole_votes(answers: Answers) -> Float64[np.ndarray, " answers"]:
    """Vote of each answer where nobody's weighs less: one per participant and pool, divided equally among its samples."""
    votes: Float64[np.ndarray, " answers"] = 1.0 / np.bincount(answers.contributor)[answers.contributor]
    return votes


def tally(
    answers: Answers,
    clusters: Int64[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    may_win: Bool[np.ndarray, " answers"],
) -> Tally:
    """Count `votes` by cluster. Sums are settled before they are compared: thrice a third is one.

    may_win: clusters without such an answer are dominant only in a pool that has no other.
    """
    cluster_votes = settled(np.bincount(clusters, weights=votes, minlength=len(clusters)))
    says = np.bincount(clusters, weights=may_win, minlength=len(clusters)) > 0
    running = says | ~np.logical_or.reduceat(may_win, answers.starts)[answers.pool]
    counted = np.where(running, cluster_votes, -1.0)
    winners = running & (counted == np.maximum.reduceat(counted, answers.starts)[answers.pool])
    return Tally(
        cluster_votes=cluster_votes,
        support=_support(answers.contributor, clusters, votes),
        pool_votes=settled(np.bincount(answers.pool, weights=votes)),
        says=says,
        dominant=winners[clusters],
        tied=np.bincount(answers.pool, weights=winners) > 1,
    )


def _support(
    contributor: Int64[np.ndarray, " answers"],
    clusters: Int64[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
) -> Float64[np.ndarray, " answers"]:
    where, whole = witnessed(contributor, clusters, votes)
    support = np.bincount(where, weights=whole, minlength=len(clusters))
    return settled(support.astype(np.float64))  # nobody anywhere: numpy counts nothing in whole numbers


def witnessed(
    contributor: Int64[np.ndarray, " answers"],
    clusters: Int64[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
) -> tuple[Int64[np.ndarray, " found"], Float64[np.ndarray, " found"]]:
    """Clusters in which a participant has at least half of its vote, once for each such participant; its whole vote.

    (Whoever has one of many samples somewhere says little for it: counted as present, sixteen samples would be present in every
    cluster, and a least support would ask for nothing.)
    """
    whole = np.bincount(contributor, weights=votes)
    _, first = np.unique(clusters * len(whole) + contributor, return_index=True)
    found = first[is_sure(contributor, clusters, votes)[first]]
    return clusters[found], whole[contributor[found]]


def is_sure(
    contributor: Int64[np.ndarray, " answers"],
    clusters: Int64[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
) -> Bool[np.ndarray, " answers"]:
    """Whether each answer's participant has at least half of its vote in the answer's cluster."""
    whole = np.bincount(contributor, weights=votes)
    _, at = np.unique(clusters * len(whole) + contributor, return_inverse=True)
    sure: Bool[np.ndarray, " answers"] = 2 * np.bincount(at, weights=votes)[at] >= whole[contributor] - SLACK
    return sure

"""Who contradicts a label: what that leaves of its confidence, and the words that decide between two clusters."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from consensus_server.core.consensus.picked import Picked
from consensus_server.core.consensus.records import Cluster, Contest, Pool
from consensus_server.core.consensus.rounding import settled


def _contesting(picked: Picked) -> Bool[np.ndarray, " answers"]:
    """Answers outside the cluster of the pick that contradict at least half of it."""
    ballot = picked.ballot
    pool = ballot.answers.pool
    carries = ballot.clusters == picked.labels[pool]
    contradicted = ballot.answers.conflicts.hard @ carries.astype(np.int64)
    contesting: Bool[np.ndarray, " answers"] = ~carries & (2 * contradicted >= np.bincount(pool, weights=carries)[pool])
    return contesting


def rival_votes(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """Votes of the strongest other side: of a contesting answer, with those contesting ones that do not contradict it. Settled.

    One side that linkage cut into pieces counts whole; guesses that contradict one another are no side, however many.
    """
    ballot = picked.ballot
    answers, contesting = ballot.answers, _contesting(picked)
    votes = np.where(contesting, ballot.votes, 0)
    agreeing = np.bincount(answers.pool, weights=votes)[answers.pool] - answers.conflicts.hard @ votes
    rivals: Float64[np.ndarray, " pools"] = settled(
        np.maximum.reduceat(np.where(contesting, agreeing, 0.0), answers.starts)
    )
    return rivals


def most_confidence(picked: Picked) -> Float64[np.ndarray, " pools"]:
    """What contradictions leave of a confidence, settled, 0..1.

    The label's votes over these and the contesting ones; and 1 less half of the share of votes that only doubt the pick: a
    finding between them that is not hard, or a hard one that stands alone in the pick's cluster.
    """
    ballot, answers = picked.ballot, picked.ballot.answers
    own, contesting = picked.tally.cluster_votes[picked.labels], _contesting(picked)
    against = settled(np.bincount(answers.pool, weights=np.where(contesting, ballot.votes, 0)))
    doubts = (answers.conflicts.strength[picked.picks] > 0).sum(axis=0) > 0
    doubting = np.where(doubts & ~contesting, ballot.votes, 0)
    doubted = np.bincount(answers.pool, weights=doubting) / (2 * picked.tally.pool_votes)
    return settled(np.minimum(own / (own + against), 1 - doubted))


def contests(pool: Pool, clusters: Sequence[Cluster]) -> tuple[Contest, ...]:
    """The strongest finding between each two clusters of a pool, by clusters; of equal ones the first by its words."""
    cluster_of = {place: i for i, cluster in enumerate(clusters) for place in cluster.members}
    strongest: dict[tuple[int, int], Contest] = {}
    for finding in pool.findings:
        at = cluster_of.get(finding.first), cluster_of.get(finding.second)
        if at[0] is None or at[1] is None or at[0] == at[1]:
            continue
        turned = finding if at[0] < at[1] else finding.turned()
        contest = Contest(min(at[0], at[1]), max(at[0], at[1]), turned)
        key = contest.first, contest.second
        if key not in strongest or _rank(pool, contest) < _rank(pool, strongest[key]):
            strongest[key] = contest
    return tuple(strongest[key] for key in sorted(strongest))


def _rank(pool: Pool, contest: Contest) -> tuple[float, str, str, str]:
    """Strongest first, and an order that does not depend on that of the answers."""
    finding = contest.finding
    return -finding.strength, finding.kind, pool.digests[finding.first], pool.digests[finding.second]

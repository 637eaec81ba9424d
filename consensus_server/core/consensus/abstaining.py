"""Why a pool gets no label: the reasons of `client_kit.vocabulary.Abstention` that a pool with answers can give."""

import numpy as np
from jaxtyping import Bool

from client_kit.vocabulary import Abstention, DecideBy
from consensus_server.core.consensus.confidence import confidence_named, confidences
from consensus_server.core.consensus.contested import rival_votes
from consensus_server.core.consensus.evidence import evidence_of, heard, in_conflict
from consensus_server.core.consensus.picked import Picked
from consensus_server.core.consensus.records import Policy

Reasons = list[tuple[Abstention, Bool[np.ndarray, " pools"]]]
"""Each with the pools that it holds of, the first that counts first."""


def abstentions(picked: Picked, policy: Policy) -> list[str | None]:
    """Why each pool gets no label; None where it gets one."""
    if not policy.abstain:
        return [None] * len(picked.picks)
    reasons = _reasons(picked, policy)
    found = np.select([where for _, where in reasons], [reason.value for reason, _ in reasons], default="")
    return [reason or None for reason in found.tolist()]


def _reasons(picked: Picked, policy: Policy) -> Reasons:
    by_evidence = policy.decide_by == DecideBy.EVIDENCE
    # One that knows is evidence, but not where nobody else was heard.
    alone = heard(picked) == 1 if by_evidence else picked.ballot.answers.sizes == 1
    return [
        (Abstention.SINGLE_ANSWER, alone),
        (Abstention.TIE, picked.tally.tied),
        (Abstention.CONTESTED, rival_votes(picked) >= picked.tally.cluster_votes[picked.labels]),
        *(_too_little_evidence(picked, policy) if by_evidence else _too_little_support(picked, policy)),
        (Abstention.LOW_CONFIDENCE, _uncertain(picked, policy)),
    ]


def _too_little_support(picked: Picked, policy: Policy) -> Reasons:
    """Half a vote of slack: redundancy may cost that much."""
    return [(Abstention.LOW_SUPPORT, picked.support < policy.minimum_support - 0.5)]


def _too_little_evidence(picked: Picked, policy: Policy) -> Reasons:
    evidence = evidence_of(picked)
    weak = (evidence.margin < policy.minimum_margin) | ~picked.tally.says[picked.labels]
    return [(Abstention.CONFLICT, weak & in_conflict(evidence)), (Abstention.LOW_EVIDENCE, weak)]


def _uncertain(picked: Picked, policy: Policy) -> Bool[np.ndarray, " pools"]:
    """Where the score lies below the least one of the policy's calibration."""
    if policy.calibration is None:
        return np.zeros(len(picked.picks), dtype=bool)
    uncertain: Bool[np.ndarray, " pools"] = (
        confidences(picked, confidence_named(policy.confidence)) < policy.calibration.least_score
    )
    return uncertain

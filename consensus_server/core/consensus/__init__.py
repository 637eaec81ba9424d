"""Pure functions from embeddings to a decision: a pseudo-label with its confidence, or an abstention with its reason."""

from consensus_server.core.consensus.calibration import Calibration
from consensus_server.core.consensus.confidence import CONFIDENCES
from consensus_server.core.consensus.decide import decide
from consensus_server.core.consensus.errors import (
    ConsensusError,
    MissingOpenings,
    UnknownConfidence,
    UnknownEquivalence,
    UnknownRule,
)
from consensus_server.core.consensus.pools import Cluster, Decision, Policy, Pool
from consensus_server.core.consensus.rules import RULES

__all__ = [
    "CONFIDENCES",
    "RULES",
    "Calibration",
    "Cluster",
    "ConsensusError",
    "Decision",
    "MissingOpenings",
    "Policy",
    "Pool",
    "UnknownConfidence",
    "UnknownEquivalence",
    "UnknownRule",
    "decide",
]

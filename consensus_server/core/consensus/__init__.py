"""From the answers of a round to its decisions: for each prompt a pseudo-label with its confidence, or an abstention.

Plain arithmetic on frozen records. The rooms, in the order in which `decide` walks through them:

    answers/     the answers as columns: which are long, how near they are, how votes are counted
    words/       what texts say word for word: shared words, their order, what recurs
    round/       what the whole round tells: who is admitted, what a vote weighs, whom to trust
    meaning/     which answers of a pool mean the same
    rules        what picks an answer of a clustered pool
    picked       a pick, with what the votes say of it
    contested    who contradicts it
    confidence   how far the pool agrees with it
    decide       all steps in their order, and abstention
    records      what goes in and what comes out: Policy, Pool, Decision

Where a new part goes: a gate into `round.gates` (`answers.gates` where it reads an answer by itself), an equivalence into
`meaning.equivalences`, a rule into `rules`, a confidence into `confidence`. Each has one table, and a name in the table is all
that the rest asks for. What contradicts comes in with a pool; `core.contradictions` finds it. Under everything: `rounding` (the one precision), `errors`; beside it `constants` (for a round's card).
docs/methods.md has the formulas, step by step, with one pool worked by hand.
"""

from consensus_server.core.consensus.confidence import CONFIDENCES
from consensus_server.core.consensus.decide import decide
from consensus_server.core.consensus.errors import (
    ConsensusError,
    MissingOpenings,
    UnknownConfidence,
    UnknownEquivalence,
    UnknownRule,
)
from consensus_server.core.consensus.records import Calibration, Cluster, Decision, Policy, Pool
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

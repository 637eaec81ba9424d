"""Rules by name: what turns a clustered pool into a pick.

A rule scores every admitted answer and says whether only the answers of the dominant cluster may be picked. The best
score wins, of equal ones the first content digest. To add a rule, write its score and enter it in `RULES`; the
conformance suite in `tests/unit/core` runs on all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.answers import Answers
from consensus_server.core.consensus.errors import UnknownRule
from consensus_server.core.consensus.medoid import closeness_to_geometric_median, mean_cosine
from consensus_server.core.consensus.support import Standing


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a rule sees."""

    answers: Answers
    votes: Float64[np.ndarray, " answers"]
    clusters: Int64[np.ndarray, " answers"]
    """Named by the first row in each."""
    seed: int
    standing: Standing | None = None
    """What the round as a whole says of each answer (`weighing`); None where no rule asked for it."""


Score = Callable[[Ballot], Float64[np.ndarray, " answers"]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to pick."""

    score: Score
    within_dominant: bool
    """Whether the pick must lie in the dominant cluster."""
    equivalence: str | None = None
    """How the rule clusters where a pool's own equivalence is `semantic`; None: as the pool says."""
    round_wide: bool = False
    """Whether its score comes from the round as a whole; it then also decides between tied clusters."""


def _cluster_centrality(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    return mean_cosine(ballot.answers.unit, ballot.votes, ballot.clusters)


def _pool_centrality(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    return mean_cosine(ballot.answers.unit, ballot.votes, ballot.answers.pool)


def _trusted_centrality(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    """By votes times trust; in a huge pool, where nobody is known, by votes."""
    votes = ballot.votes if ballot.standing is None else ballot.standing.voice
    return mean_cosine(ballot.answers.unit, votes, ballot.answers.pool)


def _nearness_to_median(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    return closeness_to_geometric_median(ballot.answers.unit, ballot.votes, ballot.answers.pool)


def independent_centrality(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    """Mean cosine to the rest of the pool, copies of the answer left out: copies never support each other."""
    answers = ballot.answers
    return mean_cosine(answers.unit, ballot.votes, answers.pool, leave_out=answers.content)


def _standing(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    """Independent support by meaning and words, with reliability if the policy says so; in a huge pool by meaning only."""
    return independent_centrality(ballot) if ballot.standing is None else ballot.standing.score


def _lot(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    """1 for the answer that was drawn, else 0: an answer's chance is its part of the votes.

    One number in [0, 1) per pool, from the SHA-256 of seed, prompt and the sorted content digests, falls into one of
    the answers' slots, which lie side by side in the order of digests and are as wide as their votes.
    """
    drawn = np.zeros(len(ballot.votes))
    ends = np.append(ballot.answers.starts, len(ballot.votes))
    for prompt_id, first, end in zip(ballot.answers.prompt_ids, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        slots = np.cumsum(ballot.votes[first:end])
        number = _unit_number(str(ballot.seed), prompt_id, *ballot.answers.digests[first:end])
        drawn[first + min(int(np.searchsorted(slots, number * slots[-1], side="right")), end - first - 1)] = 1
    return drawn


def _length(ballot: Ballot) -> Float64[np.ndarray, " answers"]:
    return np.fromiter(map(len, ballot.answers.texts), dtype=np.float64)


def _unit_number(*parts: str) -> float:
    """A number in [0, 1) that depends on `parts` only."""
    return int.from_bytes(sha256("\n".join(parts).encode()).digest()[:6]) / 2**48


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        # The dominant cluster's medoid.
        "cluster_medoid": Rule(_cluster_centrality, within_dominant=True),
        # The medoid of the whole pool; on unit vectors also the answer nearest the mean embedding, by algebra.
        "medoid": Rule(_pool_centrality, within_dominant=False),
        # The answer nearest the point of least summed distance: less swayed by far answers than the mean. For ablations.
        "geometric_median": Rule(_nearness_to_median, within_dominant=False),
        # The medoid of the whole pool, voters weighted by how well they stand on other prompts. For ablations.
        "weighted_medoid": Rule(_trusted_centrality, within_dominant=False, round_wide=True),
        # Central by meaning and by words, among independent voices. Length helps it: see docs/methods.md.
        "fused": Rule(_standing, within_dominant=False, round_wide=True),
        # The same, picked inside the dominant cluster: the default.
        "hybrid": Rule(_standing, within_dominant=True, round_wide=True),
        # Most votes: by text after folding of case and white space, or by final answer or code where the prompt says so.
        # Ties, and the text that stands for a class, by the fused score.
        "vote": Rule(_standing, within_dominant=True, equivalence="exact", round_wide=True),
        # A seeded draw: the control that every other rule must beat.
        "random": Rule(_lot, within_dominant=False),
        # The answer of most characters: what length alone would give, where judges or rules may like it.
        "longest": Rule(_length, within_dominant=False),
    }
)


def rule_named(name: str) -> Rule:
    """The rule of that name. Raises UnknownRule, which lists the known ones."""
    if name not in RULES:
        raise UnknownRule(name, RULES)
    return RULES[name]

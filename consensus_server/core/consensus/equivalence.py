"""When two answers mean the same: one table from the name of an equivalence to the clusters it makes."""

import unicodedata
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers import Answers, codes
from consensus_server.core.consensus.clustering import Neighbours, first_members, meaning_clusters
from consensus_server.core.consensus.code import code_key
from consensus_server.core.consensus.errors import UnknownEquivalence
from consensus_server.core.consensus.final_answers import final_answer
from consensus_server.core.consensus.pools import Policy


@dataclass(frozen=True, slots=True)
class Grouping:
    """What means the same; clusters never reach across pools."""

    clusters: Int64[np.ndarray, " answers"]
    """Cluster of each answer, named by the first row in it."""
    may_win: Bool[np.ndarray, " answers"]
    """False for an answer that says nothing of what is counted: it wins only where nobody says anything."""
    long: Bool[np.ndarray, " pools"]
    """Whether a pool's answers are long and compared by meaning: there nearly all may be one meaning, some better than others."""


Equivalence = Callable[[Answers, Policy, Neighbours], Grouping]


def folded(text: str) -> str:
    """`text` without case, outer white space and differences of inner white space, canonically composed.

    Not compatibility-composed: x² and x2 stay two answers.
    """
    return unicodedata.normalize("NFC", " ".join(text.casefold().split()))


def _code_or_text(text: str) -> Hashable:
    """What does not parse is compared as under `exact`."""
    return code_key(text) or ("exact", folded(text))


KEYS: Final[Mapping[str, Callable[[str], Hashable | None]]] = MappingProxyType(
    {"exact": folded, "final_answer": final_answer, "code": _code_or_text}
)
"""Equivalences that compare a key of each answer: equal keys mean the same; None says nothing that could be compared."""


def _keyed(key: Callable[[str], Hashable | None]) -> Equivalence:
    """Answers of one pool with equal keys. One without a key is alone, and wins over nobody who has one."""

    def group(answers: Answers, _policy: Policy, _neighbours: Neighbours) -> Grouping:
        keys = [key(text) for text in answers.texts]
        apart = [row if each is None else (each,) for row, each in enumerate(keys)]
        clusters = first_members(codes(zip(answers.pool.tolist(), apart, strict=True)))
        may_win = np.array([each is not None for each in keys], dtype=bool)
        return Grouping(clusters, may_win, np.zeros(len(answers.prompt_ids), dtype=bool))

    return group


def semantic(answers: Answers, policy: Policy, neighbours: Neighbours) -> Grouping:
    """Embeddings within the policy's cosine distance, which depends on how long the answers of the pool are."""
    clusters = meaning_clusters(answers, 1 - cut_distances(answers, policy), neighbours)
    return Grouping(clusters, np.ones(len(clusters), dtype=bool), ~are_short(answers, policy))


def cut_distances(answers: Answers, policy: Policy) -> Float64[np.ndarray, " pools"]:
    """Cosine distance at which each pool is cut: `distance_short` where its answers are short, else `distance_long`."""
    return np.where(are_short(answers, policy), policy.distance_short, policy.distance_long)


def are_short(answers: Answers, policy: Policy) -> Bool[np.ndarray, " pools"]:
    """Whether each pool's median answer is under `short_chars`."""
    return median_lengths(answers) < policy.short_chars


def median_lengths(answers: Answers) -> Float64[np.ndarray, " pools"]:
    """Median length of each pool's admitted answers, in characters; between the middle two where there are two."""
    lengths = np.fromiter(map(len, answers.texts), dtype=np.int64)
    ordered = lengths[np.lexsort((lengths, answers.pool))]
    lower = answers.starts + (answers.sizes - 1) // 2
    upper = answers.starts + answers.sizes // 2
    medians: Float64[np.ndarray, " pools"] = (ordered[lower] + ordered[upper]) / 2
    return medians


EQUIVALENCES: Final[Mapping[str, Equivalence]] = MappingProxyType(
    {"semantic": semantic} | {name: _keyed(key) for name, key in KEYS.items()}
)


def equivalence_named(name: str) -> Equivalence:
    """The equivalence of that name. Raises UnknownEquivalence, which lists the known ones."""
    if name not in EQUIVALENCES:
        raise UnknownEquivalence(name, EQUIVALENCES)
    return EQUIVALENCES[name]

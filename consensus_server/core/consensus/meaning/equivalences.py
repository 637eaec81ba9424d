"""When two answers mean the same: one table from the name of an equivalence to the key that it compares, or to meaning."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.table import Answers, codes, first_members
from consensus_server.core.consensus.errors import UnknownEquivalence
from consensus_server.core.consensus.meaning.code import code_key
from consensus_server.core.consensus.meaning.final_answers import final_answer
from consensus_server.core.consensus.meaning.json_values import json_key
from consensus_server.core.consensus.meaning.linkage import Neighbours, semantic_clusters
from consensus_server.core.consensus.meaning.tool_calls import is_calls, of_texts
from consensus_server.core.consensus.meaning.units import Measured
from consensus_server.core.consensus.records import SEMANTIC, Policy
from consensus_server.core.consensus.words.lexical import folded


@dataclass(frozen=True, slots=True)
class Grouping:
    """What means the same; clusters never reach across pools."""

    clusters: Int64[np.ndarray, " answers"]
    """Cluster of each answer, named by the first row in it."""
    may_win: Bool[np.ndarray, " answers"]
    """False for an answer that says nothing of what is counted: it wins only where nobody says anything."""
    long: Bool[np.ndarray, " pools"]
    """Which pools are long and compared by meaning: there nearly all may be one meaning, some better than others."""


def _code_or_text(text: str) -> Hashable:
    """What does not parse is compared as under `exact`."""
    return code_key(text) or ("exact", folded(text))


KEYS: Final[Mapping[str, Callable[[str], Hashable | None]]] = MappingProxyType(
    {"exact": folded, "final_answer": final_answer, "code": _code_or_text, "json": json_key}
)
"""Equivalences that compare a key of each answer: keys that `units.agree` mean the same; None says nothing that could be compared."""

EQUIVALENCES: Final = (SEMANTIC, *KEYS)


def check_equivalence(name: str) -> None:
    """Raises UnknownEquivalence, which lists the known ones."""
    if of_texts(name) not in EQUIVALENCES:
        raise UnknownEquivalence(name, EQUIVALENCES)


@dataclass(frozen=True, slots=True)
class KeyClasses:
    """The answers of a table by one kind of key."""

    classes: Int64[np.ndarray, " answers"]
    """A number, equal for answers of a pool with equal keys. One without a key is alone."""
    has_key: Bool[np.ndarray, " answers"]


def key_classes(answers: Answers, name: str) -> KeyClasses:
    """Read the key of each answer under the equivalence of that name."""
    return classes_of(answers, [KEYS[name](text) for text in answers.texts])


def classes_of(answers: Answers, keys: Sequence[Hashable | None]) -> KeyClasses:
    """The classes that keys make, one key for each answer: equal ones, and amounts that are equal in other units.

    A bare number joins the amount that most participants of its pool give with that number; it is alone where two are level.
    """
    pools = answers.pool.tolist()
    said = [each.amount if isinstance(each, Measured) else each for each in keys]
    meant = _amounts_meant(zip(pools, answers.participant.tolist(), keys, strict=True))
    apart = [
        row if each is None else (meant.get((pool, each), each),)
        for row, (pool, each) in enumerate(zip(pools, said, strict=True))
    ]
    has_key = np.array([each is not None for each in keys], dtype=bool)
    return KeyClasses(codes(zip(pools, apart, strict=True)), has_key)


def _amounts_meant(answers: Iterable[tuple[int, int, Hashable | None]]) -> Mapping[tuple[int, Hashable], str]:
    """The amount that a bare number means, by (pool, number): that of most participants. answers: (pool, participant, key)."""
    votes: dict[tuple[int, Hashable], Counter[str]] = defaultdict(Counter)
    measured = {(pool, participant, key) for pool, participant, key in answers if isinstance(key, Measured)}
    for pool, _, key in sorted(measured):
        votes[pool, key.number][key.amount] += 1
    foremost = {at: each.most_common(2) for at, each in votes.items()}
    return {at: first for at, [(first, most), *rest] in foremost.items() if not rest or most > rest[0][1]}


Meanings = Callable[[Answers, Float64[np.ndarray, " pools"], Neighbours], Int64[np.ndarray, " answers"]]
"""(answers, least similarity by pool, -1..1, index) to the cluster of each answer, named by its first row."""
Keys = Callable[[Answers, Int64[np.ndarray, " some"], str], KeyClasses]
"""(answers, rows, name of an equivalence) to the classes of those rows."""


STATING: Final = ("exact", "final_answer", "json")
"""Equivalences whose key is what an answer states. Programs with other keys may do the same: `code` is none of them."""


def _read_keys(answers: Answers, rows: Int64[np.ndarray, " some"], name: str) -> KeyClasses:
    return key_classes(answers.at(rows), name)


def statements(answers: Answers, keys: Keys = _read_keys) -> Int64[np.ndarray, " answers"]:
    """Each answer by what it states: the first row that states it; -1 where a pool does not compare what is stated.

    An answer that states nothing is alone. keys: as in `group`.
    """
    number = np.full(len(answers.pool), -1)
    names = np.array(answers.equivalences, dtype=object)
    for name in sorted(set(STATING) & set(answers.equivalences)):
        rows = np.flatnonzero((names == name)[answers.pool])
        number[rows] = rows[first_members(keys(answers, rows, name).classes)]
    return number


def group(
    answers: Answers,
    policy: Policy,
    neighbours: Neighbours,
    *,
    instead: str | None = None,
    silent: Bool[np.ndarray, " answers"] | None = None,
    meanings: Meanings = semantic_clusters,
    keys: Keys = _read_keys,
) -> Grouping:
    """Each pool by its own equivalence. instead: what a rule takes where a pool says `semantic`.

    silent: answers that say nothing of what their pool asks, whatever they say: each is alone, and may not win. meanings,
    keys: how clusters of embeddings are found and keys read; a bench has them at hand. Raises UnknownEquivalence.
    """
    names = np.array([_read_by(each, instead) for each in answers.equivalences], dtype=object)
    clusters = np.arange(len(answers.pool))
    speaks = np.ones(len(clusters), dtype=bool) if silent is None else ~silent
    may_win = speaks.copy()
    by_meaning = names == SEMANTIC
    for name in sorted(set(names.tolist())):
        check_equivalence(name)
        for by, rows in _by_kind(answers, np.flatnonzero((names == name)[answers.pool] & speaks), name):
            if by == SEMANTIC:
                part = answers if len(rows) == len(clusters) else answers.at(rows)
                clusters[rows] = rows[meanings(part, least_similarity(part, policy), neighbours)]
                continue
            found = keys(answers, rows, by)
            clusters[rows], may_win[rows] = rows[first_members(found.classes)], found.has_key
    return Grouping(clusters, may_win, by_meaning & answers.lengths(policy.short_chars).long_pools)


def _read_by(name: str, instead: str | None) -> str:
    """The equivalence of that name, or what a rule takes in place of `semantic`; tool calls are read before either."""
    return name.replace(SEMANTIC, instead) if instead and of_texts(name) == SEMANTIC else name


def _by_kind(
    answers: Answers, rows: Int64[np.ndarray, " some"], name: str
) -> list[tuple[str, Int64[np.ndarray, " few"]]]:
    """Rows with the equivalence by which they are compared: all by one, but for the calls of tools among texts."""
    if name == of_texts(name):
        return [(name, rows)]
    called = np.array([is_calls(answers.texts[row]) for row in rows.tolist()], dtype=bool)
    return [(by, some) for by, some in (("exact", rows[called]), (of_texts(name), rows[~called])) if len(some)]


def least_similarity(answers: Answers, policy: Policy) -> Float64[np.ndarray, " pools"]:
    """Mean cosine at which clusters of each pool still merge: 1 less `distance_long` in a long pool, `distance_short` else."""
    long = answers.lengths(policy.short_chars).long_pools
    return 1 - np.where(long, policy.distance_long, policy.distance_short)

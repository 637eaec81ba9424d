"""The answers of a round as one table: columns instead of records, so that arithmetic needs no loop."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int64

from consensus_server.core.consensus.answers.conflicts import Conflicts, conflicts
from consensus_server.core.consensus.answers.lengths import Lengths
from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.records import Pool


@dataclass(frozen=True)
class Answers:
    """One row per answer: pool after pool by (prompt_id, digests), within a pool by (digest, participant, sample).

    The order makes every result independent of the order of arrival: where anything ties, the first row wins. Every pool
    of the table has at least one row.
    """

    names: tuple[str, ...]
    """Of the participants, sorted."""
    prompt_ids: tuple[str, ...]
    """Of each pool: that of its first wording."""
    prompts: tuple[str, ...]
    """Texts of prompts."""
    equivalences: tuple[str, ...]
    """Of each pool: what it means there that two answers mean the same."""
    sources: Int64[np.ndarray, " pools"]
    """Index of each pool among those that were read."""
    pool: Int64[np.ndarray, " answers"]
    """Pool of each answer, ascending without gaps."""
    prompt: Int64[np.ndarray, " answers"]
    """Prompt that each answer is to: an index into `prompts`."""
    places: Int64[np.ndarray, " answers"]
    """Index of each answer in its pool as given."""
    participant: Int64[np.ndarray, " answers"]
    """Index into `names`."""
    content: Int64[np.ndarray, " answers"]
    """A number per pool and content digest."""
    digests: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Float32[np.ndarray, "answers dimension"]
    """As stored."""
    unit: Float64[np.ndarray, "answers dimension"]
    """The vectors at length 1, on the grid of `similarity.unit_vectors`."""
    conflicts: Conflicts
    """Which answers contradict one another."""

    @cached_property
    def starts(self) -> Int64[np.ndarray, " pools"]:
        """First row of each pool."""
        return np.flatnonzero(np.diff(self.pool, prepend=-1))

    @cached_property
    def sizes(self) -> Int64[np.ndarray, " pools"]:
        """Answers of each pool."""
        return np.bincount(self.pool, minlength=len(self.prompt_ids))

    @cached_property
    def contributor(self) -> Int64[np.ndarray, " answers"]:
        """A number per pool and participant: what its samples have in common."""
        return dense(self.pool * len(self.names) + self.participant)

    def lengths(self, short_chars: int) -> Lengths:
        """Which answers and pools are long."""
        return Lengths(self.pool, np.fromiter(map(len, self.texts), dtype=np.int64), short_chars)

    def at(self, rows: Int64[np.ndarray, " some"]) -> "Answers":
        """The table of some rows, in their order, which keeps pools together; pools without a row are left out."""
        if np.array_equal(rows, np.arange(len(self.pool))):
            return self
        pools, pool = np.unique(self.pool[rows], return_inverse=True)
        return replace(
            self,
            prompt_ids=chosen(self.prompt_ids, pools),
            equivalences=chosen(self.equivalences, pools),
            sources=self.sources[pools],
            pool=pool,
            prompt=self.prompt[rows],
            places=self.places[rows],
            participant=self.participant[rows],
            content=dense(self.content[rows]),
            digests=chosen(self.digests, rows),
            texts=chosen(self.texts, rows),
            vectors=self.vectors[rows],
            unit=self.unit[rows],
            conflicts=self.conflicts.at(rows),
        )


def chosen(values: Sequence[str], at: Int64[np.ndarray, " some"]) -> tuple[str, ...]:
    """The values at some indices."""
    return tuple(map(values.__getitem__, at.tolist()))


def dense(numbers: Int64[np.ndarray, " answers"]) -> Int64[np.ndarray, " answers"]:
    """The numbers counted from 0 without gaps, in their order."""
    return np.unique(numbers, return_inverse=True)[1]


def codes(keys: Iterable[Hashable]) -> Int64[np.ndarray, " keys"]:
    """A number for each key, counted from 0 in the order of first appearance."""
    known: dict[Hashable, int] = {}
    return np.fromiter((known.setdefault(key, len(known)) for key in keys), dtype=np.int64)


def first_members(groups: Int64[np.ndarray, " answers"]) -> Int64[np.ndarray, " answers"]:
    """Each answer's group named by the group's first member instead."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return first[inverse]


def in_blocks(pool: Int64[np.ndarray, " answers"], most: int) -> Iterator[slice]:
    """Consecutive rows of whole pools, at most `most` at a time; a larger pool is a block of its own. pool: ascending."""
    ends = np.cumsum(np.unique(pool, return_counts=True)[1]).tolist()
    first = 0
    for end, following in zip(ends, [*ends[1:], np.inf], strict=False):
        if following - first > most:
            yield slice(first, end)
            first = end


def read(pools: Sequence[Pool]) -> Answers:
    """The table of all answers of a round, admitted or not. Raises ValueError where the columns of a pool differ in length."""
    orders = [_order(pool) for pool in pools]
    by_content = sorted((i for i, order in enumerate(orders) if order), key=lambda i: _pool_key(pools[i], orders[i]))
    rows = [(i, place) for i in by_content for place in orders[i]]
    names = sorted({name for pool in pools for name in pool.participants})
    numbers = {name: number for number, name in enumerate(names)}
    digests = tuple(pools[i].digests[place] for i, place in rows)
    pool = np.repeat(np.arange(len(by_content)), [len(orders[i]) for i in by_content])
    vectors = stacked([pools[i].vectors[orders[i]] for i in by_content])
    wordings = [wording for i in by_content for wording in pools[i].wordings]
    first = dict(zip(by_content, np.cumsum([0, *(len(pools[i].wordings) for i in by_content)]).tolist(), strict=False))
    return Answers(
        names=tuple(names),
        prompt_ids=tuple(pools[i].prompt_id for i in by_content),
        prompts=tuple(wording.prompt for wording in wordings),
        equivalences=tuple(pools[i].equivalence for i in by_content),
        sources=np.array(by_content, dtype=np.int64),
        pool=pool,
        prompt=np.array([first[i] + pools[i].wording_of(place) for i, place in rows], dtype=np.int64),
        places=np.array([place for _, place in rows], dtype=np.int64),
        participant=np.array([numbers[pools[i].participants[place]] for i, place in rows], dtype=np.int64),
        content=codes(zip(pool.tolist(), digests, strict=True)),
        digests=digests,
        texts=tuple(pools[i].texts[place] for i, place in rows),
        vectors=vectors,
        unit=unit_vectors(vectors),
        conflicts=_conflicts(pools, rows),
    )


def _conflicts(pools: Sequence[Pool], rows: Sequence[tuple[int, int]]) -> Conflicts:
    """What was found in the pools, by row. rows: (pool, place) of each."""
    row_of = {at: row for row, at in enumerate(rows)}
    found = [(i, finding) for i, pool in enumerate(pools) for finding in pool.findings]
    return conflicts(
        np.array([row_of[i, each.first] for i, each in found], dtype=np.int64),
        np.array([row_of[i, each.second] for i, each in found], dtype=np.int64),
        np.array([each.strength for _, each in found], dtype=np.float64),
        len(rows),
    )


def stacked(parts: Sequence[Float32[np.ndarray, "_size _dimension"]]) -> Float32[np.ndarray, "answers dimension"]:
    """The vectors of pools, one below the other; those of fewer dimensions get zeros, which add nothing to a cosine."""
    most = max((part.shape[1] for part in parts), default=1)
    padded = [part if part.shape[1] == most else np.pad(part, ((0, 0), (0, most - part.shape[1]))) for part in parts]
    return np.concatenate([np.zeros((0, most), dtype=np.float32), *padded])


def _pool_key(pool: Pool, order: Sequence[int]) -> tuple[str, list[str]]:
    return pool.prompt_id, [pool.digests[place] for place in order]


def _order(pool: Pool) -> list[int]:
    """Indices of a pool's answers by (digest, participant, sample)."""
    columns = [pool.participants, pool.samples, pool.texts, pool.digests, pool.vectors]
    lengths = {len(c) for c in (columns if pool.openings is None else [*columns, pool.openings])}
    if len(lengths) > 1:
        raise ValueError(f"The columns of pool {pool.prompt_id!r} differ in length; each needs one entry per answer.")
    keys = list(zip(pool.digests, pool.participants, pool.samples, strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__)

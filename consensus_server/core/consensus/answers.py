"""The admitted answers of many pools as one table: columns instead of records, so that arithmetic needs no loop."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int64

from consensus_server.core.consensus.gates import Candidates, refusals
from consensus_server.core.consensus.pools import Pool
from consensus_server.core.consensus.similarity import unit_vectors


@dataclass(frozen=True)
class Answers:
    """One row per admitted answer: pool after pool, within a pool by (digest, participant, sample).

    The order makes every result independent of the order of arrival: where anything ties, the first row wins.
    Pools are counted over those that have an admitted answer, so that each has at least one row.
    """

    prompt_ids: tuple[str, ...]
    """Of each pool."""
    sources: Int64[np.ndarray, " pools"]
    """Index of each pool among those that were read."""
    pool: Int64[np.ndarray, " answers"]
    """Pool of each answer, ascending."""
    places: Int64[np.ndarray, " answers"]
    """Index of each answer in its pool as given."""
    participant: Int64[np.ndarray, " answers"]
    """A number per pool and participant."""
    content: Int64[np.ndarray, " answers"]
    """A number per pool and content digest."""
    digests: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Float32[np.ndarray, "answers dimension"]
    """As stored."""
    unit: Float64[np.ndarray, "answers dimension"]
    """The same at length 1, on the grid of `similarity.unit_vectors`."""

    @cached_property
    def starts(self) -> Int64[np.ndarray, " pools"]:
        """First row of each pool."""
        return np.flatnonzero(np.diff(self.pool, prepend=-1))

    @cached_property
    def sizes(self) -> Int64[np.ndarray, " pools"]:
        """Admitted answers of each pool."""
        return np.bincount(self.pool, minlength=len(self.prompt_ids))


def codes(keys: Iterable[Hashable]) -> Int64[np.ndarray, " keys"]:
    """A number for each key, counted from 0 in the order of first appearance."""
    known: dict[Hashable, int] = {}
    return np.fromiter((known.setdefault(key, len(known)) for key in keys), dtype=np.int64)


def read(
    pools: Sequence[Pool], refused: Sequence[Mapping[int, str]] | None = None
) -> tuple[Answers, list[dict[int, str]]]:
    """The table of what is admitted, and for each pool the gate of each answer that is not (by index in the pool).

    pools: vectors of one dimension. refused: for each pool the gates that refused before. Raises ValueError where the columns of a pool are not equally long.
    """
    orders = [_order(pool) for pool in pools]
    rows = [(source, place) for source, order in enumerate(orders) for place in order]
    texts = [pools[source].texts[place] for source, place in rows]
    vectors = np.concatenate([pool.vectors[order] for pool, order in zip(pools, orders, strict=True)])
    gates: list[dict[int, str]] = [{} for _ in pools]
    admitted = []
    for row, gate in enumerate(refusals(Candidates(texts, vectors))):
        source, place = rows[row]
        reason = gate or (refused[source].get(place) if refused else None)
        if reason is None:
            admitted.append(row)
        else:
            gates[source][place] = reason
    return _table(pools, [rows[row] for row in admitted], vectors[admitted]), gates


def _order(pool: Pool) -> list[int]:
    """Indices of a pool's answers by (digest, participant, sample)."""
    columns = [pool.participants, pool.samples, pool.texts, pool.digests, pool.vectors]
    lengths = {len(c) for c in (columns if pool.openings is None else [*columns, pool.openings])}
    if len(lengths) > 1:
        raise ValueError(f"The columns of pool {pool.prompt_id!r} differ in length; each needs one entry per answer.")
    keys = list(zip(pool.digests, pool.participants, pool.samples, strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__)


def _table(
    pools: Sequence[Pool], rows: list[tuple[int, int]], vectors: Float32[np.ndarray, "answers dimension"]
) -> Answers:
    source = np.array([source for source, _ in rows], dtype=np.int64)
    sources, pool = np.unique(source, return_inverse=True)
    digests = tuple(pools[s].digests[place] for s, place in rows)
    return Answers(
        prompt_ids=tuple(pools[s].prompt_id for s in sources.tolist()),
        sources=sources,
        pool=pool,
        places=np.array([place for _, place in rows], dtype=np.int64),
        participant=codes((s, pools[s].participants[place]) for s, place in rows),
        content=codes(zip(source.tolist(), digests, strict=True)),
        digests=digests,
        texts=tuple(pools[s].texts[place] for s, place in rows),
        vectors=vectors,
        unit=unit_vectors(vectors),
    )

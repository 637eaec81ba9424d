"""The round as a whole: who is admitted, how much each answer's vote weighs, how well it stands.

Guards, redundancy and reliability look across prompts, so they are settled for all pools of a round before any pool
is decided. Pools are taken in an order of their own: neither their order nor that of answers matters.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers import Answers, read
from consensus_server.core.consensus.background import Background, Known, by_number, nothing_known
from consensus_server.core.consensus.clustering import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.errors import MissingOpenings
from consensus_server.core.consensus.guards import OVER_LONG, Refusal, guarded, printable_share, refusals_of
from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.lexical import overlaps
from consensus_server.core.consensus.measures import Cues, Measures, joined
from consensus_server.core.consensus.pools import Policy, Pool, Reading
from consensus_server.core.consensus.redundancy import redundancy, votes
from consensus_server.core.consensus.repetition import repetition
from consensus_server.core.consensus.similarity import row_cosines, unit_vectors
from consensus_server.core.consensus.support import ParticipantStanding, Standing, participant_standings, standing
from consensus_server.core.consensus.word_order import shares_in_order, word_pairs

_BATCH_ANSWERS = 2**13
"""Most answers measured at once; a larger pool is a batch of its own."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the round says about the answers of one pool, by their place in it; 0 for those not admitted."""

    gates: dict[int, str]
    """Place -> guard that refused."""
    readings: dict[int, Reading]
    """What that guard measured."""
    votes: Float64[np.ndarray, " answers"]
    support: Float64[np.ndarray, " answers"]
    score: Float64[np.ndarray, " answers"]


@dataclass(frozen=True, slots=True)
class Weighing:
    """What the round as a whole says."""

    pools: list[Weighed | None]
    """About each pool, in their order; None for those on which it has no say."""
    participants: tuple[ParticipantStanding, ...] = ()
    """By name; those without an answer that could be measured are left out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The same for all answers of a round, in the order of its measures."""

    admitted: Bool[np.ndarray, " answers"]
    refusals: dict[int, Refusal]
    """By row."""
    votes: Float64[np.ndarray, " answers"]
    standing: Standing


def judge(measures: Measures, *, reliability: bool, length_penalty: float = 0.0, known: Known | None = None) -> Verdict:
    """Admit, weigh and rank the answers of a round; guarded where the measures have cues. known: None for nothing."""
    known = known or nothing_known(int(measures.participant.max(initial=-1)) + 1)
    entitled, refusals = guarded(measures, known)
    redundant = redundancy(measures, entitled)
    vote, over, longest = votes(measures, entitled, redundant, known.spared(OVER_LONG, measures.participant))
    refusals |= refusals_of(OVER_LONG, over, measures.length.astype(np.float64), longest)
    admitted = entitled & ~over
    ranked = standing(
        measures, admitted, vote, redundant, reliability=reliability, known=known, length_penalty=length_penalty
    )
    return Verdict(admitted, refusals, vote, ranked)


def weigh(pools: Sequence[Pool], policy: Policy, background: Background | None = None) -> Weighing:
    """The round's word on its pools, but for those of more than `FULL_MATRIX_ANSWERS` answers.

    Those are too large for a table of pairs: they keep one vote per participant and lend nobody reliability.
    Raises MissingOpenings where the policy guards and a pool lacks what guards read.
    """
    if policy.guards:
        _require_openings(pools)
    order = sorted(
        (i for i, pool in enumerate(pools) if len(pool.texts) <= FULL_MATRIX_ANSWERS),
        key=lambda i: (pools[i].prompt_id, sorted(pools[i].digests)),
    )
    weighed: list[Weighed | None] = [None] * len(pools)
    batches = [(batch, read([pools[i] for i in batch])[0]) for batch in _batches(pools, order)]
    names = sorted({name for pool in pools for name in pool.participants})
    measures = _measured(pools, batches, policy, names)
    if measures is None:
        return Weighing(weighed)
    known = by_number(background or Background(), names)
    verdict = judge(measures, reliability=policy.reliability, length_penalty=policy.length_penalty, known=known)
    source = [i for batch, answers in batches for i in np.array(batch)[answers.sources[answers.pool]].tolist()]
    place = [at for _, answers in batches for at in answers.places.tolist()]
    told = hand_out(verdict, source, place, [len(pool.texts) for pool in pools])
    for i in order:
        weighed[i] = told[i]
    return Weighing(weighed, participant_standings(measures, verdict.standing.z, verdict.admitted, known, names))


def _require_openings(pools: Sequence[Pool]) -> None:
    for pool in pools:
        if pool.texts and (pool.openings is None or pool.prompt_opening is None):
            raise MissingOpenings(pool.prompt_id)


def _batches(pools: Sequence[Pool], order: Sequence[int]) -> list[list[int]]:
    """Indices of pools to be measured together: of one dimension, in `order`."""
    batches: list[list[int]] = []
    alike: dict[int, list[int]] = defaultdict(list)
    for i in order:
        alike[pools[i].vectors.shape[1]].append(i)
    for members in alike.values():
        answers = _BATCH_ANSWERS + 1
        for i in members:
            if answers + len(pools[i].texts) > _BATCH_ANSWERS:
                batches.append([])
                answers = 0
            batches[-1].append(i)
            answers += len(pools[i].texts)
    return batches


def _measured(
    pools: Sequence[Pool], batches: Sequence[tuple[list[int], Answers]], policy: Policy, names: Sequence[str]
) -> Measures | None:
    """Measures of all batches; None where no pool has an answer."""
    numbers = {name: number for number, name in enumerate(names)}
    parts = [_measure([pools[i] for i in batch], answers, numbers) for batch, answers in batches if answers.texts]
    if not parts:
        return None
    measures = joined(parts)
    if not policy.guards:
        return measures
    tables = [(batch, answers) for batch, answers in batches if answers.texts]
    repeated = _repetition(pools, [i for batch, _ in batches for i in batch])
    return replace(measures, cues=_cues(pools, tables, measures, np.array([repeated.get(name, 0.0) for name in names])))


def _repetition(pools: Sequence[Pool], chosen: Sequence[int]) -> dict[str, float]:
    rows = [(i, place) for i in chosen for place in range(len(pools[i].texts))]
    return repetition(
        [pools[i].participants[place] for i, place in rows],
        [pools[i].prompt for i, _ in rows],
        [pools[i].texts[place] for i, place in rows],
        [i for i, _ in rows],
    )


def _measure(pools: Sequence[Pool], answers: Answers, names: dict[str, int]) -> Measures:
    layout = Layout(answers.pool)
    rows = list(zip(answers.sources[answers.pool].tolist(), answers.places.tolist(), strict=True))
    f1, f2 = overlaps(answers.texts, layout)
    return Measures(
        layout=layout,
        participant=np.array([names[pools[source].participants[place]] for source, place in rows], dtype=np.int64),
        length=np.fromiter(map(len, answers.texts), dtype=np.int64),
        cosine=layout.cosines(answers.unit),
        f1=f1,
        f2=f2,
        cues=None,
    )


def _cues(
    pools: Sequence[Pool],
    tables: Sequence[tuple[list[int], Answers]],
    measures: Measures,
    repeated: Float64[np.ndarray, " participants"],
) -> Cues:
    """What the guards read, batch by batch but for word order, which is read across the round."""
    openings = [_opening_figures([pools[i] for i in batch], answers) for batch, answers in tables]
    texts = [text for _, answers in tables for text in answers.texts]
    prompts = [pools[batch[source]].prompt for batch, answers in tables for source in answers.sources.tolist()]
    pool = measures.layout.pool
    return Cues(
        opening_cosine=np.concatenate([cosine for cosine, _ in openings]),
        printable=np.fromiter(map(printable_share, texts), dtype=np.float64),
        relevance=np.concatenate([relevance for _, relevance in openings]),
        repetition=repeated[measures.participant],
        order=shares_in_order(word_pairs(texts, prompts, pool), measures.participant, pool),
    )


def _opening_figures(
    pools: Sequence[Pool], answers: Answers
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " answers"]]:
    """Cosines of the openings of each pair, and of each answer's with its prompt's: nan where that has none."""
    openings, prompts = [], []
    for source in answers.sources.tolist():
        opening, prompt = pools[source].openings, pools[source].prompt_opening
        if opening is None or prompt is None:
            raise MissingOpenings(pools[source].prompt_id)
        openings.append(opening)
        prompts.append(prompt)
    starts = np.cumsum([0, *map(len, openings)])
    unit = unit_vectors(np.concatenate(openings)[starts[answers.pool] + answers.places])
    prompt = unit_vectors(np.stack(prompts))[answers.pool]
    relevance = np.where(prompt.any(axis=1), row_cosines(unit, prompt), np.nan)
    return Layout(answers.pool).cosines(unit), relevance


def hand_out(verdict: Verdict, source: Sequence[int], place: Sequence[int], sizes: Sequence[int]) -> list[Weighed]:
    """The verdict pool by pool. source, place: of each measured answer its pool and its place there; sizes: of the pools."""
    ends = np.cumsum(sizes)
    at = (ends - sizes)[np.array(source, dtype=np.int64)] + np.array(place, dtype=np.int64)
    gates: list[dict[int, str]] = [{} for _ in sizes]
    readings: list[dict[int, Reading]] = [{} for _ in sizes]
    for row, refusal in sorted(verdict.refusals.items()):
        gates[source[row]][place[row]] = refusal.gate
        readings[source[row]][place[row]] = refusal.reading
    columns = []
    for values in (verdict.votes, verdict.standing.support, verdict.standing.score):
        column = np.zeros(int(ends[-1]))
        column[at] = np.where(verdict.admitted, values, 0)
        columns.append(np.split(column, ends[:-1]))
    return [Weighed(*each) for each in zip(gates, readings, *columns, strict=True)]


def rows_of(weighed: Sequence[Weighed], answers: Answers, column: str) -> Float64[np.ndarray, " answers"]:
    """One column of the round's word, in the order of a table of answers."""
    starts = np.cumsum([0, *(len(each.votes) for each in weighed)])
    at: Int64[np.ndarray, " answers"] = starts[answers.sources[answers.pool]] + answers.places
    values: Float64[np.ndarray, " answers"] = np.concatenate([getattr(each, column) for each in weighed])[at]
    return values

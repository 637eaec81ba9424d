"""The round as a whole: who is admitted, how much each answer's vote weighs, how well it stands.

Guards, redundancy and reliability look across prompts, so they are settled for all pools of a round before any pool
is decided. Pools are taken in an order of their own: neither their order nor that of answers matters.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.answers import Answers, codes, read
from consensus_server.core.consensus.background import Background, Known, by_number, nothing_known
from consensus_server.core.consensus.clustering import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.crowds import judge_crowd
from consensus_server.core.consensus.equivalence import folded
from consensus_server.core.consensus.errors import MissingOpenings
from consensus_server.core.consensus.gates import Candidates, refusals
from consensus_server.core.consensus.guards import OVER_LONG, guarded, printable_share, refusals_of
from consensus_server.core.consensus.layout import Layout
from consensus_server.core.consensus.lexical import distinct_words, information, overlaps
from consensus_server.core.consensus.measures import Cues, Measures, joined
from consensus_server.core.consensus.pools import Policy, Pool, Reading
from consensus_server.core.consensus.redundancy import redundancy, repeated, votes
from consensus_server.core.consensus.repetition import repetition
from consensus_server.core.consensus.similarity import row_cosines, unit_vectors
from consensus_server.core.consensus.support import (
    ParticipantStanding,
    Standing,
    Verdict,
    participant_standings,
    standing,
)
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
    standing: Standing


@dataclass(frozen=True, slots=True)
class Weighing:
    """What the round as a whole says."""

    pools: list[Weighed | None]
    """About each pool, in their order; None for those on which it has no say."""
    participants: tuple[ParticipantStanding, ...] = ()
    """By name; whoever has no answer that could be measured stands there with 0 prompts."""


def judge(measures: Measures, *, reliability: bool, length_penalty: float = 0.0, known: Known | None = None) -> Verdict:
    """Admit, weigh and rank the answers of a round; guarded where the measures have cues. known: None for nothing."""
    known = known or nothing_known(int(measures.participant.max(initial=-1)) + 1)
    entitled, refusals = guarded(measures, known)
    redundant = redundancy(measures, entitled)
    vote, over, longest = votes(measures, entitled, redundant, known.spared(OVER_LONG, measures.participant))
    refusals |= refusals_of(OVER_LONG, over, measures.length.astype(np.float64), longest)
    admitted = entitled & ~over
    ranked = standing(
        measures,
        admitted,
        vote,
        repeated(measures, admitted, vote, redundant),
        reliability=reliability,
        known=known,
        length_penalty=length_penalty,
    )
    return Verdict(admitted, refusals, vote, ranked)


def weigh(pools: Sequence[Pool], policy: Policy, background: Background | None = None) -> Weighing:
    """The round's word on its pools.

    Those of more than `FULL_MATRIX_ANSWERS` admitted answers are too large for a table of pairs: they are weighed by `crowds`
    where the policy guards, and not at all where it does not; they lend nobody reliability.
    Raises MissingOpenings where the policy guards and a pool lacks what guards read.
    """
    if policy.guards:
        _require_openings(pools)
    order = sorted(range(len(pools)), key=lambda i: (pools[i].prompt_id, sorted(pools[i].digests)))
    crowded = {i for i in order if _is_crowd(pools[i])}
    small = _tables(pools, _batches(pools, [i for i in order if i not in crowded]))
    large = _tables(pools, [[i] for i in order if i in crowded] if policy.guards else [])
    names = sorted({name for pool in pools for name in pool.participants})
    known = by_number(background or Background(), names)
    parts = _measured(pools, small, names)
    crowds = [_unpaired([pools[i] for i in batch], answers, names) for batch, answers in large]
    cues = _cues(pools, [*small, *large], [*parts, *crowds], len(small), names) if policy.guards else None
    weighed: list[Weighed | None] = [None] * len(pools)
    standings: tuple[ParticipantStanding, ...] = ()
    done = sum(len(part.length) for part in parts)
    if parts:
        measures = replace(joined(parts), cues=cues and cues.first(done))
        verdict = judge(measures, reliability=policy.reliability, length_penalty=policy.length_penalty, known=known)
        _tell(weighed, pools, small, verdict)
        standings = participant_standings(measures, verdict, known, names)
    for (batch, answers), crowd in zip(large, crowds, strict=True):
        measures = replace(crowd, cues=cues and cues.unpaired(done, done + len(crowd.length)))
        openings, _ = _openings([pools[i] for i in batch], answers)
        verdict = judge_crowd(measures, openings, answers.unit, known, policy.length_penalty)
        _tell(weighed, pools, [(batch, answers)], verdict)
        done += len(crowd.length)
    return Weighing(weighed, standings)


def _is_crowd(pool: Pool) -> bool:
    """Whether it is too large for a table of pairs. Answers that show nothing make no pool large."""
    if len(pool.texts) <= FULL_MATRIX_ANSWERS:
        return False
    return refusals(Candidates(pool.texts, pool.vectors)).count(None) > FULL_MATRIX_ANSWERS


def _tables(pools: Sequence[Pool], batches: Sequence[list[int]]) -> list[tuple[list[int], Answers]]:
    """Indices of pools and the table of their answers, where they have any."""
    read_ = [(batch, read([pools[i] for i in batch])[0]) for batch in batches]
    return [(batch, answers) for batch, answers in read_ if answers.texts]


def _tell(
    weighed: list[Weighed | None],
    pools: Sequence[Pool],
    tables: Sequence[tuple[list[int], Answers]],
    verdict: Verdict,
) -> None:
    """Write the verdict on the tables' answers into `weighed`."""
    chosen = [i for batch, _ in tables for i in batch]
    seat = {i: at for at, i in enumerate(chosen)}
    source = [seat[i] for batch, answers in tables for i in np.array(batch)[answers.sources[answers.pool]].tolist()]
    place = [at for _, answers in tables for at in answers.places.tolist()]
    told = hand_out(verdict, source, place, [len(pools[i].texts) for i in chosen])
    for i, each in zip(chosen, told, strict=True):
        weighed[i] = each


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
    pools: Sequence[Pool], tables: Sequence[tuple[list[int], Answers]], names: Sequence[str]
) -> list[Measures]:
    """Answers and their pairs; how much a word says is read across the round."""
    found = distinct_words(text for _, answers in tables for text in answers.texts)
    weight = information(found, _pools_of(tables))
    ends = np.cumsum([0, *(len(answers.texts) for _, answers in tables)]).tolist()
    parts = []
    for (batch, answers), first, end in zip(tables, ends, ends[1:], strict=False):
        unpaired = _unpaired([pools[i] for i in batch], answers, names)
        f1, coverage = overlaps(found.of(np.arange(first, end)), unpaired.layout, weight)
        parts.append(replace(unpaired, cosine=unpaired.layout.cosines(answers.unit), f1=f1, coverage=coverage))
    return parts


def _pools_of(tables: Sequence[tuple[list[int], Answers]]) -> Int64[np.ndarray, " answers"]:
    """A number for the pool of each answer, counted on from table to table."""
    shift = np.cumsum([0, *(len(answers.prompt_ids) for _, answers in tables)])
    return np.concatenate(
        [np.zeros(0, np.int64), *(answers.pool + by for (_, answers), by in zip(tables, shift, strict=False))]
    )


def _unpaired(pools: Sequence[Pool], answers: Answers, names: Sequence[str]) -> Measures:
    """What is measured of each answer alone."""
    numbers = {name: number for number, name in enumerate(names)}
    rows = list(zip(answers.sources[answers.pool].tolist(), answers.places.tolist(), strict=True))
    nothing = np.zeros(0)
    return Measures(
        layout=Layout(answers.pool),
        participant=np.array([numbers[pools[source].participants[place]] for source, place in rows], dtype=np.int64),
        length=np.fromiter(map(len, answers.texts), dtype=np.int64),
        wording=codes(map(folded, answers.texts)),
        by_key=np.array([pools[source].equivalence != "semantic" for source, _ in rows], dtype=bool),
        cosine=nothing,
        f1=nothing,
        coverage=nothing,
        cues=None,
    )


def _repetition(pools: Sequence[Pool], chosen: Sequence[int]) -> dict[str, float]:
    rows = [(i, place) for i in chosen for place in range(len(pools[i].texts))]
    return repetition(
        [pools[i].participants[place] for i, place in rows],
        [pools[i].prompt for i, _ in rows],
        [pools[i].texts[place] for i, place in rows],
        [i for i, _ in rows],
    )


def _cues(
    pools: Sequence[Pool],
    tables: Sequence[tuple[list[int], Answers]],
    parts: Sequence[Measures],
    paired: int,
    names: Sequence[str],
) -> Cues:
    """What the guards read; pairs of openings for the first `paired` tables only.

    Repetition and word order are read across the round.
    """
    figures = [_openings([pools[i] for i in batch], answers) for batch, answers in tables]
    texts = [text for _, answers in tables for text in answers.texts]
    prompts = [pools[batch[source]].prompt for batch, answers in tables for source in answers.sources.tolist()]
    repeated = _repetition(pools, [i for batch, _ in tables for i in batch])
    participant = np.concatenate([np.zeros(0, np.int64), *(part.participant for part in parts)])
    pool = _pools_of(tables)
    return Cues(
        opening_cosine=np.concatenate(
            [
                np.zeros(0),
                *(part.layout.cosines(unit) for part, (unit, _) in zip(parts[:paired], figures, strict=False)),
            ]
        ),
        printable=np.fromiter(map(printable_share, texts), dtype=np.float64),
        relevance=np.concatenate([np.zeros(0), *(relevance for _, relevance in figures)]),
        repetition=np.array([repeated.get(name, 0.0) for name in names])[participant],
        order=shares_in_order(word_pairs(texts, prompts, pool), participant, pool),
    )


def _openings(
    pools: Sequence[Pool], answers: Answers
) -> tuple[Float64[np.ndarray, "answers dimension"], Float64[np.ndarray, " answers"]]:
    """Unit vectors of the answers' openings, and their cosines with their prompts': nan where a prompt has none."""
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
    return unit, np.where(prompt.any(axis=1), row_cosines(unit, prompt), np.nan)


def hand_out(verdict: Verdict, source: Sequence[int], place: Sequence[int], sizes: Sequence[int]) -> list[Weighed]:
    """The verdict pool by pool. source, place: of each measured answer its pool and its place there; sizes: of the pools."""
    ends = np.cumsum(sizes)
    at = (ends - sizes)[np.array(source, dtype=np.int64)] + np.array(place, dtype=np.int64)
    gates: list[dict[int, str]] = [{} for _ in sizes]
    readings: list[dict[int, Reading]] = [{} for _ in sizes]
    for row, refusal in sorted(verdict.refusals.items()):
        gates[source[row]][place[row]] = refusal.gate
        readings[source[row]][place[row]] = refusal.reading

    def by_pool(values: Float64[np.ndarray, " answers"]) -> list[Float64[np.ndarray, " places"]]:
        column = np.zeros(int(ends[-1]))
        column[at] = np.where(verdict.admitted, values, 0)
        return np.split(column, ends[:-1])

    standings = (Standing(*each) for each in zip(*map(by_pool, verdict.standing.columns()), strict=True))
    return [Weighed(*each) for each in zip(gates, readings, by_pool(verdict.votes), standings, strict=True)]


def rows_of(weighed: Sequence[Weighed], answers: Answers) -> tuple[Float64[np.ndarray, " answers"], Standing]:
    """Votes and standings by the round's word, in the order of a table of answers."""
    starts = np.cumsum([0, *(len(each.votes) for each in weighed)])
    at: Int64[np.ndarray, " answers"] = starts[answers.sources[answers.pool]] + answers.places
    columns = zip(*(each.standing.columns() for each in weighed), strict=True)
    whole = Standing(*(np.concatenate(parts) for parts in columns))
    return np.concatenate([each.votes for each in weighed])[at], whole.at(at)

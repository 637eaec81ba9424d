"""The round as a whole: who is admitted, what each answer's vote weighs, how well it stands.

Gates, redundancy and reliability look across prompts, so all answers of a round are judged before any pool is decided.
There is one verdict for each row of the table of answers; decisions index it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.characters import printable_share
from consensus_server.core.consensus.answers.gates import REFUSAL, Candidates, Reads, Rejections, usable_answers
from consensus_server.core.consensus.answers.pairs import FULL_MATRIX_ANSWERS, Pairs
from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.answers.table import Answers, codes, in_blocks, stacked
from consensus_server.core.consensus.answers.tally import whole_votes
from consensus_server.core.consensus.errors import MissingOpenings
from consensus_server.core.consensus.meaning.equivalences import statements
from consensus_server.core.consensus.records import Policy, Pool
from consensus_server.core.consensus.round.earlier import EarlierRounds, Known
from consensus_server.core.consensus.round.gates import Seen, reject
from consensus_server.core.consensus.round.large_pools import copy_groups, group_size_by_groups, stand_in_large_pool
from consensus_server.core.consensus.round.measures import (
    GateMeasures,
    Measures,
    measure,
    measure_for_gates,
    measure_unpaired,
    other_scripts,
    relevance,
)
from consensus_server.core.consensus.round.redundancy import (
    GroupSize,
    group_size_by_pairs,
    redundancy,
    redundancy_in_support,
    votes_of,
)
from consensus_server.core.consensus.round.standing import Standing, standing_alone
from consensus_server.core.consensus.round.trust import ParticipantStanding, participant_standings, stand
from consensus_server.core.consensus.words.lexical import distinct_words, folded
from consensus_server.core.consensus.words.order import word_pairs
from consensus_server.core.consensus.words.repetition import read_units

_BLOCK_VALUES = 2**22
"""Most vector entries looked at at once: 32 MiB an array. A larger pool is a block of its own."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of each answer of a table before its pool is decided. Columns over answers; only admitted ones are read."""

    admitted: Bool[np.ndarray, " answers"]
    rejections: Rejections
    votes: Float64[np.ndarray, " answers"]
    standing: Standing

    def enter(self, rows: Int64[np.ndarray, " some"], part: "Verdict") -> None:
        """Write down, in place, the verdict on some rows."""
        self.admitted[rows] = part.admitted
        self.votes[rows] = part.votes
        for column, values in zip(self.standing.columns(), part.standing.columns(), strict=True):
            column[rows] = values
        self.rejections.update({int(rows[row]): each for row, each in part.rejections.items()})


def _nothing(answers: int, rejections: Rejections) -> Verdict:
    """Of that many answers, before anything but `rejections` is known."""
    columns = (np.zeros(answers) for _ in fields(Standing))
    return Verdict(np.zeros(answers, dtype=bool), dict(rejections), np.zeros(answers), Standing(*columns))


def judge_round(
    answers: Answers,
    pools: Sequence[Pool],
    policy: Policy,
    earlier: EarlierRounds,
    *,
    round_wide: bool,
    drop_refusals: bool = False,
) -> tuple[Verdict, tuple[ParticipantStanding, ...]]:
    """Judge every answer of a round; how each participant came out of it, by name.

    pools: those that `answers` was read from, with openings where the policy guards. round_wide: whether gates or the rule
    read the round; else each pool is judged by itself, and nothing is said of participants. So is, without guards, a pool of
    more than `FULL_MATRIX_ANSWERS` usable answers; with guards it is judged without pairs. Neither says anything of
    participants. drop_refusals: answers that decline are judged as if they had not been given.
    """
    known = earlier.of(answers.names)
    declining = ~known.exempt_from(REFUSAL, answers.participant) if drop_refusals else None
    passed, rejections = usable_answers(Candidates(answers.texts, answers.vectors, declining))
    rows = np.flatnonzero(passed)
    usable = answers.at(rows)
    given = _given(len(passed), rejections)
    guarding = None
    if policy.guards:
        openings, asked = _openings(answers, rows, pools), _prompt_openings(answers, pools)
        guarding = _read_for_gates(answers.at(given), np.searchsorted(given, rows), usable, openings, asked)
    verdict = _nothing(len(passed), rejections)
    standings: tuple[ParticipantStanding, ...] = ()
    # Usable answers only: those that show nothing make no pool large.
    fits = (usable.sizes <= FULL_MATRIX_ANSWERS)[usable.pool] & round_wide
    if fits.any():
        at = np.flatnonzero(fits)
        measures = _measured(usable.at(at), policy, guarding and guarding.at(at))
        part = judge(measures, policy, known)
        verdict.enter(rows[at], part)
        standings = participant_standings(
            measures, part.admitted, part.votes, part.standing.z, known=known, names=answers.names
        )
    for at in _some_pools(usable, np.flatnonzero(~fits), 0 if guarding else _BLOCK_VALUES):
        verdict.enter(rows[at], _judge_apart(usable.at(at), policy, guarding and guarding.at(at), known))
    return verdict, standings


def _given(answers: int, rejections: Rejections) -> Int64[np.ndarray, " given"]:
    """All rows but refusals."""
    refused = [row for row, each in rejections.items() if each.gate == REFUSAL]
    return np.setdiff1d(np.arange(answers), refused)


@dataclass(frozen=True, slots=True)
class _ForGates:
    """What is read of answers where the policy guards."""

    measures: GateMeasures
    openings: Float64[np.ndarray, "answers dimension"]
    """Unit vectors."""

    def at(self, rows: Int64[np.ndarray, " some"]) -> "_ForGates":
        """What is read of some of the answers."""
        return _ForGates(self.measures.at(rows), self.openings[rows])


def _some_pools(
    answers: Answers, rows: Int64[np.ndarray, " some"], most_values: int
) -> Iterator[Int64[np.ndarray, " few"]]:
    """The rows, some whole pools at a time: of at most so many vector entries, or one."""
    return (rows[block] for block in in_blocks(answers.pool[rows], most_values // answers.unit.shape[1]))


def judge(measures: Measures, policy: Policy, known: Known) -> Verdict:
    """Admit, weigh and rank answers whose pairs are measured; gates are asked where the policy guards."""
    seen, rejections = _before_votes(measures, known)
    redundant = redundancy(measures, seen.admitted)
    votes, admitted, late = _counted(seen, group_size_by_pairs(measures, redundant), known)
    standing = stand(
        measures,
        admitted,
        votes,
        redundancy_in_support(measures, admitted, votes, redundant),
        reliability=policy.reliability,
        length_penalty=policy.length_penalty,
        known=known,
    )
    return Verdict(admitted, rejections | late, votes, standing)


def judge_unpaired(
    measures: Measures,
    openings: Float64[np.ndarray, "answers dimension"],
    unit: Float64[np.ndarray, "answers dimension"],
    policy: Policy,
    known: Known,
) -> Verdict:
    """Admit, weigh and rank the answers of one pool too large for pairs. openings, unit: unit vectors."""
    seen, rejections = _before_votes(measures, known)
    group = copy_groups(measures, openings, seen.admitted)
    votes, admitted, late = _counted(seen, group_size_by_groups(group), known)
    standing = stand_in_large_pool(measures, unit, admitted, votes, group, length_penalty=policy.length_penalty)
    return Verdict(admitted, rejections | late, votes, standing)


def _judge_apart(answers: Answers, policy: Policy, guarding: _ForGates | None, known: Known) -> Verdict:
    """Judge pools that say nothing of participants; of one pool where gates are asked."""
    if guarding is None:
        return judge_alone(answers)
    measures = measure_unpaired(answers, policy, guarding.measures)
    return judge_unpaired(measures, guarding.openings, answers.unit, policy, known)


def judge_alone(answers: Answers) -> Verdict:
    """All answers of pools that are judged each by itself: admitted, every participant with a whole vote."""
    everybody = np.ones(len(answers.texts), dtype=bool)
    return Verdict(everybody, {}, whole_votes(answers), standing_alone(answers))


def _before_votes(measures: Measures, known: Known) -> tuple[Seen, Rejections]:
    """What the gates leave that read no votes."""
    everybody = Seen(measures, np.ones(len(measures.participant), dtype=bool))
    return reject(everybody, known, Reads.ROUND)


def _counted(
    seen: Seen, group_size: GroupSize, known: Known
) -> tuple[Float64[np.ndarray, " answers"], Bool[np.ndarray, " answers"], Rejections]:
    """Votes, once those are out whom gates reject that read votes; who is admitted; the rejections."""
    votes = votes_of(seen.measures, seen.admitted, group_size)
    left, rejections = reject(replace(seen, votes=votes), known, Reads.VOTES)
    return votes_of(seen.measures, left.admitted, group_size), left.admitted, rejections


def _measured(answers: Answers, policy: Policy, guarding: _ForGates | None) -> Measures:
    """Answers and their pairs, read now."""
    pairs = Pairs(answers.pool)
    return measure(
        answers,
        pairs,
        policy,
        for_gates=None if guarding is None else guarding.measures,
        words=distinct_words(answers.texts, answers.prompts, answers.prompt),
        wording=codes(map(folded, answers.texts)),
        stated=statements(answers),
        cosine=pairs.cosines(answers.unit),
        opening_cosine=np.zeros(0) if guarding is None else pairs.cosines(guarding.openings),
    )


def _read_for_gates(
    answers: Answers,
    rows: Int64[np.ndarray, " usable"],
    usable: Answers,
    openings: Float64[np.ndarray, "usable dimension"],
    prompts: Float64[np.ndarray, "prompts dimension"],
) -> _ForGates:
    """What gates read of the usable answers, read now.

    rows: where they stand among all `answers`; openings, prompts: unit vectors of their openings and of all prompts'.
    """
    measures = measure_for_gates(
        answers,
        rows,
        printable=np.fromiter(map(printable_share, usable.texts), dtype=np.float64),
        relevance=relevance(
            openings, prompts[usable.prompt], other_scripts(usable.texts, usable.prompts, usable.prompt)
        ),
        neighbours=word_pairs(usable.texts, usable.prompts, usable.prompt),
        units=read_units(answers.texts, answers.prompts, answers.prompt),
    )
    return _ForGates(measures, openings)


def require_openings(pools: Sequence[Pool]) -> None:
    """Raise MissingOpenings for a pool that lacks what gates read."""
    for pool in pools:
        if pool.texts and (pool.openings is None or any(each.opening is None for each in pool.wordings)):
            raise MissingOpenings(pool.prompt_id)


def _openings(
    answers: Answers, rows: Int64[np.ndarray, " usable"], pools: Sequence[Pool]
) -> Float64[np.ndarray, "usable dimension"]:
    """Unit vectors of the openings of some answers of a whole table. pools: with openings."""
    sources = answers.sources.tolist()
    starts = np.cumsum([0, *(len(pools[source].texts) for source in sources)])
    openings = stacked([np.asarray(pools[source].openings) for source in sources])
    return unit_vectors(openings[(starts[answers.pool] + answers.places)[rows]])


def _prompt_openings(answers: Answers, pools: Sequence[Pool]) -> Float64[np.ndarray, "prompts dimension"]:
    """Unit vectors of the openings of the prompts of a whole table, in their order. pools: with openings."""
    wordings = (each for source in answers.sources.tolist() for each in pools[source].wordings)
    return unit_vectors(stacked([np.asarray(each.opening)[None] for each in wordings]))

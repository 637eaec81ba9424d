"""From pools to decisions.

The steps, each in a place of its own: read the answers into one table (`answers.table`), judge every row by what the round
tells (`round.judging`), group what means the same (`meaning.equivalences`), count votes (`answers.tally`), pick (`rules`),
say how sure that is and what it stands on (`confidence`, `evidence`), abstain or not (`abstaining`), write it down (here).

Support, share and confidence describe the cluster *in which the pick lies*: they say who stands behind the published text.
For rules that pick inside the dominant cluster that is the dominant cluster; `medoid`, `random` and their like may pick
outside it, and then have less support. A tie for the dominant cluster is the pool's own and makes every rule abstain.
A question with several wordings is one pool, decided once; the rule then picks a text for each wording.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from client_kit.vocabulary import Abstention, DecideBy
from consensus_server.core.consensus.abstaining import abstentions
from consensus_server.core.consensus.answers.centrality import best_of_pool
from consensus_server.core.consensus.answers.gates import Rejection
from consensus_server.core.consensus.answers.similarity import row_cosines
from consensus_server.core.consensus.answers.table import Answers, in_blocks, read
from consensus_server.core.consensus.answers.tally import Tally, tally
from consensus_server.core.consensus.confidence import calibrated, confidence_named, confidences
from consensus_server.core.consensus.contested import contests, most_confidence
from consensus_server.core.consensus.evidence import evidence_of, speaks_for
from consensus_server.core.consensus.meaning.equivalences import Grouping, check_equivalence, group
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours, Neighbours
from consensus_server.core.consensus.picked import Picked
from consensus_server.core.consensus.records import Cluster, Decision, Policy, Pool, Reading, StandsOn
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import Verdict, judge_round, require_openings
from consensus_server.core.consensus.round.other_questions import to_other_questions
from consensus_server.core.consensus.round.standing import Standing
from consensus_server.core.consensus.round.trust import ParticipantStanding
from consensus_server.core.consensus.rounding import settled
from consensus_server.core.consensus.rules import Ballot, Rule, independent_centrality, rule_named

_BATCH_VALUES = 2**22
"""Most vector entries decided at once: 32 MiB an array. A larger pool is a batch of its own."""


@dataclass(frozen=True, slots=True)
class RoundDecision:
    """The outcome of a round."""

    decisions: list[Decision]
    """One for each prompt: pool by pool in their order, in each as `Pool.wordings` has them."""
    participants: tuple[ParticipantStanding, ...]
    """By name; nobody under a policy without guards and with a rule that decides pool by pool."""


def decide(pools: Sequence[Pool], policy: Policy, neighbours: Neighbours | None = None) -> list[Decision]:
    """One decision for each prompt, with nothing known of earlier rounds; see `decide_round`."""
    return decide_round(pools, policy, neighbours).decisions


def decide_round(
    pools: Sequence[Pool],
    policy: Policy,
    neighbours: Neighbours | None = None,
    earlier: EarlierRounds | None = None,
    *,
    drop_refusals: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RoundDecision:
    """One decision for each prompt of each pool, in their order. `pools` are all pools of a round.

    Without guards, and under rules that do not read the round (`Rule.round_wide`), a decision depends on nothing but its own
    pool; else on the round, whose other prompts tell who repeats whom, whom to trust and which words are common. Neither the
    order of pools or answers nor the index matters. earlier: what earlier rounds know of the participants.
    progress: called with (answers decided, answers that are) between batches; what it raises goes on.
    drop_refusals: answers that decline are rejected, and nothing else is decided otherwise for them.
    neighbours: finds close pairs in pools of more than `FULL_MATRIX_ANSWERS` admitted answers; by default in blocks of plain
    numpy. Identical texts of a pool must have identical vectors.

    Raises UnknownRule, UnknownConfidence, UnknownEquivalence, MissingOpenings, and ValueError for a pool whose columns differ
    in length.
    """
    rule, _ = rule_named(policy.rule), confidence_named(policy.confidence)
    for name in {pool.equivalence for pool in pools}:
        check_equivalence(name)
    if policy.guards:
        require_openings(pools)
    answers = read(pools)
    verdict, participants = judge_round(
        answers,
        pools,
        policy,
        earlier or EarlierRounds(),
        round_wide=policy.guards or rule.round_wide,
        drop_refusals=drop_refusals,
    )
    rejected = _rejected(answers, verdict)
    decisions = [_without_answers(pool, rejected[i]) for i, pool in enumerate(pools)]
    admitted, index = np.flatnonzero(verdict.admitted), neighbours or BlockedNeighbours()
    silent = _silent(answers, admitted, pools, policy, index)
    for batch in in_blocks(answers.pool[admitted], _BATCH_VALUES // answers.unit.shape[1]):
        rows = admitted[batch]
        some = answers.at(rows)
        if silent[batch].any():
            some = replace(some, conflicts=some.conflicts.without(silent[batch]))
        grouping = group(some, policy, index, instead=rule.equivalence, silent=silent[batch])
        progress(int(rows[0]), len(answers.pool))
        picked = pick(some, grouping, verdict.votes[rows], verdict.standing.at(rows), policy)
        for i, written in _written(picked, policy, pools, rejected):
            decisions[i] = written
    return RoundDecision([decision for written in decisions for decision in written], participants)


def pick(
    answers: Answers,
    grouping: Grouping,
    votes: Float64[np.ndarray, " answers"],
    standing: Standing,
    policy: Policy,
) -> Picked:
    """What the policy's rule picks, once answers are admitted, weighed and grouped."""
    rule, ballot = rule_named(policy.rule), Ballot(answers, votes, grouping.clusters, policy.seed, standing)
    counted = tally(answers, grouping.clusters, votes, grouping.may_win)
    score = rule.score(ballot)
    allowed = _allowed(ballot, counted, rule, score, policy)
    picks = best_of_pool(score, allowed, answers.pool, answers.starts)
    return Picked(ballot, counted, picks, np.where(allowed, score, -np.inf), grouping.long)


def _allowed(
    ballot: Ballot, counted: Tally, rule: Rule, score: Float64[np.ndarray, " answers"], policy: Policy
) -> Bool[np.ndarray, " answers"]:
    """Which answers the rule may pick. Of tied clusters the one holds whose answer scores highest over the whole pool."""
    answers = ballot.answers
    if not rule.within_dominant:
        return np.ones(len(answers.pool), dtype=bool)
    central = score if rule.round_wide else independent_centrality(ballot)
    best = best_of_pool(central, counted.dominant, answers.pool, answers.starts)
    wins: Bool[np.ndarray, " answers"] = ballot.clusters == ballot.clusters[best][answers.pool]
    return wins & speaks_for(ballot) if policy.decide_by == DecideBy.EVIDENCE else wins


def _silent(
    answers: Answers,
    admitted: Int64[np.ndarray, " admitted"],
    pools: Sequence[Pool],
    policy: Policy,
    neighbours: Neighbours,
) -> Bool[np.ndarray, " admitted"]:
    """Admitted answers that say nothing of what is asked; they are looked for where evidence decides and gates guard."""
    if policy.decide_by != DecideBy.EVIDENCE or not policy.guards or not any(pool.rewordings for pool in pools):
        return np.zeros(len(admitted), dtype=bool)
    return to_other_questions(answers.at(admitted), pools, neighbours)


def _rejected(answers: Answers, verdict: Verdict) -> dict[int, dict[int, Rejection]]:
    """The rejections by pool as given, and by place in it."""
    found: dict[int, dict[int, Rejection]] = defaultdict(dict)
    for row, rejection in sorted(verdict.rejections.items()):
        found[int(answers.sources[answers.pool[row]])][int(answers.places[row])] = rejection
    return found


def _without_answers(pool: Pool, rejected: Mapping[int, Rejection]) -> list[Decision]:
    return [
        Decision(
            wording.prompt_id,
            None,
            Abstention.NO_ANSWERS,
            confidence=0.0,
            support=0.0,
            share=0.0,
            gates=_gates(rejected),
            readings=_readings(rejected),
        )
        for wording in pool.wordings
    ]


def _gates(rejected: Mapping[int, Rejection]) -> dict[int, str]:
    return {place: rejection.gate for place, rejection in rejected.items()}


def _readings(rejected: Mapping[int, Rejection]) -> dict[int, Reading]:
    return {place: rejection.reading for place, rejection in rejected.items() if rejection.reading is not None}


def _written(
    picked: Picked, policy: Policy, pools: Sequence[Pool], rejected: Mapping[int, Mapping[int, Rejection]]
) -> Iterator[tuple[int, list[Decision]]]:
    """The records, those of one pool together, of each pool that has an admitted answer, with the pool's index as given."""
    answers = picked.ballot.answers
    reasons = abstentions(picked, policy)
    scores = confidences(picked, confidence_named(policy.confidence))
    confidence = np.minimum(calibrated(scores, policy.calibration), most_confidence(picked)).tolist()
    support, shares = picked.support.tolist(), settled(picked.shares).tolist()
    stands_on = _stands_on(picked, reasons, policy)
    clusters = _clusters(picked)
    for i, source in enumerate(answers.sources.tolist()):
        pool, out, abstains = pools[source], rejected[source], reasons[i] is not None
        decision = Decision(
            prompt_id=pool.prompt_id,
            pick=None,
            abstention=reasons[i],
            confidence=0.0 if abstains else confidence[i],
            support=support[i],
            share=shares[i],
            clusters=clusters[i],
            gates=_gates(out),
            readings=_readings(out),
            contests=contests(pool, clusters[i]),
            stands_on=stands_on[i],
        )
        yield source, [_for_wording(picked, i, pool, wording, decision) for wording in range(len(pool.wordings))]


def _for_wording(picked: Picked, i: int, pool: Pool, wording: int, decision: Decision) -> Decision:
    """The decision on pool `i` for one of its wordings: with the text that the rule picks among the answers to it.

    Where none of them says what the label says, with the text that it picks of the whole question.
    """
    own = replace(decision, prompt_id=pool.wordings[wording].prompt_id)
    if decision.abstention is not None:
        return own
    answers = picked.ballot.answers
    rows = answers.starts[i] + np.arange(answers.sizes[i])
    places = answers.places[rows].tolist()
    chosen = int(picked.picks[i])
    if len(pool.wordings) > 1:
        label = picked.ballot.clusters[rows] == picked.labels[i]
        asked = np.array([pool.wording_of(place) == wording for place in places], dtype=bool)
        among = rows[label & asked & np.isfinite(picked.score[rows])]
        chosen = int(among[settled(picked.score[among]).argmax()]) if len(among) else chosen
    cosine = row_cosines(answers.unit[rows], np.broadcast_to(answers.unit[chosen], (len(rows), answers.unit.shape[1])))
    similarity = _by_place(dict(zip(places, cosine.tolist(), strict=True)), len(pool.texts))
    return replace(own, pick=int(answers.places[chosen]), similarity=similarity)


def _stands_on(picked: Picked, reasons: Sequence[str | None], policy: Policy) -> list[StandsOn | None]:
    """The evidence for each pool's label, or for what would have been it; None where support decides."""
    if policy.decide_by != DecideBy.EVIDENCE:
        return [None] * len(reasons)
    found, votes = evidence_of(picked), picked.tally.cluster_votes[picked.labels]
    columns = zip(votes.tolist(), found.margin.tolist(), found.witnesses.tolist(), found.grades(), reasons, strict=True)
    return [
        StandsOn(evidence, margin, witnesses, None if reason else grade)
        for evidence, margin, witnesses, grade, reason in columns
    ]


def _by_place(values: Mapping[int, float], answers: int) -> tuple[float, ...]:
    """Values in the order of the pool as given; 0 for an answer that was not admitted."""
    return tuple(values.get(place, 0.0) for place in range(answers))


def _clusters(picked: Picked) -> list[tuple[Cluster, ...]]:
    """The clusters of each pool, most votes first, of equal ones by their first digest."""
    answers = picked.ballot.answers
    members: dict[int, list[int]] = defaultdict(list)
    for row, place in zip(picked.ballot.clusters.tolist(), answers.places.tolist(), strict=True):
        members[row].append(place)
    votes = picked.tally.cluster_votes.tolist()
    shares = settled(picked.tally.cluster_votes / picked.tally.pool_votes[answers.pool]).tolist()
    pools = answers.pool.tolist()
    ranked: list[list[Cluster]] = [[] for _ in answers.prompt_ids]
    for row in sorted(members, key=lambda row: (-votes[row], row)):
        ranked[pools[row]].append(Cluster(tuple(sorted(members[row])), votes[row], shares[row]))
    return [tuple(clusters) for clusters in ranked]

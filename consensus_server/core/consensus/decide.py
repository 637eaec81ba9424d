"""From pools to decisions.

The steps, each in a place of its own: read the answers into one table (`answers.table`), judge every row by what the round
tells (`round.judging`), group what means the same (`meaning.equivalences`), count votes (`answers.tally`), pick (`rules`),
say how sure that is (`confidence`), abstain or not (here).

Support, share and confidence describe the cluster *in which the pick lies*: they say who stands behind the published text.
For rules that pick inside the dominant cluster that is the dominant cluster; `medoid`, `random` and their like may pick
outside it, and then have less support. A tie for the dominant cluster is the pool's own and makes every rule abstain.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.centrality import best_of_pool
from consensus_server.core.consensus.answers.gates import Rejection
from consensus_server.core.consensus.answers.similarity import row_cosines
from consensus_server.core.consensus.answers.table import Answers, in_blocks, read
from consensus_server.core.consensus.answers.tally import Tally, tally
from consensus_server.core.consensus.confidence import calibrated, confidence_named, confidences
from consensus_server.core.consensus.contested import contests, most_confidence, rival_votes
from consensus_server.core.consensus.meaning.equivalences import Grouping, check_equivalence, group
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours, Neighbours
from consensus_server.core.consensus.picked import Picked
from consensus_server.core.consensus.records import Cluster, Decision, Policy, Pool, Reading
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.judging import Verdict, judge_round, require_openings
from consensus_server.core.consensus.round.standing import Standing
from consensus_server.core.consensus.round.trust import ParticipantStanding
from consensus_server.core.consensus.rounding import settled
from consensus_server.core.consensus.rules import Ballot, independent_centrality, rule_named

_BATCH_VALUES = 2**22
"""Most vector entries decided at once: 32 MiB an array. A larger pool is a batch of its own."""


@dataclass(frozen=True, slots=True)
class RoundDecision:
    """The outcome of a round."""

    decisions: list[Decision]
    """One for each pool, in their order."""
    participants: tuple[ParticipantStanding, ...]
    """By name; nobody under a policy without guards and with a rule that decides pool by pool."""


def decide(pools: Sequence[Pool], policy: Policy, neighbours: Neighbours | None = None) -> list[Decision]:
    """One decision for each pool, in their order, with nothing known of earlier rounds; see `decide_round`."""
    return decide_round(pools, policy, neighbours).decisions


def decide_round(
    pools: Sequence[Pool],
    policy: Policy,
    neighbours: Neighbours | None = None,
    earlier: EarlierRounds | None = None,
    *,
    drop_refusals: bool = False,
) -> RoundDecision:
    """One decision for each pool, in their order. `pools` are all pools of a round.

    Without guards, and under rules that do not read the round (`Rule.round_wide`), a decision depends on nothing but its own
    pool; else on the round, whose other prompts tell who repeats whom, whom to trust and which words are common. Neither the
    order of pools or answers nor the index matters. earlier: what earlier rounds know of the participants.
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
    admitted = np.flatnonzero(verdict.admitted)
    for batch in in_blocks(answers.pool[admitted], _BATCH_VALUES // answers.unit.shape[1]):
        rows = admitted[batch]
        some = answers.at(rows)
        grouping = group(some, policy, neighbours or BlockedNeighbours(), instead=rule.equivalence)
        picked = pick(some, grouping, verdict.votes[rows], verdict.standing.at(rows), policy)
        for i, decision in _written(picked, policy, rejected):
            decisions[i] = replace(decision, contests=contests(pools[i], decision.clusters))
    return RoundDecision(decisions, participants)


def pick(
    answers: Answers,
    grouping: Grouping,
    votes: Float64[np.ndarray, " answers"],
    standing: Standing,
    policy: Policy,
) -> Picked:
    """What the policy's rule picks, once answers are admitted, weighed and grouped."""
    ballot = Ballot(answers, votes, grouping.clusters, policy.seed, standing)
    counted = tally(answers, grouping.clusters, votes, grouping.may_win)
    return Picked(ballot, counted, _picks(ballot, counted, policy.rule), grouping.long)


def _picks(ballot: Ballot, counted: Tally, name: str) -> Int64[np.ndarray, " pools"]:
    """Row of each pool's pick. Of tied clusters the one holds whose answer scores highest over the whole pool."""
    rule, answers = rule_named(name), ballot.answers
    score = rule.score(ballot)
    allowed = np.ones(len(answers.pool), dtype=bool)
    if rule.within_dominant:
        central = score if rule.round_wide else independent_centrality(ballot)
        best = best_of_pool(central, counted.dominant, answers.pool, answers.starts)
        allowed = ballot.clusters == ballot.clusters[best][answers.pool]
    return best_of_pool(score, allowed, answers.pool, answers.starts)


def abstentions(picked: Picked, policy: Policy) -> list[str | None]:
    """Why each pool gets no label, by `client_kit.wire.Abstention`; None where it gets one."""
    if not policy.abstain:
        return [None] * len(picked.picks)
    reasons = np.select(
        [
            picked.ballot.answers.sizes == 1,
            picked.tally.tied,
            rival_votes(picked) >= picked.tally.cluster_votes[picked.labels],
            picked.support < policy.minimum_support - 0.5,  # half a vote of slack: redundancy may cost that much
            _uncertain(picked, policy),
        ],
        ["single_answer", "tie", "contested", "low_support", "low_confidence"],
        default="",
    )
    return [reason or None for reason in reasons.tolist()]


def _uncertain(picked: Picked, policy: Policy) -> Bool[np.ndarray, " pools"]:
    """Where the score lies below the least one of the policy's calibration."""
    if policy.calibration is None:
        return np.zeros(len(picked.picks), dtype=bool)
    uncertain: Bool[np.ndarray, " pools"] = (
        confidences(picked, confidence_named(policy.confidence)) < policy.calibration.least_score
    )
    return uncertain


def _rejected(answers: Answers, verdict: Verdict) -> dict[int, dict[int, Rejection]]:
    """The rejections by pool as given, and by place in it."""
    found: dict[int, dict[int, Rejection]] = defaultdict(dict)
    for row, rejection in sorted(verdict.rejections.items()):
        found[int(answers.sources[answers.pool[row]])][int(answers.places[row])] = rejection
    return found


def _without_answers(pool: Pool, rejected: Mapping[int, Rejection]) -> Decision:
    return Decision(
        pool.prompt_id,
        None,
        "no_answers",
        confidence=0.0,
        support=0.0,
        share=0.0,
        gates=_gates(rejected),
        readings=_readings(rejected),
    )


def _gates(rejected: Mapping[int, Rejection]) -> dict[int, str]:
    return {place: rejection.gate for place, rejection in rejected.items()}


def _readings(rejected: Mapping[int, Rejection]) -> dict[int, Reading]:
    return {place: rejection.reading for place, rejection in rejected.items() if rejection.reading is not None}


def _written(
    picked: Picked, policy: Policy, rejected: Mapping[int, Mapping[int, Rejection]]
) -> Iterator[tuple[int, Decision]]:
    """The records, one per pool that has an admitted answer, with the pool's index as given."""
    answers = picked.ballot.answers
    reasons = abstentions(picked, policy)
    scores = confidences(picked, confidence_named(policy.confidence))
    confidence = np.minimum(calibrated(scores, policy.calibration), most_confidence(picked)).tolist()
    support, shares = picked.support.tolist(), settled(picked.shares).tolist()
    picks, places = answers.places[picked.picks].tolist(), answers.places.tolist()
    cosine = row_cosines(answers.unit, answers.unit[picked.picks][answers.pool]).tolist()
    ends = np.append(answers.starts, len(places)).tolist()
    clusters = _clusters(picked)
    for i, source in enumerate(answers.sources.tolist()):
        rows = range(ends[i], ends[i + 1])
        out = rejected[source]
        abstains = reasons[i] is not None
        yield (
            source,
            Decision(
                prompt_id=answers.prompt_ids[i],
                pick=None if abstains else picks[i],
                abstention=reasons[i],
                confidence=0.0 if abstains else confidence[i],
                support=support[i],
                share=shares[i],
                clusters=clusters[i],
                gates=_gates(out),
                readings=_readings(out),
                similarity=() if abstains else _by_place({places[r]: cosine[r] for r in rows}, len(rows) + len(out)),
            ),
        )


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

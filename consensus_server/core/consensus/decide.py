"""From pools to decisions.

One road for every rule: admit, vote, cluster, find the dominant cluster, pick, abstain or not. Support, share and
confidence describe the cluster *in which the pick lies*: they say who stands behind the published text. For rules that
pick inside the dominant cluster that is the dominant cluster; `medoid` and `random` may pick outside it, and
then have less support. A tie for the dominant cluster is the pool's own and makes every rule abstain.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers import Answers, read
from consensus_server.core.consensus.background import Background
from consensus_server.core.consensus.calibration import calibrated
from consensus_server.core.consensus.clustering import BlockedNeighbours, Neighbours
from consensus_server.core.consensus.confidence import Outcome, confidence_named, confidences
from consensus_server.core.consensus.equivalence import Grouping, equivalence_named
from consensus_server.core.consensus.medoid import best_of_pool
from consensus_server.core.consensus.pools import Cluster, Decision, Policy, Pool
from consensus_server.core.consensus.rounding import settled
from consensus_server.core.consensus.rules import Ballot, independent_centrality, rule_named
from consensus_server.core.consensus.similarity import row_cosines
from consensus_server.core.consensus.support import ParticipantStanding, Standing
from consensus_server.core.consensus.weighing import Weighed, Weighing, rows_of, weigh
from consensus_server.core.consensus.weighting import Tally, participant_votes, tally

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
    """The decisions of `decide_round`, with nothing known of the participants."""
    return decide_round(pools, policy, neighbours).decisions


def decide_round(
    pools: Sequence[Pool],
    policy: Policy,
    neighbours: Neighbours | None = None,
    background: Background | None = None,
) -> RoundDecision:
    """One decision for each pool, in their order. `pools` are all pools of a round.

    Without guards, and under rules that do not read the round (`Rule.round_wide`), a decision depends on nothing but its own
    pool; else on the round, whose other prompts tell who repeats whom, whom to trust and which words are common. Neither the
    order of pools or answers nor the index matters. background: what earlier rounds know of the participants.
    neighbours: finds close pairs in pools of more than `clustering.FULL_MATRIX_ANSWERS` admitted answers; by default in blocks of plain numpy. Identical texts
    of a pool must have identical vectors.

    Raises UnknownRule, UnknownConfidence, UnknownEquivalence, MissingOpenings, and ValueError for a pool
    whose columns differ in length.
    """
    rule, _ = rule_named(policy.rule), confidence_named(policy.confidence)
    wide = policy.guards or rule.round_wide
    weighing = weigh(pools, policy, background) if wide else Weighing([None] * len(pools))
    return RoundDecision(decide_weighed(pools, weighing.pools, policy, neighbours), weighing.participants)


def decide_weighed(
    pools: Sequence[Pool], weighed: Sequence[Weighed | None], policy: Policy, neighbours: Neighbours | None = None
) -> list[Decision]:
    """The same with the round's word on each pool at hand; None for a pool on which it has none."""
    decided: dict[int, Decision] = {}
    for equivalence, mixed in _batches(pools):
        for batch in _apart(mixed, weighed):
            known = [each for i in batch if (each := weighed[i]) is not None]
            decisions = _decide_batch(
                [pools[i] for i in batch], known, policy, equivalence, neighbours or BlockedNeighbours()
            )
            decided.update(zip(batch, decisions, strict=True))
    return [_with_readings(decided[i], each) for i, each in enumerate(weighed)]


def _with_readings(decision: Decision, weighed: Weighed | None) -> Decision:
    return replace(decision, readings=weighed.readings) if weighed and weighed.readings else decision


def _batches(pools: Sequence[Pool]) -> Iterator[tuple[str, list[int]]]:
    """Indices of pools to be decided together: one equivalence, one dimension, at most `_BATCH_VALUES` entries."""
    alike: dict[tuple[str, int], list[int]] = defaultdict(list)
    for i, pool in enumerate(pools):
        alike[pool.equivalence, pool.vectors.shape[1]].append(i)
    for (equivalence, _), members in alike.items():
        batch: list[int] = []
        entries = 0
        for i in members:
            if batch and entries + pools[i].vectors.size > _BATCH_VALUES:
                yield equivalence, batch
                batch, entries = [], 0
            batch.append(i)
            entries += pools[i].vectors.size
        yield equivalence, batch


def _apart(batch: list[int], weighed: Sequence[Weighed | None]) -> list[list[int]]:
    """The pools on which the round has its say, and those on which it has not."""
    parts = [[i for i in batch if (weighed[i] is None) is alone] for alone in (False, True)]
    return [part for part in parts if part]


def _decide_batch(
    pools: Sequence[Pool], weighed: Sequence[Weighed], policy: Policy, equivalence: str, neighbours: Neighbours
) -> list[Decision]:
    """weighed: what the round says about each pool; nothing where it has no say."""
    rule = rule_named(policy.rule)
    group = equivalence_named((rule.equivalence if equivalence == "semantic" else None) or equivalence)
    answers, gates = read(pools, [each.gates for each in weighed] or None)
    if not answers.digests:
        return [_without_answers(pool, gate) for pool, gate in zip(pools, gates, strict=True)]
    votes, standing = rows_of(weighed, answers) if weighed else (participant_votes(answers.participant), None)
    outcome = outcome_of(answers, group(answers, policy, neighbours), votes, standing, policy)
    written = dict(zip(answers.sources.tolist(), _written(outcome, policy, gates), strict=True))
    return [written.get(i) or _without_answers(pool, gates[i]) for i, pool in enumerate(pools)]


def outcome_of(
    answers: Answers,
    grouping: Grouping,
    votes: Float64[np.ndarray, " answers"],
    standing: Standing | None,
    policy: Policy,
) -> Outcome:
    """What the policy's rule picks, once answers are admitted, weighed and grouped."""
    ballot = Ballot(answers, votes, grouping.clusters, policy.seed, standing)
    counted = tally(answers, grouping.clusters, votes, grouping.may_win)
    return Outcome(ballot, counted, _picks(ballot, counted, policy.rule), grouping.long)


def _picks(ballot: Ballot, counted: Tally, name: str) -> Int64[np.ndarray, " pools"]:
    """Row of each pool's pick. Of tied clusters the one holds whose answer scores highest over the whole pool."""
    rule, answers = rule_named(name), ballot.answers
    allowed = np.ones(len(answers.pool), dtype=bool)
    if rule.within_dominant:
        central = rule.score(ballot) if rule.round_wide else independent_centrality(ballot)
        best = best_of_pool(central, counted.dominant, answers.pool, answers.starts)
        allowed = ballot.clusters == ballot.clusters[best][answers.pool]
    return best_of_pool(rule.score(ballot), allowed, answers.pool, answers.starts)


def abstentions(outcome: Outcome, policy: Policy) -> list[str | None]:
    """Why each pool gets no label, by `client_kit.wire.Abstention`; None where it gets one."""
    if not policy.abstain:
        return [None] * len(outcome.picks)
    reasons = np.select(
        [
            outcome.ballot.answers.sizes == 1,
            outcome.tally.tied,
            outcome.support < policy.minimum_support - 0.5,  # half a vote of slack: redundancy may cost that much
            _uncertain(outcome, policy),
        ],
        ["single_answer", "tie", "low_support", "low_confidence"],
        default="",
    )
    return [reason or None for reason in reasons.tolist()]


def _uncertain(outcome: Outcome, policy: Policy) -> Bool[np.ndarray, " pools"]:
    """Where the score lies below the least one of the policy's calibration."""
    if policy.calibration is None:
        return np.zeros(len(outcome.picks), dtype=bool)
    uncertain: Bool[np.ndarray, " pools"] = (
        confidences(outcome, confidence_named(policy.confidence)) < policy.calibration.least_score
    )
    return uncertain


def _without_answers(pool: Pool, gates: dict[int, str]) -> Decision:
    return Decision(pool.prompt_id, None, "no_answers", confidence=0.0, support=0.0, share=0.0, gates=gates)


def _written(outcome: Outcome, policy: Policy, gates: Sequence[Mapping[int, str]]) -> Iterator[Decision]:
    """The records, one per pool that has an admitted answer."""
    answers = outcome.ballot.answers
    reasons = abstentions(outcome, policy)
    scores = confidences(outcome, confidence_named(policy.confidence))
    confidence = calibrated(scores, policy.calibration).tolist()
    support, shares = outcome.support.tolist(), settled(outcome.shares).tolist()
    picks, places = answers.places[outcome.picks].tolist(), answers.places.tolist()
    cosine = row_cosines(answers.unit, answers.unit[outcome.picks][answers.pool]).tolist()
    ends = np.append(answers.starts, len(places)).tolist()
    clusters = _clusters(outcome)
    for i, source in enumerate(answers.sources.tolist()):
        rows = range(ends[i], ends[i + 1])
        abstains = reasons[i] is not None
        yield Decision(
            prompt_id=answers.prompt_ids[i],
            pick=None if abstains else picks[i],
            abstention=reasons[i],
            confidence=0.0 if abstains else confidence[i],
            support=support[i],
            share=shares[i],
            clusters=clusters[i],
            gates=dict(gates[source]),
            similarity=()
            if abstains
            else _by_place({places[r]: cosine[r] for r in rows}, len(rows) + len(gates[source])),
        )


def _by_place(values: Mapping[int, float], answers: int) -> tuple[float, ...]:
    """Values in the order of the pool as given; 0 for an answer that was not admitted."""
    return tuple(values.get(place, 0.0) for place in range(answers))


def _clusters(outcome: Outcome) -> list[tuple[Cluster, ...]]:
    """The clusters of each pool, most votes first, of equal ones by their first digest."""
    answers: Answers = outcome.ballot.answers
    members: dict[int, list[int]] = defaultdict(list)
    for row, place in zip(outcome.ballot.clusters.tolist(), answers.places.tolist(), strict=True):
        members[row].append(place)
    votes = outcome.tally.cluster_votes.tolist()
    shares = settled(outcome.tally.cluster_votes / outcome.tally.pool_votes[answers.pool]).tolist()
    pools = answers.pool.tolist()
    ranked: list[list[Cluster]] = [[] for _ in answers.prompt_ids]
    for row in sorted(members, key=lambda row: (-votes[row], row)):
        ranked[pools[row]].append(Cluster(tuple(sorted(members[row])), votes[row], shares[row]))
    return [tuple(clusters) for clusters in ranked]

"""From the answers of a round to its pseudo-labels, their explanations and what is counted of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from statistics import fmean

import numpy as np
from jaxtyping import Float32

from client_kit.wire import content_digest
from consensus_server.core.consensus.decide import RoundDecision
from consensus_server.core.consensus.records import Decision, Policy, Pool
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.trust import BETA
from consensus_server.core.consensus.rules import rule_named
from consensus_server.core.federations import Prompt
from consensus_server.core.labels import AnswerFate, ClusterContest, ClusterShare, Counts, Label, SupportRow
from consensus_server.core.reliability import Reliability, reputation_of, row_of
from consensus_server.ports import LabelRecord, PooledAnswer
from consensus_server.service.label_lines import label_line, lines_digest

Vectors = Mapping[str, Float32[np.ndarray, " dimension"]]
"""By content digest."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a round is decided from."""

    prompts: tuple[Prompt, ...]
    """In the order of `prompt_id`."""
    equivalence: str
    """For prompts that do not name their own."""
    answers: tuple[PooledAnswer, ...]
    submissions: int
    earlier: EarlierRounds = field(default_factory=EarlierRounds)
    """What earlier rounds and upheld appeals say of those who answered."""

    def texts(self) -> dict[str, str]:
        """Distinct texts by content digest."""
        return {answer.digest: answer.text for answer in self.answers}

    def prompt_texts(self) -> dict[str, str]:
        """Texts of the prompts by content digest."""
        return {content_digest(prompt.prompt): prompt.prompt for prompt in self.prompts}


@dataclass(frozen=True, slots=True)
class RoundLabels:
    """What a round gives back, before it is published."""

    labels: tuple[Label, ...]
    records: tuple[LabelRecord, ...]
    """In the order of `prompt_id`, one for each prompt of the set."""
    digest: str
    """Of the labels."""
    reliabilities: tuple[Reliability, ...] = ()
    """By participant; nobody where the policy decides each pool by itself."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors by content digest, of one encoder."""

    answers: Vectors
    openings: Vectors
    """Of the same answers."""
    prompts: Vectors
    """Openings of the prompts; empty where nobody guards."""
    dimension: int


def build_pools(material: Material, embedded: Embedded) -> list[Pool]:
    """One pool for each prompt, in their order; empty where nobody answered. Answers stand in an order of their own."""
    by_prompt: dict[str, list[PooledAnswer]] = defaultdict(list)
    for answer in material.answers:
        by_prompt[answer.prompt_id].append(answer)
    return [_pool(prompt, by_prompt[prompt.prompt_id], material, embedded) for prompt in material.prompts]


def _pool(prompt: Prompt, answers: Iterable[PooledAnswer], material: Material, embedded: Embedded) -> Pool:
    ordered = sorted(answers, key=lambda answer: (answer.digest, answer.participant, answer.sample))
    digests = [answer.digest for answer in ordered]
    return Pool(
        prompt_id=prompt.prompt_id,
        participants=tuple(answer.participant for answer in ordered),
        samples=tuple(answer.sample for answer in ordered),
        texts=tuple(answer.text for answer in ordered),
        digests=tuple(answer.digest for answer in ordered),
        vectors=_stacked(digests, embedded.answers, embedded.dimension),
        equivalence=prompt.equivalence or material.equivalence,
        prompt=prompt.prompt,
        prompt_opening=embedded.prompts.get(content_digest(prompt.prompt)),
        openings=_stacked(digests, embedded.openings, embedded.dimension),
    )


def _stacked(digests: Sequence[str], vectors: Vectors, dimension: int) -> Float32[np.ndarray, "answers dimension"]:
    stacked = np.zeros((len(digests), dimension), dtype=np.float32)
    for row, digest in enumerate(digests):
        stacked[row] = vectors[digest]
    return stacked


def label_round(pools: Sequence[Pool], decided: RoundDecision, policy: Policy) -> RoundLabels:
    """Labels and explanations. Pools and decisions correspond, in the order of `prompt_id`."""
    pairs = list(zip(pools, decided.decisions, strict=True))
    labels = tuple(_label(pool, decision, confidence_method(policy)) for pool, decision in pairs)
    lines = [label_line(label) for label in labels]
    records = tuple(
        LabelRecord(pool.prompt_id, line, _fates(pool, decision), _contests(decision))
        for (pool, decision), line in zip(pairs, lines, strict=True)
    )
    trusts = policy.reliability and rule_named(policy.rule).round_wide
    rows = (row_of(each, weight=exp(BETA * each.reliability) if trusts else 1.0) for each in decided.participants)
    return RoundLabels(labels, records, lines_digest(lines), tuple(rows))


def reputations_before(
    rows: Mapping[str, Sequence[tuple[int, Reliability]]], number: int, policy: Policy
) -> EarlierRounds:
    """The reputations with which participants begin round `number`; nobody has one where the policy trusts all alike.

    rows: by participant, (round, row) of the published rounds before.
    """
    if not policy.reliability:
        return EarlierRounds()
    found = {who: reputation_of(past, number, policy.half_life_rounds) for who, past in rows.items()}
    return EarlierRounds({who: reputation for who, reputation in found.items() if reputation is not None})


def confidence_method(policy: Policy) -> str:
    """What the confidence of a label is called."""
    return policy.confidence if policy.calibration is None else f"{policy.confidence}, calibrated"


def _label(pool: Pool, decision: Decision, confidence_method: str) -> Label:
    pick = decision.pick
    return Label(
        prompt_id=pool.prompt_id,
        text=None if pick is None else pool.texts[pick],
        digest=None if pick is None else pool.digests[pick],
        abstention=decision.abstention,
        confidence=float(decision.confidence),
        confidence_method=confidence_method,
        support=float(decision.support),
        share=float(decision.share),
        clusters=tuple(
            ClusterShare(len(each.members), float(each.votes), float(each.share)) for each in decision.clusters
        ),
    )


def _fates(pool: Pool, decision: Decision) -> tuple[AnswerFate, ...]:
    cluster_of = {member: index for index, cluster in enumerate(decision.clusters) for member in cluster.members}
    return tuple(
        AnswerFate(
            participant=pool.participants[i],
            sample=pool.samples[i],
            digest=pool.digests[i],
            admitted=i not in decision.gates,
            gate=decision.gates.get(i),
            measured=decision.readings[i].value if i in decision.readings else None,
            limit=decision.readings[i].limit if i in decision.readings else None,
            cluster=cluster_of.get(i),
            similarity=float(decision.similarity[i]) if decision.similarity and i not in decision.gates else None,
            chosen=i == decision.pick,
        )
        for i in range(len(pool.texts))
    )


def _contests(decision: Decision) -> tuple[ClusterContest, ...]:
    return tuple(
        ClusterContest(
            first=each.first,
            second=each.second,
            strength=each.finding.strength,
            kind=each.finding.kind,
            words_first=each.finding.words_first,
            words_second=each.finding.words_second,
        )
        for each in decision.contests
    )


def counts_of(material: Material, labelled: RoundLabels, *, encoded: int, reused: int) -> Counts:
    """What went in and what came out."""
    abstentions = Counter(label.abstention for label in labelled.labels if label.abstention is not None)
    return Counts(
        prompts=len(material.prompts),
        submissions=material.submissions,
        answers=len(material.answers),
        admitted=sum(fate.admitted for record in labelled.records for fate in record.fates),
        labels=sum(label.text is not None for label in labelled.labels),
        abstentions=dict(sorted(abstentions.items())),
        encoded=encoded,
        reused=reused,
    )


def support_rows(labels: Iterable[Label]) -> tuple[SupportRow, ...]:
    """Labels by their support, rounded to one decimal; most support first. Abstentions do not count."""
    confidences: dict[float, list[float]] = defaultdict(list)
    for label in labels:
        if label.text is not None:
            confidences[round(label.support, 1)].append(label.confidence)
    return tuple(
        SupportRow(support, len(each), fmean(each)) for support, each in sorted(confidences.items(), reverse=True)
    )

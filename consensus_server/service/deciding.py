"""From the answers of a round to its pseudo-labels, their explanations and what is counted of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from math import exp
from statistics import fmean

import numpy as np
from jaxtyping import Float32

from client_kit.vocabulary import DecideBy, Grade
from client_kit.wire import content_digest
from consensus_server.core.consensus.decide import RoundDecision
from consensus_server.core.consensus.records import Decision, Policy, Pool, Wording
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.consensus.round.trust import BETA
from consensus_server.core.consensus.rules import rule_named
from consensus_server.core.federations import Prompt
from consensus_server.core.labels import (
    SECOND_HAND,
    AnswerFate,
    ClusterContest,
    ClusterShare,
    Counts,
    Label,
    SupportRow,
)
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
    set_aside: tuple[PooledAnswer, ...] = ()
    """Answers of the round that are not first-hand, where only such count."""
    stands_in: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By (participant, prompt_id): the earlier round whose answers stand in for these."""
    taught: frozenset[str] = frozenset()
    """Participants whose answers count although their models were taught pseudo-labels."""
    carried: frozenset[str] = frozenset()
    """Participants whose answers are those of an earlier round: that round has said already how they stand."""
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
    hearsay: int = 0
    """Labels that are; see `is_hearsay`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided for one prompt, and the pool of its question."""

    pool: Pool
    wording: int
    """Which of the pool's wordings the prompt is."""
    decision: Decision


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors by content digest, of one encoder."""

    answers: Vectors
    openings: Vectors
    """Of the same answers."""
    prompts: Vectors
    """Openings of the prompts; empty where nobody guards."""
    dimension: int


def build_pools(material: Material, embedded: Embedded, policy: Policy) -> list[Pool]:
    """One pool for each question, in the order of their first prompts; empty where nobody answered.

    Where evidence decides, prompts that ask the same are one question; else each is one. Answers stand in an order of their own.
    """
    by_prompt: dict[str, list[PooledAnswer]] = defaultdict(list)
    for answer in material.answers:
        by_prompt[answer.prompt_id].append(answer)
    return [_pool(prompts, by_prompt, material, embedded) for prompts in _questions(material.prompts, policy)]


def _questions(prompts: Sequence[Prompt], policy: Policy) -> list[list[Prompt]]:
    """The prompts by question. Of one question only those are compared that are compared in one way."""
    questions: dict[tuple[str | None, str | None], list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        asks = prompt.question if policy.decide_by == DecideBy.EVIDENCE else None
        questions[(None, prompt.prompt_id) if asks is None else (asks, prompt.equivalence)].append(prompt)
    return list(questions.values())


def _pool(
    prompts: Sequence[Prompt], answers: Mapping[str, list[PooledAnswer]], material: Material, embedded: Embedded
) -> Pool:
    asked = [(wording, answer) for wording, prompt in enumerate(prompts) for answer in answers[prompt.prompt_id]]
    asked.sort(key=lambda each: (each[1].digest, each[1].participant, each[0], each[1].sample))
    ordered = [answer for _, answer in asked]
    digests = [answer.digest for answer in ordered]
    first, *others = (
        Wording(prompt.prompt_id, prompt.prompt, embedded.prompts.get(content_digest(prompt.prompt)))
        for prompt in prompts
    )
    return Pool(
        prompt_id=first.prompt_id,
        participants=tuple(answer.participant for answer in ordered),
        samples=tuple(answer.sample for answer in ordered),
        texts=tuple(answer.text for answer in ordered),
        digests=tuple(answer.digest for answer in ordered),
        vectors=_stacked(digests, embedded.answers, embedded.dimension),
        equivalence=prompts[0].equivalence or material.equivalence,
        prompt=first.prompt,
        prompt_opening=first.opening,
        openings=_stacked(digests, embedded.openings, embedded.dimension),
        rewordings=tuple(others),
        asked=tuple(wording for wording, _ in asked) if others else (),
    )


def _stacked(digests: Sequence[str], vectors: Vectors, dimension: int) -> Float32[np.ndarray, "answers dimension"]:
    stacked = np.zeros((len(digests), dimension), dtype=np.float32)
    for row, digest in enumerate(digests):
        stacked[row] = vectors[digest]
    return stacked


def label_round(material: Material, pools: Sequence[Pool], decided: RoundDecision, policy: Policy) -> RoundLabels:
    """Labels and explanations, in the order of `prompt_id`. pools: as `build_pools` made them; decided: of these."""
    asked = [(pool, wording) for pool in pools for wording in range(len(pool.wordings))]
    outcomes = [Outcome(*each, decision) for each, decision in zip(asked, decided.decisions, strict=True)]
    outcomes.sort(key=lambda each: each.decision.prompt_id)
    labels = tuple(_label(each.pool, each.decision, confidence_method(policy)) for each in outcomes)
    lines = [label_line(label) for label in labels]
    aside = defaultdict(list)
    for answer in material.set_aside:
        aside[answer.prompt_id].append(_set_aside(answer))
    records = tuple(
        LabelRecord(
            each.decision.prompt_id,
            line,
            (*_fates(each, material), *aside[each.decision.prompt_id]),
            _contests(each.decision),
        )
        for each, line in zip(outcomes, lines, strict=True)
    )
    hearsay = sum(is_hearsay(each, material.taught) for each in outcomes)
    trusts = policy.reliability and rule_named(policy.rule).round_wide
    rows = (
        row_of(each, weight=exp(BETA * each.reliability) if trusts else 1.0)
        for each in decided.participants
        if each.participant not in material.carried
    )
    return RoundLabels(labels, records, lines_digest(lines), tuple(rows), hearsay)


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
        prompt_id=decision.prompt_id,
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
        **({} if decision.stands_on is None else asdict(decision.stands_on)),
    )


def is_hearsay(outcome: Outcome, taught: AbstractSet[str]) -> bool:
    """Whether a label has no two participants behind it whose answers are first-hand, nor is such a single witness's.

    Behind it stands who says it in at least half of its samples. taught: whose models were taught pseudo-labels.
    """
    pool, decision = outcome.pool, outcome.decision
    if decision.pick is None:
        return False
    own = next(cluster.members for cluster in decision.clusters if decision.pick in cluster.members)
    given = Counter(who for place, who in enumerate(pool.participants) if place not in decision.gates)
    said = Counter(pool.participants[place] for place in own)
    voices = sum(2 * said[who] >= given[who] for who in said.keys() - taught)
    single = decision.stands_on is not None and decision.stands_on.grade == Grade.SINGLE_WITNESS
    return voices < (1 if single else 2)


def _set_aside(answer: PooledAnswer) -> AnswerFate:
    return AnswerFate(
        participant=answer.participant, sample=answer.sample, digest=answer.digest, admitted=False, gate=SECOND_HAND
    )


def _fates(outcome: Outcome, material: Material) -> tuple[AnswerFate, ...]:
    """Of the answers to the prompt itself."""
    pool, decision = outcome.pool, outcome.decision
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
            stands_in_from=material.stands_in.get((pool.participants[i], decision.prompt_id)),
        )
        for i in range(len(pool.texts))
        if pool.wording_of(i) == outcome.wording
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
        grades=dict(sorted(Counter(label.grade for label in labelled.labels if label.grade is not None).items())),
        hearsay=labelled.hearsay,
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

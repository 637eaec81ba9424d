"""From what the upstreams of a panel replied to its answer: the same core as in a round, over one prompt."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from client_kit.wire import content_digest
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.meaning.tool_calls import or_calls
from consensus_server.core.consensus.records import Pool
from consensus_server.core.consensus.round.earlier import EarlierRounds
from consensus_server.core.federations import Prompt
from consensus_server.core.inference import Question, Reply, UpstreamRequest
from consensus_server.core.labels import AnswerFate, Label
from consensus_server.core.panel_memory import earlier_questions, reliability_among
from consensus_server.ports import Encoder, PooledAnswer
from consensus_server.service.contradictions import with_findings
from consensus_server.service.deciding import Embedded, Material, Vectors, build_pools, label_round
from consensus_server.service.panel_memory import Recalled
from consensus_server.service.panels import Choice, Consensus, Panel
from consensus_server.service.under_way import UnderWay

Replies = Mapping[tuple[str, int], Reply]
"""Of one choice, by voter and sample."""

ANSWER = "answer"
"""Name of a panel's only prompt, which a round would call by its `prompt_id`."""


def decided(asking: UnderWay) -> tuple[Consensus, list[Pool]]:
    """The panel's answer, and the pools that the panel itself decided by its own equivalence."""
    replies = [each.reply for each in asking.asked if each.reply is not None]
    panel, question = asking.panel, asking.question
    calls = any(reply.tool_calls for reply in replies)
    if calls:
        panel = replace(panel, equivalence=or_calls(panel.equivalence))
    started = time.perf_counter()
    prompt = question.last if panel.policy.guards else ""
    embedded = _embedded(asking.encoder, [reply.text for reply in replies], prompt)
    encoded = time.perf_counter()
    choices = [_decided_choice(asking, panel, k, embedded) for k in sorted({each.choice for each in asking.asked})]
    consensus = Consensus(
        choices=tuple(choice for choice, _ in choices),
        asked=asking.asked,
        question=question,
        encoder=asking.encoder.identity.digest,
        waiting_seconds=asking.waited,
        encoding_seconds=encoded - started,
        deciding_seconds=time.perf_counter() - encoded,
        recalled=asking.recalled,
    )
    return consensus, [] if calls else [pool for _, pools in choices for pool in pools]


def _decided_choice(asking: UnderWay, panel: Panel, choice: int, embedded: Embedded) -> tuple[Choice, list[Pool]]:
    """What the panel says, and its pool; of a fallback that answered, what that says."""
    instead = asking.of_fallback(choice)
    if instead is None:
        own = (each for each in asking.asked if each.choice == choice)
        return _choice(panel, asking.question, _by_voice(own), embedded, asking.recalled)
    alone = replace(panel, policy=replace(panel.policy, abstain=False))
    said, _ = _choice(alone, asking.question, _by_voice([instead]), embedded, None)
    return replace(said, fallback=instead.upstream), []


def _by_voice(asked: Iterable[UpstreamRequest]) -> Replies:
    return {(each.voter, each.sample): each.reply for each in asked if each.reply is not None}


def _embedded(encoder: Encoder, texts: Sequence[str], prompt: str) -> Embedded:
    """Vectors by digest. Nothing of a question or a reply is stored, so none is looked up. prompt: empty for none."""
    distinct = {content_digest(text): text for text in [*texts, *([prompt] if prompt else [])]}
    whole, first = encoder.encode_with_openings(list(distinct.values()))
    vectors: Vectors = dict(zip(distinct, np.asarray(whole), strict=True))
    openings: Vectors = dict(zip(distinct, np.asarray(first), strict=True))
    asked = content_digest(prompt)
    return Embedded(vectors, openings, {asked: openings[asked]} if prompt else {}, encoder.identity.dimension)


def _choice(
    panel: Panel, question: Question, replies: Replies, embedded: Embedded, recalled: Recalled | None
) -> tuple[Choice, list[Pool]]:
    """A round of one prompt whose participants are the upstreams. Choices are decided apart: they are no round."""
    answers = tuple(
        PooledAnswer(ANSWER, voter, sample, reply.text, content_digest(reply.text))
        for (voter, sample), reply in replies.items()
    )
    material = Material((Prompt(ANSWER, question.last),), panel.equivalence, answers, len(replies))
    policy = panel.policy if recalled is None else replace(panel.policy, reliability=True)
    earlier = EarlierRounds() if recalled is None else earlier_questions(recalled.of_upstreams)
    pools = list(with_findings(build_pools(material, embedded, policy), policy))
    decided = decide_round(pools, policy, earlier=earlier, drop_refusals=panel.limits.drop_refusals)
    labelled = label_round(material, pools, decided, policy)
    record = labelled.records[0]
    label, fates = _finished(labelled.labels[0], record.fates, replies, embedded.answers)
    chosen = next((replies[_voice(fate)] for fate in fates if fate.chosen), None)
    trust = {} if recalled is None else trusted(recalled, len({fate.participant for fate in fates if fate.admitted}))
    return Choice(label, fates, chosen, record.contests, reliabilities=trust), pools


def trusted(recalled: Recalled, admitted: int) -> dict[str, float]:
    """By upstream, as a decision over so many answers has them."""
    return {each.upstream: reliability_among(each, admitted) for each in recalled.of_upstreams}


def _finished(
    label: Label, fates: tuple[AnswerFate, ...], replies: Replies, vectors: Vectors
) -> tuple[Label, tuple[AnswerFate, ...]]:
    """The decision, with a whole text in place of one that was cut, where some upstream meant the same and finished.

    A cut reply counts for its meaning as any other. Where all of that meaning are cut, the chosen one stands, and its
    `finish_reason` says so.
    """
    cut = next((fate for fate in fates if fate.chosen and not replies[_voice(fate)].finished), None)
    same = [fate for fate in fates if cut and fate.cluster == cut.cluster and replies[_voice(fate)].finished]
    if cut is None or cut.cluster is None or not same:
        return label, fates
    best = max(same, key=lambda fate: (fate.similarity or 0.0, fate.digest, fate.participant, -fate.sample))
    again = tuple(replace(fate, chosen=fate is best, similarity=_cosine(fate, best, vectors)) for fate in fates)
    return replace(label, text=replies[_voice(best)].text, digest=best.digest), again


def _voice(fate: AnswerFate) -> tuple[str, int]:
    return fate.participant, fate.sample


def _cosine(fate: AnswerFate, chosen: AnswerFate, vectors: Vectors) -> float | None:
    if fate.similarity is None:
        return None
    return round(float(np.dot(vectors[fate.digest], vectors[chosen.digest])), 6)

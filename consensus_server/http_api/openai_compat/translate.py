"""From a panel's decision to the fields of an answer."""

from collections.abc import Iterable
from typing import Literal

from client_kit.vocabulary import WHY_ABSTAINED, Abstention, OnAbstention
from consensus_server.core.inference import UpstreamRequest
from consensus_server.core.labels import AnswerFate, ClusterContest, Label
from consensus_server.http_api.openai_compat.answers import (
    AssistantMessage,
    ChatChoice,
    ChoiceTold,
    ClusterTold,
    ConsensusTold,
    ContestTold,
    MemoryTold,
    TextChoice,
    TimingsTold,
    TokenUsage,
    UpstreamTold,
)
from consensus_server.service.inference import Choice, Consensus, Panel
from consensus_server.service.panel_memory import Recalled

Finish = Literal["stop", "length", "content_filter"]


def describe_consensus(panel: Panel, consensus: Consensus, warnings: list[str], *, answers: bool) -> ConsensusTold:
    """The extension field. answers: with the text of every upstream."""
    choices = [
        _describe_choice(index, each, consensus, answers=answers) for index, each in enumerate(consensus.choices)
    ]
    first = choices[0]
    return ConsensusTold(
        panel=panel.name,
        rule=panel.policy.rule,
        encoder=consensus.encoder,
        abstention=first.abstention,
        confidence=first.confidence,
        confidence_method=first.confidence_method,
        support=first.support,
        share=first.share,
        contested=first.contested,
        choices=choices,
        memory=None if consensus.recalled is None else _describe_memory(consensus.recalled),
        warnings=warnings,
        timings=TimingsTold(
            waiting_seconds=round(consensus.waiting_seconds, 6),
            encoding_seconds=round(consensus.encoding_seconds, 6),
            deciding_seconds=round(consensus.deciding_seconds, 6),
        ),
    )


def chat_choice(index: int, choice: Choice, told: OnAbstention) -> ChatChoice:
    """A choice of a chat. An abstention has no content, and says why where OpenAI's API lets a model decline; or says it as text."""
    why = refusal_of(choice)
    if why is not None and told is OnAbstention.TEXT:
        return ChatChoice(index=index, message=AssistantMessage(content=why), finish_reason="stop")
    message = AssistantMessage(content=choice.label.text, refusal=why)
    return ChatChoice(index=index, message=message, finish_reason=finish_of(choice))


def text_choice(index: int, choice: Choice, told: OnAbstention) -> TextChoice:
    """A choice of a completion; an abstention is empty, or says why."""
    why = refusal_of(choice)
    if why is not None and told is OnAbstention.TEXT:
        return TextChoice(index=index, text=why, finish_reason="stop")
    return TextChoice(index=index, text=choice.label.text or "", finish_reason=finish_of(choice))


def refusal_of(choice: Choice) -> str | None:
    """Why the panel abstains; None where it answers."""
    if choice.label.abstention is None:
        return None
    reason = Abstention(choice.label.abstention)
    if choice.declined:
        return f"Every upstream that replied declines to answer ({reason}: {WHY_ABSTAINED[reason]})."
    return f"The panel does not agree on an answer ({reason}: {WHY_ABSTAINED[reason]})."


def finish_of(choice: Choice) -> Finish:
    """How the chosen answer ended; `content_filter` for an abstention, which withholds one."""
    if choice.chosen is None or choice.chosen.finish_reason == "content_filter":
        return "content_filter"
    return "length" if choice.chosen.finish_reason == "length" else "stop"


def usage_of(consensus: Consensus) -> TokenUsage:
    """The sum over all that answered."""
    prompt, completion = consensus.tokens()
    return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def describe_upstreams(
    asked: Iterable[UpstreamRequest], fates: Iterable[AnswerFate] = (), *, answers: bool = False
) -> list[UpstreamTold]:
    """What became of each request, and of the answer it brought."""
    fate_of = {fate.participant: fate for fate in fates}
    return [_describe_upstream(each, fate_of.get(each.upstream), answers=answers) for each in asked]


def _describe_choice(index: int, choice: Choice, consensus: Consensus, *, answers: bool) -> ChoiceTold:
    label, fates = choice.label, choice.fates
    return ChoiceTold(
        index=index,
        abstention=label.abstention,
        confidence=label.confidence,
        confidence_method=label.confidence_method,
        support=label.support,
        share=label.share,
        clusters=[
            ClusterTold(
                upstreams=sorted(fate.participant for fate in fates if fate.cluster == place),
                votes=cluster.votes,
                share=cluster.share,
            )
            for place, cluster in enumerate(label.clusters)
        ],
        contested=[_describe_contest(each, label) for each in choice.contests],
        upstreams=describe_upstreams(
            (each for each in consensus.asked if each.sample == index), fates, answers=answers
        ),
        reliabilities=dict(choice.reliabilities),
    )


def _describe_memory(recalled: Recalled) -> MemoryTold:
    return MemoryTold(
        upstreams=len(recalled.of_upstreams),
        unused="unavailable" if recalled.unavailable else "another_encoder" if recalled.another_encoder else None,
    )


def _describe_contest(contest: ClusterContest, label: Label) -> ContestTold:
    return ContestTold(
        clusters=(contest.first, contest.second),
        votes=(label.clusters[contest.first].votes, label.clusters[contest.second].votes),
        words=(contest.words_first, contest.words_second),
        kind=contest.kind,
        strength=contest.strength,
    )


def _describe_upstream(asked: UpstreamRequest, fate: AnswerFate | None, *, answers: bool) -> UpstreamTold:
    reply = asked.reply
    return UpstreamTold(
        name=asked.upstream,
        standing=asked.state.value,
        latency_seconds=round(asked.seconds, 6),
        reason=None if asked.failure is None else asked.failure.failure.value,
        cluster=None if fate is None else fate.cluster,
        gate=None if fate is None else fate.gate,
        similarity=None if fate is None else fate.similarity,
        chosen=fate is not None and fate.chosen,
        finish_reason=None if reply is None else reply.finish_reason,
        prompt_tokens=None if reply is None else reply.prompt_tokens,
        completion_tokens=None if reply is None else reply.completion_tokens,
        answer=reply.text if reply is not None and answers else None,
    )

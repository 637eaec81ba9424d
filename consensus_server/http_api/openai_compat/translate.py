"""From a panel's decision to the fields of an answer."""

from collections.abc import Iterable, Sequence
from typing import Literal

from client_kit.vocabulary import WHY_ABSTAINED, Abstention, OnAbstention
from consensus_server.core.inference import Question, Reply, RequestState, UpstreamRequest
from consensus_server.core.labels import AnswerFate, ClusterContest, Label
from consensus_server.http_api.openai_compat.answers import (
    AssistantMessage,
    CalledFunction,
    CalledTool,
    ChatChoice,
    ChoiceTold,
    ClusterTold,
    ConsensusTold,
    ContestTold,
    MemoryTold,
    SpendingTold,
    TextChoice,
    TimingsTold,
    TokenUsage,
    UpstreamTold,
)
from consensus_server.http_api.openai_compat.contested import contested_fields
from consensus_server.service.books import spent
from consensus_server.service.panel_memory import Recalled
from consensus_server.service.panels import Choice, Consensus, Panel

Finish = Literal["stop", "length", "content_filter"]


def describe_consensus(panel: Panel, consensus: Consensus, warnings: list[str], *, answers: bool) -> ConsensusTold:
    """The extension field. answers: with the text of every upstream."""
    choices = [
        _describe_choice(index, each, panel, consensus, answers=answers) for index, each in enumerate(consensus.choices)
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
        contested_fields=first.contested_fields,
        fallback=first.fallback,
        choices=choices,
        memory=None if consensus.recalled is None else _describe_memory(consensus.recalled),
        warnings=warnings,
        spending=spending_of(panel, consensus.asked, consensus.question),
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
    if choice.chosen is not None and choice.chosen.tool_calls:
        return ChatChoice(index=index, message=_calling(choice.chosen), finish_reason="tool_calls")
    message = AssistantMessage(content=choice.label.text, refusal=why)
    return ChatChoice(index=index, message=message, finish_reason=finish_of(choice))


def _calling(reply: Reply) -> AssistantMessage:
    """The calls of one upstream, and what it said beside them, word for word."""
    return AssistantMessage(
        content=reply.beside or None,
        tool_calls=[
            CalledTool(id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments))
            for call in reply.tool_calls
        ],
    )


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


def spending_of(panel: Panel, asked: Sequence[UpstreamRequest], question: Question) -> SpendingTold:
    """What the requests cost; of a missed quorum, too."""
    amount = spent(asked, panel.tariffs, question)
    left_out = sum(each.state is RequestState.NOT_ASKED for each in asked)
    return SpendingTold(
        requests=len(asked) - left_out,
        not_asked=left_out,
        tokens=amount.tokens,
        money=amount.money if panel.priced else None,
    )


def usage_of(consensus: Consensus) -> TokenUsage:
    """The sum over all that answered."""
    prompt, completion = consensus.tokens()
    return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def describe_upstreams(
    asked: Iterable[UpstreamRequest], fates: Iterable[AnswerFate] = (), *, answers: bool = False
) -> list[UpstreamTold]:
    """What became of each request, and of the answer it brought."""
    fate_of = {(fate.participant, fate.sample): fate for fate in fates}
    return [_describe_upstream(each, fate_of.get((each.voter, each.sample)), answers=answers) for each in asked]


def _describe_choice(index: int, choice: Choice, panel: Panel, consensus: Consensus, *, answers: bool) -> ChoiceTold:
    label, fates = choice.label, choice.fates
    own = [each for each in consensus.asked if each.choice == index]
    replies = {(each.voter, each.sample): each.reply for each in own if each.reply is not None}
    by_value = panel.equivalence == "json" or any(reply.tool_calls for reply in replies.values())
    return ChoiceTold(
        index=index,
        abstention=label.abstention,
        confidence=label.confidence,
        confidence_method=label.confidence_method,
        support=label.support,
        share=label.share,
        clusters=[
            ClusterTold(
                upstreams=sorted({fate.participant for fate in fates if fate.cluster == place}),
                votes=cluster.votes,
                share=cluster.share,
            )
            for place, cluster in enumerate(label.clusters)
        ],
        contested=[_describe_contest(each, label) for each in choice.contests],
        contested_fields=contested_fields(label.clusters, fates, replies) if by_value else [],
        fallback=choice.fallback,
        upstreams=describe_upstreams(own, fates, answers=answers),
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
    reply, failure = asked.said, asked.failure
    return UpstreamTold(
        name=asked.voter,
        sample=asked.sample,
        standing=asked.state.value,
        latency_seconds=round(asked.seconds, 6),
        reason=None if failure is None else failure.failure.value,
        detail=None if failure is None else failure.detail,
        cluster=None if fate is None else fate.cluster,
        gate=None if fate is None else fate.gate,
        similarity=None if fate is None else fate.similarity,
        chosen=fate is not None and fate.chosen,
        finish_reason=None if reply is None else reply.finish_reason,
        prompt_tokens=None if reply is None else reply.prompt_tokens,
        completion_tokens=None if reply is None else reply.completion_tokens,
        answer=_in_words(reply) if reply is not None and answers else None,
    )


def _in_words(reply: Reply) -> str:
    """What an upstream answered, its calls as one would write them."""
    calls = [f"{call.name}({call.arguments})" for call in reply.tool_calls]
    return "\n".join([reply.beside, *calls]).strip() if calls else reply.text

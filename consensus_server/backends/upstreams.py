"""Upstreams over the kit's caller of inference APIs: there is one such caller, not two."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from client_kit import wire
from client_kit.errors import GenerationError
from client_kit.generation.base import Generation
from client_kit.generation.cleaning import Dropped, clean, storable
from client_kit.generation.dialects import Situation
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.openai_compatible import Reply as Generated
from client_kit.generation.seeds import answer_seed
from client_kit.reasoning import strip_reasoning
from consensus_server.core.answer_forms import fitting
from consensus_server.core.federations import AnswerPolicy
from consensus_server.core.inference import (
    DEPTH_HEADER,
    Failure,
    Message,
    Question,
    Reply,
    ToolCall,
    UpstreamFailed,
)

FAILURES: Mapping[Situation, Failure] = MappingProxyType(
    {
        Situation.EMPTY: Failure.EMPTY,
        Situation.REFUSED: Failure.REFUSED_PROMPT,
        Situation.TOO_LONG: Failure.CONTEXT_TOO_LONG,
        Situation.RATE_LIMIT: Failure.RATE_LIMITED,
        Situation.QUOTA: Failure.RATE_LIMITED,
        Situation.OVERLOAD: Failure.SERVER_ERROR,
        Situation.TIMED_OUT: Failure.UNREACHABLE,
        Situation.SERVER_FAILS: Failure.SERVER_ERROR,
        Situation.UNREACHABLE: Failure.UNREACHABLE,
        Situation.MOVED: Failure.MOVED,
        Situation.PROXY: Failure.UNREACHABLE,
        Situation.WRONG_KEY: Failure.REFUSED_KEY,
        Situation.UNKNOWN_MODEL: Failure.UNKNOWN_MODEL,
        Situation.REFUSED_PARAMETER: Failure.REFUSED_PARAMETER,
        Situation.NO_TEMPLATE: Failure.REFUSED_PARAMETER,
        Situation.UNEXPLAINED: Failure.REFUSED_REQUEST,
        Situation.ENDLESS: Failure.NO_COMPLETION,
        Situation.UNREADABLE: Failure.NO_COMPLETION,
    }
)
"""Every situation without a text, in the words of panels and pull mode; a test holds it total."""


class OpenAIUpstream:
    """`ports.Upstream` over an endpoint. Nothing is sent before the first question."""

    def __init__(self, name: str, endpoint: InferenceApi) -> None:
        """Raises MissingExtra without the `openai` client."""
        self.name = name
        self._endpoint = endpoint
        self._caller = OpenAICaller(endpoint)

    async def ask(self, question: Question) -> Reply:
        """Its reply, of the form that is asked for; reasoning blocks are no part of it."""
        form = question.form
        may_call = form is not None and bool(form.tools)
        try:
            depth = {DEPTH_HEADER: str(question.depth + 1)}
            generated = await self._caller.ask(
                self._prompt(question), self._options(question), allow_empty=may_call, headers=depth
            )
        except GenerationError as error:
            raise _failed(error) from error
        reply = _reply(generated, may_call=may_call)
        if not (reply.text or reply.tool_calls):
            told = f"{self._endpoint.base_url} answered with nothing but reasoning."
            raise UpstreamFailed(Failure.EMPTY, told, reply=reply)
        # A schema and an answer may be large: others are served meanwhile.
        return reply if form is None else await asyncio.to_thread(fitting, reply, form)

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    def _prompt(self, question: Question) -> Any:  # noqa: ANN401 - a text, or messages as the protocol has them
        if not question.messages:
            return question.text
        if self._endpoint.api == "chat":
            return [_turn(message) for message in question.messages]
        if [message.role for message in question.messages] == ["user"]:
            return question.last
        raise UpstreamFailed(
            Failure.REFUSED_REQUEST, "A base model (api: completions) continues one text; it holds no conversation."
        )

    def _options(self, question: Question) -> dict[str, Any]:
        """Fields that were asked for; for the others the upstream has defaults of its own."""
        options = {
            "temperature": question.temperature,
            "top_p": question.top_p,
            self._endpoint.token_limit_field: question.max_tokens,
            "stop": list(question.stop) or None,
            "seed": question.seed,
            "presence_penalty": question.presence_penalty,
            "frequency_penalty": question.frequency_penalty,
        }
        fields = {} if question.form is None else question.form.fields
        return {name: value for name, value in options.items() if value is not None} | dict(fields)


def _failed(error: GenerationError) -> UpstreamFailed:
    """With what the endpoint counted, where it gave an answer without words."""
    situation = Situation(error.situation)
    said = None if error.tokens is None else Reply("", wire.FinishReason.UNKNOWN.value, *error.tokens)
    return UpstreamFailed(FAILURES[situation], str(error), reply=said, cost_unknown=error.perhaps_paid)


def _reply(generated: Generated, *, may_call: bool) -> Reply:
    """may_call: whether it was given tools; else calls are nothing that was asked for."""
    text = strip_reasoning(storable(generated.text)).strip()
    calls = (
        ToolCall(storable(call.id), storable(call.name), storable(call.arguments))
        for call in generated.tool_calls
        if may_call
    )
    return Reply(
        text, generated.finish_reason.value, generated.prompt_tokens, generated.completion_tokens, tuple(calls)
    )


def _turn(message: Message) -> dict[str, Any]:
    """A turn as the protocol has it."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["content"] = message.content or None
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return turn


def cleaned(reply: Reply, policy: AnswerPolicy, max_chars: int) -> Reply | str:
    """What a site with this reply would submit under the federation's answer policy, or why it would submit nothing."""
    generation = Generation("p", 0, reply.text, wire.FinishReason(reply.finish_reason))
    rules = wire.AnswerPolicy(truncated=policy.truncated, refusals=policy.refusals)
    answer = clean(generation, rules, max_chars=max_chars)
    if isinstance(answer, Dropped):
        return f"dropped: {answer.value}"
    return replace(reply, text=answer.text, finish_reason=answer.finish_reason.value)


def seed_of_answer(seed: int, prompt_id: str, sample: int) -> int:
    """The seed of one answer, equal to the one that a site's own generator would take."""
    return answer_seed(seed, prompt_id, sample)

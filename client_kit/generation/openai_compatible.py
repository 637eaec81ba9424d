"""The one caller of inference APIs that speak OpenAI's protocol: a provider, vLLM, Ollama, llama.cpp.

Asynchronous, for one event loop. A participant's generator (`openai_generator`) stands above it.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from client_kit._transport import RetryPolicy, retry_after_seconds
from client_kit.errors import ConfigurationError, EmptyAnswer, GenerationError, MissingExtra
from client_kit.generation.throttle import Throttle
from client_kit.wire import FinishReason

if TYPE_CHECKING:
    import openai

Message: TypeAlias = Mapping[str, Any]
"""`role` and `content`, as the protocol has it."""

LONGEST_HOLD_SECONDS = 600.0
"""An endpoint that asks to be left alone for longer (a day's quota) is given up on."""

_FINISH = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceApi:
    """One model behind one address, and how it is asked."""

    base_url: str
    """Up to and including `/v1`."""
    model: str
    """As the endpoint calls it."""
    api_key: str | None = field(default=None, repr=False)
    """None for endpoints that ask for none; the environment's OPENAI_API_KEY is never sent unasked."""
    api: Literal["chat", "completions"] = "chat"
    """`chat` for models tuned to converse, `completions` for base models."""
    concurrency: int = 8
    """Most requests at the same time; fewer while the endpoint is overloaded."""
    timeout_seconds: float = 120.0
    """For one request, from its first byte to the answer's last."""
    retries: int = 4
    """Repetitions of one request after a broken connection, a time-out, 408, 409, 429 or 5xx."""
    token_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # noqa: S105  a field
    """What the endpoint calls the limit on tokens; OpenAI's newer models want `max_completion_tokens`."""
    extra_body: Mapping[str, object] = field(default_factory=dict)
    """Further fields of every request, as the endpoint defines them
    (vLLM: `{"chat_template_kwargs": {"enable_thinking": False}}`)."""
    most_bytes: int = 8 * 1024 * 1024
    """Longest body that is read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model."""

    text: str
    """Where the model declined in the protocol's own field for it, what it wrote there."""
    finish_reason: FinishReason
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    """From the first request to the answer, pauses included."""
    requests: int = 1
    """One and the retries."""


class OpenAICaller:
    """Asks one endpoint: at most so many requests at once, fewer under overload, again what may pass, never for ever."""

    def __init__(self, endpoint: InferenceApi) -> None:
        """Nothing is sent yet. Raises ConfigurationError, and MissingExtra without the `openai` client."""
        if endpoint.concurrency < 1:
            raise ConfigurationError(f"concurrency is {endpoint.concurrency}; it must be 1 or more")
        self.endpoint = endpoint
        self._where = endpoint.base_url.rstrip("/")
        self._client = _client(endpoint)
        self._throttle = Throttle(endpoint.concurrency, slow_seconds=endpoint.timeout_seconds / 2)
        self._policy = RetryPolicy(attempts=endpoint.retries + 1)

    async def ask(
        self,
        prompt: str | Sequence[Message],
        options: Mapping[str, Any] = MappingProxyType({}),
        *,
        prompt_id: str | None = None,
        deadline_seconds: float | None = None,
        allow_empty: bool = False,
    ) -> Reply:
        """One answer.

        prompt: a text, or the messages of a chat (api `chat` only).
        options: fields of the request beside model and prompt (`temperature`, `seed`, `stop`, `max_tokens`, ...); those
            of the endpoint's `extra_body` go before them.
        prompt_id: named in errors.
        deadline_seconds: for everything, waiting and retries included; None: as long as the retries take.
        allow_empty: a model that says nothing gives an empty reply, and no EmptyAnswer.

        Raises GenerationError, by its kind: EndpointUnreachable, EndpointRefusedKey, UnknownModel, ContextTooLong,
        PromptRefused, EmptyAnswer, UnreadableAnswer. Cancelled, it breaks off its request.
        """
        began = time.monotonic()
        deadline = asyncio.timeout(deadline_seconds)
        try:
            async with deadline:
                reply = await self._until_answered(_checked(prompt, self.endpoint), options, prompt_id, began)
        except TimeoutError as error:
            raise self._explained(error, prompt_id) from error
        if not (allow_empty or reply.text.strip()):
            raise EmptyAnswer(_why_empty(self._where, reply.finish_reason), prompt_id=prompt_id)
        return reply

    async def close(self) -> None:
        """Close the connections."""
        with suppress(RuntimeError):  # its event loop is gone, and the connections with it
            await self._client.close()

    async def _until_answered(
        self, prompt: str | list[Message], options: Mapping[str, Any], prompt_id: str | None, began: float
    ) -> Reply:
        for requests in count(1):
            error = None
            async with self._throttle.turn() as turn:
                try:
                    choice, usage = await self._send(prompt, options)
                except Exception as caught:  # noqa: BLE001  told apart, and raised below
                    error, turn.failed, turn.overloaded = caught, True, self._is_overload(caught)
            if error is None:
                return self._reply(choice, usage, prompt_id, time.monotonic() - began, requests)
            pause = self._pause(error, requests)
            if pause is None:
                raise self._explained(error, prompt_id) from error
            await asyncio.sleep(pause)
        raise AssertionError("unreachable: the count has no end")

    async def _send(self, prompt: str | list[Message], options: Mapping[str, Any]) -> tuple[Any, Any]:
        """The first choice and the usage. Raises what `openai` raises, TimeoutError, and errors of reading."""
        model, body = self.endpoint.model, {**self.endpoint.extra_body, **options}
        # The client's own time-outs are between bytes: an endpoint that drips would never meet them.
        async with asyncio.timeout(self.endpoint.timeout_seconds):
            if isinstance(prompt, str):
                answer: Any = await self._client.completions.create(model=model, prompt=prompt, extra_body=body)
                return answer.choices[0], answer.usage
            messages: Any = prompt
            answer = await self._client.chat.completions.create(model=model, messages=messages, extra_body=body)
            return answer.choices[0], answer.usage

    def _reply(self, choice: Any, usage: Any, prompt_id: str | None, seconds: float, requests: int) -> Reply:  # noqa: ANN401
        try:
            text, finish = _text(choice), _FINISH.get(choice.finish_reason or "", FinishReason.UNKNOWN)
            read, written = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
        except (AttributeError, TypeError) as error:
            raise self._explained(error, prompt_id) from error
        return Reply(text, finish, read, written, seconds, requests)

    def _pause(self, error: Exception, requests: int) -> float | None:
        """Seconds until the next attempt; None where there is none."""
        from client_kit.generation.openai_errors import may_pass  # noqa: PLC0415  loads `openai`, as here and below

        if requests > self.endpoint.retries or not may_pass(error):
            return None
        asked = _asked_pause(getattr(error, "response", None))
        if asked is not None:
            if asked > LONGEST_HOLD_SECONDS:
                return None
            self._throttle.hold(asked)
        return self._policy.pause_seconds(requests, asked, random.random())  # noqa: S311  jitter, no secret

    def _is_overload(self, error: Exception) -> bool:
        from client_kit.generation.openai_errors import is_overload  # noqa: PLC0415

        return is_overload(error)

    def _explained(self, error: Exception, prompt_id: str | None) -> GenerationError:
        from client_kit.generation.openai_errors import explain  # noqa: PLC0415

        return explain(error, where=self._where, model=self.endpoint.model, prompt_id=prompt_id)


def _client(endpoint: InferenceApi) -> "openai.AsyncOpenAI":
    try:
        import openai  # noqa: PLC0415  an optional extra, loaded where it is used
    except ImportError as error:
        raise MissingExtra("asking an OpenAI-compatible endpoint", "generate") from error
    from client_kit.generation.bounded_http import BoundedClient  # noqa: PLC0415

    return openai.AsyncOpenAI(
        base_url=endpoint.base_url, api_key=endpoint.api_key or "none", max_retries=0,
        timeout=endpoint.timeout_seconds, http_client=BoundedClient(most_bytes=endpoint.most_bytes),
    )  # fmt: skip


def _checked(prompt: str | Sequence[Message], endpoint: InferenceApi) -> str | list[Message]:
    """A text for completions, messages for a chat."""
    if endpoint.api == "chat":
        return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if not isinstance(prompt, str):
        raise ConfigurationError("the completions API takes a text, not messages; take api: chat")
    return prompt


def _text(choice: Any) -> str:  # noqa: ANN401  a choice of either API
    said = choice.text if hasattr(choice, "text") else choice.message.content or choice.message.refusal
    if said is not None and not isinstance(said, str):
        raise TypeError(f"the answer is no text, but {type(said).__name__}")
    return said or ""


def _why_empty(where: str, finish: FinishReason) -> str:
    reasons = {
        FinishReason.LENGTH: "its tokens ran out before it said anything; raise max_tokens, or turn reasoning off",
        FinishReason.CONTENT_FILTER: "a content filter took its words; leave the prompt out, or ask another model",
    }
    return f"{where} answered with nothing: {reasons.get(finish, 'ask again, or leave the prompt out')}."


def _asked_pause(response: Any) -> float | None:  # noqa: ANN401  of httpx or of httpx2
    """Seconds that the endpoint asks to be left alone for."""
    if response is None:
        return None
    milliseconds = response.headers.get("retry-after-ms", "")
    return float(milliseconds) / 1000 if milliseconds.isdigit() else retry_after_seconds(response)

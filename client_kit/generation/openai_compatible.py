"""The one caller of inference APIs that speak OpenAI's protocol: a provider, vLLM, Ollama, llama.cpp.

Asynchronous, for one event loop. A participant's generator (`openai_generator`) stands above it.
"""

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from client_kit import tracing
from client_kit._transport import RetryPolicy
from client_kit.certificates import ClientCertificate
from client_kit.errors import ConfigurationError, GenerationError, MissingExtra, StorageError
from client_kit.generation.dialects import ForRun, Situation
from client_kit.generation.openai_errors import LONGEST_HOLD_SECONDS, explain
from client_kit.generation.replies import Reading, ToolCall
from client_kit.generation.throttle import Throttle
from client_kit.proxies import environment_explained
from client_kit.wire import FinishReason

if TYPE_CHECKING:
    import openai

Message: TypeAlias = Mapping[str, Any]
"""`role` and `content`, as the protocol has it."""

_REPEATED = frozenset({ForRun.RETRY, ForRun.SLOW_DOWN})

_MANY_WORDS = 200
"""A prompt of fewer words fits every context."""
_LEAST_TOKENS = 0.8
"""Tokens per word below which a prompt was cut. Tokenizers make more than one of a word; some few, less of two."""
_NO_CACHE = 64
"""Servers that count only what their cache did not hold count fewer."""

_log = logging.getLogger(__name__)


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
    omit: tuple[str, ...] = ()
    """Fields that are never sent, because the endpoint refuses them (`seed`, `top_p`)."""
    most_bytes: int = 8 * 1024 * 1024
    """Longest body that is read."""
    client_certificate: ClientCertificate | None = None
    """Shown to the endpoint, or to what stands before it; None for the environment's."""


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
    situation: Situation = Situation.ANSWERED
    """`ANSWERED`, `CUT`, `EMPTY` or `REFUSED`."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What the model wants called."""


class OpenAICaller:
    """Asks one endpoint: at most so many requests at once, fewer under overload, again what may pass, never for ever."""

    def __init__(self, endpoint: InferenceApi) -> None:
        """Nothing is sent yet. Raises ConfigurationError, and MissingExtra without the `openai` client."""
        if endpoint.concurrency < 1:
            raise ConfigurationError(f"concurrency is {endpoint.concurrency}; it must be 1 or more")
        self.endpoint = endpoint
        self._where = endpoint.base_url.rstrip("/")
        self._client = _client(endpoint)
        self._throttle = Throttle(endpoint.concurrency)
        self._policy = RetryPolicy(attempts=endpoint.retries + 1)
        self._told_of_a_cut = False

    async def ask(
        self,
        prompt: str | Sequence[Message],
        options: Mapping[str, Any] = MappingProxyType({}),
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        prompt_id: str | None = None,
        deadline_seconds: float | None = None,
        allow_empty: bool = False,
    ) -> Reply:
        """One answer.

        prompt: a text, or the messages of a chat (api `chat` only).
        options: fields of the request beside model and prompt (`temperature`, `seed`, `stop`, `max_tokens`, ...); those
            of the endpoint's `extra_body` go before them.
        headers: of the request, beside those that every one has.
        prompt_id: named in errors.
        deadline_seconds: for everything, waiting and retries included; None: as long as the retries take.
        allow_empty: a model that says nothing gives an empty reply, and no EmptyAnswer.

        Raises GenerationError, by its kind: EndpointUnreachable, EndpointRefusedKey, UnknownModel, ContextTooLong,
        PromptRefused, EmptyAnswer, UnreadableAnswer. Cancelled, it breaks off its request.
        """
        request = _Request(_checked(prompt, self.endpoint), self._body(options), prompt_id, headers)
        with self._traced(request) as drawn:
            try:
                async with asyncio.timeout(deadline_seconds):
                    reply = await self._until_answered(request, time.monotonic())
            except TimeoutError as error:
                raise self._explained(Reading(situation=Situation.TIMED_OUT), request) from error
            drawn.tell(
                {
                    "gen_ai.usage.input_tokens": reply.prompt_tokens,
                    "gen_ai.usage.output_tokens": reply.completion_tokens,
                    "semantic_consensus.requests": reply.requests,
                }
            )
            if not (allow_empty or reply.text.strip()):
                empty = self._explained(Reading(situation=reply.situation, finish_reason=reply.finish_reason), request)
                empty.tokens = (reply.prompt_tokens, reply.completion_tokens)
                raise empty
        return reply

    def _traced(self, request: "_Request") -> AbstractContextManager[tracing.Drawn]:
        # Nothing of it goes to the endpoint: whose questions belong together is none of a provider's business.
        operation = "chat" if self.endpoint.api == "chat" else "text_completion"
        facts = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": self.endpoint.model,
            "server.address": urlsplit(self._where).hostname,
            "semantic_consensus.prompt": request.prompt_id,
        }
        return tracing.span(f"{operation} {self.endpoint.model}", facts, kind="client")

    def _body(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Fields beside model and prompt, without those that the endpoint is to be spared."""
        fields = {**self.endpoint.extra_body, **options}
        return {name: value for name, value in fields.items() if name not in self.endpoint.omit}

    async def close(self) -> None:
        """Close the connections."""
        with suppress(RuntimeError):  # its event loop is gone, and the connections with it
            await self._client.close()

    async def _until_answered(self, request: "_Request", began: float) -> Reply:
        perhaps_paid = False
        for requests in count(1):
            async with self._throttle.turn() as turn:
                reading = await self._send(request)
                turn.failed = not reading.completed
                turn.overloaded = reading.meaning.run is ForRun.SLOW_DOWN
            if reading.completed:
                self._notice_a_cut(request, reading)
                return _reply(reading, time.monotonic() - began, requests)
            perhaps_paid = perhaps_paid or reading.perhaps_paid
            if (pause := self._pause(reading, requests)) is None:
                failure = self._explained(reading, request)
                failure.perhaps_paid = perhaps_paid
                raise failure
            await asyncio.sleep(pause)
        raise AssertionError("unreachable: the count has no end")

    async def _send(self, request: "_Request") -> Reading:
        """What comes of one request; a reply that never comes is a reading too."""
        from client_kit.generation.bounded_http import read_failure, read_response  # noqa: PLC0415  loads `openai`

        try:
            # The client's own time-outs are between bytes: an endpoint that drips would never meet them.
            async with asyncio.timeout(self.endpoint.timeout_seconds):
                return read_response((await self._post(request)).http_response)
        except Exception as error:  # noqa: BLE001  told apart there
            for unrecorded in (error, error.__cause__):  # `openai` may wrap it, by version
                if isinstance(unrecorded, StorageError):
                    raise unrecorded from None  # what cannot be recorded is not sent
            return read_failure(error)

    async def _post(self, request: "_Request") -> Any:  # noqa: ANN401  a raw response of `openai`
        model, prompt, body = self.endpoint.model, request.prompt, request.body
        if isinstance(prompt, str):
            return await self._client.completions.with_raw_response.create(
                model=model, prompt=prompt, extra_body=body, extra_headers=request.headers
            )
        messages: Any = prompt
        return await self._client.chat.completions.with_raw_response.create(
            model=model, messages=messages, extra_body=body, extra_headers=request.headers
        )

    def _pause(self, reading: Reading, requests: int) -> float | None:
        """Seconds until the next attempt; None where there is none."""
        asked = reading.pause_seconds
        if reading.meaning.run not in _REPEATED or requests > self.endpoint.retries:
            return None
        if asked is not None:
            if asked > LONGEST_HOLD_SECONDS:
                return None
            self._throttle.hold(asked)
        return self._policy.pause_seconds(requests, asked, random.random())  # noqa: S311  jitter, no secret

    def _explained(self, reading: Reading, request: "_Request") -> GenerationError:
        return explain(
            reading, where=self._where, model=self.endpoint.model, prompt_id=request.prompt_id, sent=request.body
        )

    def _notice_a_cut(self, request: "_Request", reading: Reading) -> None:
        """Tell, once, that the endpoint reads less than it is sent."""
        words = request.words()
        if (
            self._told_of_a_cut
            or words < _MANY_WORDS
            or not _NO_CACHE <= (reading.prompt_tokens or 0) < words * _LEAST_TOKENS
        ):
            return
        self._told_of_a_cut = True
        named = f"prompt {request.prompt_id}" if request.prompt_id else "a prompt"
        _log.warning(
            "%s read %d tokens of %s, which has %d words: it cuts long prompts and does not say so. Raise its context "
            "(Ollama: OLLAMA_CONTEXT_LENGTH; LM Studio: context length; llama.cpp: --ctx-size).",
            self._where, reading.prompt_tokens, named, words,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Request:
    """One prompt, as it is sent."""

    prompt: str | list[Message]
    body: Mapping[str, Any]
    """Fields beside model and prompt."""
    prompt_id: str | None
    headers: Mapping[str, str]

    def words(self) -> int:
        """Words between white space; no tokenizer in use makes fewer tokens of them."""
        texts = [self.prompt] if isinstance(self.prompt, str) else [message.get("content") for message in self.prompt]
        return sum(len(text.split()) for text in texts if isinstance(text, str))


def _reply(reading: Reading, seconds: float, requests: int) -> Reply:
    return Reply(
        reading.text, reading.finish_reason, reading.prompt_tokens, reading.completion_tokens, seconds, requests,
        reading.situation, reading.tool_calls,
    )  # fmt: skip


def _client(endpoint: InferenceApi) -> "openai.AsyncOpenAI":
    try:
        import openai  # noqa: PLC0415  an optional extra, loaded where it is used
    except ImportError as error:
        raise MissingExtra("asking an OpenAI-compatible endpoint", "generate") from error
    from client_kit.generation.bounded_http import BoundedClient  # noqa: PLC0415

    with environment_explained():
        http = BoundedClient(endpoint.base_url, most_bytes=endpoint.most_bytes, certificate=endpoint.client_certificate)
        return openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key=endpoint.api_key or "none", max_retries=0,
            timeout=endpoint.timeout_seconds, http_client=http,
        )  # fmt: skip


def _checked(prompt: str | Sequence[Message], endpoint: InferenceApi) -> str | list[Message]:
    """A text for completions, messages for a chat."""
    if endpoint.api == "chat":
        return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if not isinstance(prompt, str):
        raise ConfigurationError("the completions API takes a text, not messages; take api: chat")
    return prompt

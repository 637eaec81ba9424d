"""Answers from any inference API that speaks OpenAI's: a provider, vLLM, Ollama, llama.cpp."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from client_kit.errors import (
    ConfigurationError,
    ContextTooLong,
    EndpointRefusedKey,
    EndpointUnreachable,
    GenerationError,
    MissingExtra,
    UnknownModel,
)
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.seeds import answer_seed
from client_kit.wire import FinishReason, Prompt

if TYPE_CHECKING:
    import openai

_FINISH = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}

_TOO_LONG = ("context_length", "context length", "maximum context", "context window", "too many tokens")
"""What servers write when prompt and answer do not fit; only OpenAI's own has a code for it."""


class OpenAICompatibleGenerator:
    """Asks an endpoint, several prompts at a time; the `openai` client repeats what fails in passing.

    model: as the endpoint calls it.
    base_url: up to and including `/v1`.
    api_key: None for endpoints that ask for none; the environment's OPENAI_API_KEY is never sent unasked.
    api: `chat` for models tuned to converse, `completions` for base models.
    concurrency: most requests at the same time.
    timeout_seconds: for one request.
    retries: repetitions of one request after a broken connection, 408, 409, 429 or 5xx.
    token_limit_field: what the endpoint calls the limit on tokens; OpenAI's newer models want `max_completion_tokens`.
    extra_body: further fields of every request, as the endpoint defines them
        (vLLM: `{"chat_template_kwargs": {"enable_thinking": False}}`).
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: str | None = None,
        api: Literal["chat", "completions"] = "chat",
        concurrency: int = 8,
        timeout_seconds: float = 120.0,
        retries: int = 4,
        token_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",  # noqa: S107  a field
        extra_body: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        if concurrency < 1:
            raise ConfigurationError(f"concurrency is {concurrency}; it must be 1 or more")
        try:
            import openai  # noqa: PLC0415  an optional extra, loaded where it is used
        except ImportError as error:
            raise MissingExtra("asking an OpenAI-compatible endpoint", "generate") from error
        self._client = openai.OpenAI(
            base_url=base_url, api_key=api_key or "none", timeout=timeout_seconds, max_retries=retries
        )
        self._openai = openai
        self._model = model
        self._base_url = base_url.rstrip("/")
        self._api = api
        self._concurrency = concurrency
        self._token_limit_field = token_limit_field
        self._extra_body = dict(extra_body)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield answers as they come. After a failure no new request begins; answers under way are still yielded."""
        jobs = ((prompt, sample) for prompt in prompts for sample in range(sampling.samples))
        failure: Exception | None = None
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="generation") as pool:
            pending: set[Future[Generation]] = set()
            while True:
                room = 0 if failure else self._concurrency - len(pending)
                pending |= {pool.submit(self._ask, *job, sampling) for job in islice(jobs, room)}
                if not pending:
                    break
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    if (error := future.exception()) is None:
                        yield future.result()
                    elif isinstance(error, Exception):
                        failure = failure or error
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, prompt: Prompt, sample: int, sampling: Sampling) -> Generation:
        try:
            return (
                self._chat(prompt, sample, sampling)
                if self._api == "chat"
                else self._complete(prompt, sample, sampling)
            )
        except self._openai.OpenAIError as error:
            raise self._explained(error, prompt.prompt_id) from error
        except (IndexError, AttributeError, TypeError) as error:
            raise GenerationError(
                f"{self._base_url} answered with something that is no {self._api} completion. "
                "Check that base_url ends with /v1 and names an OpenAI-compatible endpoint.",
                prompt_id=prompt.prompt_id,
            ) from error

    def _chat(self, prompt: Prompt, sample: int, sampling: Sampling) -> Generation:
        answer = self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": prompt.prompt}],
            **self._options(prompt, sample, sampling),
        )
        choice = answer.choices[0]
        text = choice.message.content or choice.message.refusal or ""
        return _generation(prompt, sample, text, choice.finish_reason, answer.usage)

    def _complete(self, prompt: Prompt, sample: int, sampling: Sampling) -> Generation:
        answer = self._client.completions.create(
            model=self._model, prompt=prompt.prompt, **self._options(prompt, sample, sampling)
        )
        choice = answer.choices[0]
        return _generation(prompt, sample, choice.text, choice.finish_reason, answer.usage)

    def _options(self, prompt: Prompt, sample: int, sampling: Sampling) -> dict[str, Any]:
        """Fields that both APIs share. The seed is the prompt's own, so that order and company do not matter."""
        options: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": answer_seed(sampling.seed, prompt.prompt_id, sample),
            "extra_body": {self._token_limit_field: sampling.max_tokens, **self._extra_body},
        }
        return options | ({"stop": list(sampling.stop)} if sampling.stop else {})

    def _explained(self, error: "openai.OpenAIError", prompt_id: str) -> GenerationError:
        for cause, kind, message in self._diagnoses():
            if isinstance(error, cause):
                return kind(message, prompt_id=prompt_id)
        said = error.message if isinstance(error, self._openai.APIError) else str(error)
        if any(sign in f"{getattr(error, 'code', '')} {said}".lower() for sign in _TOO_LONG):
            message = f"prompt and answer do not fit the model's context ({said}). Lower max_tokens."
            return ContextTooLong(message, prompt_id=prompt_id)
        return GenerationError(f"{self._base_url} refused the request: {said}", prompt_id=prompt_id)

    def _diagnoses(self) -> list[tuple[type[Exception], type[GenerationError], str]]:
        """Cause, exception, and what to do; the first that fits counts. No message repeats what might hold the key."""
        errors, where = self._openai, self._base_url
        refused = f"{where} does not accept the key. Check the key and what it may use."
        return [
            (
                errors.APITimeoutError,
                EndpointUnreachable,
                f"{where} did not answer in time. Raise timeout_seconds or lower concurrency.",
            ),
            (
                errors.APIConnectionError,
                EndpointUnreachable,
                f"{where} cannot be reached. Check that it runs and that the address is right.",
            ),
            (errors.AuthenticationError, EndpointRefusedKey, refused),
            (errors.PermissionDeniedError, EndpointRefusedKey, refused),
            (
                errors.NotFoundError,
                UnknownModel,
                f"{where} has no model {self._model!r}, or no such path. GET {where}/models lists its models.",
            ),
            (
                errors.RateLimitError,
                EndpointUnreachable,
                f"{where} limits the rate, after all retries. Lower concurrency; check the quota.",
            ),
            (
                errors.InternalServerError,
                EndpointUnreachable,
                f"{where} fails, after all retries. Look into its log.",
            ),
        ]


def _generation(prompt: Prompt, sample: int, text: str, finish: str | None, usage: Any) -> Generation:  # noqa: ANN401
    return Generation(
        prompt_id=prompt.prompt_id,
        sample=sample,
        text=text,
        finish_reason=_FINISH.get(finish or "", FinishReason.UNKNOWN),
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
    )

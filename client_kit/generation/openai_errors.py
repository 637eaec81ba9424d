"""What went wrong at an inference API, in the kit's words: cause, prompt, remedy. Imported late: it needs `openai`."""

import openai

from client_kit.errors import (
    ContextTooLong,
    EndpointRefusedKey,
    EndpointUnreachable,
    GenerationError,
    PromptRefused,
    UnknownModel,
    UnreadableAnswer,
)
from client_kit.generation.bounded_http import BodyTooLarge

_TOO_LONG = (
    "context_length",
    "context length",
    "maximum context",
    "context window",
    "too many tokens",
    "max_model_len",
)
"""What servers write when prompt and answer do not fit; only OpenAI's own has a code for it."""

_FILTERED = ("content_filter", "content_policy", "content management policy", "safety system")
"""What providers write when a filter refuses a prompt."""

_NO_TEMPLATE = ("chat template", "chat_template")

_OUT_OF_MONEY = "insufficient_quota"

_REPEATED = frozenset({408, 409, 429})
"""Statuses below 500 after which the same request may succeed."""

_SERVER_FAILS = 500
"""This status and those above."""

_MOST_SAID = 300
"""Characters of a server's message that are repeated."""

_OVERLOAD = frozenset({429, 503, 529})
"""Statuses by which an endpoint says that it has too much to do."""


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, TimeoutError):
        return True
    if isinstance(error, openai.APIStatusError):
        return error.code != _OUT_OF_MONEY and (error.status_code in _REPEATED or error.status_code >= _SERVER_FAILS)
    return isinstance(error, openai.APIConnectionError)


def is_overload(error: Exception) -> bool:
    """Whether the endpoint has too much to do."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _OVERLOAD
    return isinstance(error, TimeoutError | openai.APITimeoutError)


def explain(error: Exception, *, where: str, model: str, prompt_id: str | None) -> GenerationError:
    """The error to raise instead. No message repeats what might hold the key, but what the server wrote of the request.

    where: the endpoint's address.
    """
    kind, message = _diagnosis(error, where, model)
    return kind(message, prompt_id=prompt_id)


def _diagnosis(error: Exception, where: str, model: str) -> tuple[type[GenerationError], str]:
    for causes, kind, message in _table(where, model):
        if isinstance(error, causes):
            return kind, message
    said = error.message if isinstance(error, openai.APIError) else str(error)
    return _by_words(f"{getattr(error, 'code', '')} {said}".lower(), _short(said), where)


def _by_words(signs: str, said: str, where: str) -> tuple[type[GenerationError], str]:
    if any(sign in signs for sign in _TOO_LONG):
        return ContextTooLong, f"prompt and answer do not fit the model's context ({said}). Lower max_tokens."
    if any(sign in signs for sign in _FILTERED):
        return PromptRefused, f"{where} refuses this prompt ({said}). Leave it out, or ask another model."
    if any(sign in signs for sign in _NO_TEMPLATE):
        return GenerationError, (
            f"the model has no chat template ({said}). Take api: completions, or start the server with a template."
        )
    return GenerationError, f"{where} refused the request: {said}. Look at sampling and extra_body."


Row = tuple[type[Exception] | tuple[type[Exception], ...], type[GenerationError], str]


def _table(where: str, model: str) -> list[Row]:
    """Cause, exception, and what to do; the first that fits counts."""
    refused = f"{where} does not accept the key. Check the key and what it may use."
    return [
        (
            BodyTooLarge,
            UnreadableAnswer,
            f"{where} sends an answer without end. Look into its log; lower max_tokens, or take another endpoint.",
        ),
        (
            (TimeoutError, openai.APITimeoutError),
            EndpointUnreachable,
            f"{where} did not answer in time. Raise timeout_seconds or lower concurrency.",
        ),
        (
            openai.APIConnectionError,
            EndpointUnreachable,
            f"{where} cannot be reached. Check that it runs and that the address is right.",
        ),
        (openai.AuthenticationError, EndpointRefusedKey, refused),
        (openai.PermissionDeniedError, EndpointRefusedKey, refused),
        (
            openai.NotFoundError,
            UnknownModel,
            f"{where} has no model {model!r}, or no such path. GET {where}/models lists its models.",
        ),
        (
            openai.RateLimitError,
            EndpointUnreachable,
            f"{where} limits the rate, after all retries. Lower concurrency; check the quota.",
        ),
        (
            openai.InternalServerError,
            EndpointUnreachable,
            f"{where} fails, after all retries. Look into its log.",
        ),
        (
            (AttributeError, IndexError, TypeError, ValueError),
            UnreadableAnswer,
            f"{where} answered with something that is no completion. Does base_url end with /v1, and speak OpenAI's API?",
        ),
    ]


def _short(said: str) -> str:
    folded = " ".join(said.split())
    return folded if len(folded) <= _MOST_SAID else f"{folded[:_MOST_SAID]}..."

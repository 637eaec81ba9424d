"""What replies of inference APIs mean, whoever serves them: for the one prompt, and for the run. Data only.

`replies.read` finds the situation of a reply by `SIGNS` and `OF_STATUS`; `MEANINGS` says what follows. Everybody who asks an
endpoint goes by these tables: a participant's generator, pull mode, panels, the embeddings encoder. Examples of replies, with
their sources, stand in tests/dialects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Situation(StrEnum):
    """What an endpoint tells by a reply, or by none."""

    ANSWERED = "answered"
    CUT = "cut"
    """A text that is not finished: the limit of tokens, an abort, an end of no known name."""
    EMPTY = "empty"
    """A completion without words, or with reasoning only; and the abstention of a panel."""
    REFUSED = "refused"
    """A filter or a moderation takes the prompt, or its answer."""
    TOO_LONG = "too_long"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    """No money, or no quota that comes back within minutes."""
    OVERLOAD = "overload"
    TIMED_OUT = "timed_out"
    SERVER_FAILS = "server_fails"
    UNREACHABLE = "unreachable"
    MOVED = "moved"
    """It sends the request on to another address (3xx), and no redirect is followed."""
    WRONG_KEY = "wrong_key"
    UNKNOWN_MODEL = "unknown_model"
    REFUSED_PARAMETER = "refused_parameter"
    NO_TEMPLATE = "no_template"
    PROXY = "proxy"
    """A proxy on the way refuses: the endpoint never saw the request."""
    ENDLESS = "endless"
    UNREADABLE = "unreadable"
    """A body of no known dialect."""
    UNEXPLAINED = "unexplained"
    """The request is refused in words that say neither what is wrong with it nor with the prompt."""


class ForPrompt(StrEnum):
    """What is known of the prompt's answer."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TOO_LONG = "too_long"
    CUT = "cut"
    EMPTY = "empty"
    """There is nothing to use."""


class ForRun(StrEnum):
    """How one goes on."""

    GO_ON = "go_on"
    RETRY = "retry"
    SLOW_DOWN = "slow_down"
    """Ask again, with fewer requests at once."""
    STOP = "stop"
    """Every other prompt would meet the same."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What follows from a situation."""

    prompt: ForPrompt | None
    """None: nothing is known of the prompt."""
    run: ForRun
    doubtful: bool = False
    """It costs its prompt if the endpoint answers others, and ends the run if it has answered nobody yet."""


MEANINGS: Mapping[Situation, Meaning] = MappingProxyType(
    {
        Situation.ANSWERED: Meaning(ForPrompt.ANSWERED, ForRun.GO_ON),
        Situation.CUT: Meaning(ForPrompt.CUT, ForRun.GO_ON),
        Situation.EMPTY: Meaning(ForPrompt.EMPTY, ForRun.GO_ON),
        Situation.REFUSED: Meaning(ForPrompt.REFUSED, ForRun.GO_ON),
        Situation.TOO_LONG: Meaning(ForPrompt.TOO_LONG, ForRun.GO_ON),
        Situation.RATE_LIMIT: Meaning(None, ForRun.SLOW_DOWN),
        Situation.QUOTA: Meaning(None, ForRun.STOP),
        Situation.OVERLOAD: Meaning(None, ForRun.SLOW_DOWN),
        Situation.TIMED_OUT: Meaning(None, ForRun.SLOW_DOWN),
        Situation.SERVER_FAILS: Meaning(None, ForRun.RETRY),
        Situation.UNREACHABLE: Meaning(None, ForRun.RETRY),
        Situation.MOVED: Meaning(None, ForRun.STOP),
        Situation.WRONG_KEY: Meaning(None, ForRun.STOP),
        Situation.UNKNOWN_MODEL: Meaning(None, ForRun.STOP),
        Situation.REFUSED_PARAMETER: Meaning(None, ForRun.STOP),
        Situation.NO_TEMPLATE: Meaning(None, ForRun.STOP),
        Situation.PROXY: Meaning(None, ForRun.STOP),
        Situation.ENDLESS: Meaning(ForPrompt.EMPTY, ForRun.GO_ON, doubtful=True),
        Situation.UNREADABLE: Meaning(ForPrompt.EMPTY, ForRun.GO_ON, doubtful=True),
        Situation.UNEXPLAINED: Meaning(ForPrompt.REFUSED, ForRun.GO_ON, doubtful=True),
    }
)
"""The table; a test holds it total."""

COMPLETIONS = frozenset({Situation.ANSWERED, Situation.CUT, Situation.EMPTY})
"""Situations in which the endpoint did what it was asked; `REFUSED` may be one too."""

UNREAD = frozenset({Situation.TIMED_OUT, Situation.UNREACHABLE, Situation.ENDLESS, Situation.UNREADABLE})
"""Situations in which a model may have answered, and nobody knows how much."""

ANY_ERROR: frozenset[int | None] = frozenset({None, *range(400, 600)})
_NOT_LIMITS = ANY_ERROR - {401, 429}
_REQUESTS = frozenset({None, 400, 403, 404, 422})

SIGNS: tuple[tuple[Situation, frozenset[int | None], tuple[str, ...]], ...] = (
    # A quota per minute that the prompt alone exceeds: no pause helps it.
    (Situation.TOO_LONG, frozenset({429}), ("request too large for",)),
    (
        Situation.TOO_LONG,
        _NOT_LIMITS,
        (
            "context_length", "context length", "maximum context", "context window", "contextwindow", "context limit",
            "context size", "context_size", "maximum model length", "max_model_len", "maximum prompt length",
            "prompt is too long", "prompt too long", "input is too long", "input too long", "string too long",
            "too many input tokens", "too large for model", "input token count", "maximum number of tokens allowed",
            "`inputs` tokens", "`inputs` must have less", "n_ctx", "tokens to keep from the initial prompt",
            "reduce the length",
        ),
    ),
    (
        Situation.REFUSED,
        _NOT_LIMITS,
        (
            "content_filter", "content filter", "content_policy", "content policy", "content management policy",
            "contentpolicy", "safety system", "content exists risk", "flagged", "moderation", "usage policy",
            "usage policies", "responsibleai", "guardrail", "prohibited_content", "data_inspection_failed",
            "inappropriate content", "sensitive content", "敏感",
        ),
    ),
    (
        Situation.QUOTA,
        ANY_ERROR,
        (
            "insufficient_quota", "insufficient balance", "insufficient credits", "insufficient_credits",
            "credit balance is too low", "billing_hard_limit", "billing hard limit", "more credits",
        ),
    ),
    (
        Situation.WRONG_KEY,
        _REQUESTS,
        (
            "valid api key", "api key not valid", "invalid_api_key", "api_key_invalid", "invalid api key",
            "incorrect api key", "authentication", "no_db_connection",  # LiteLLM's proxy without a database, of keys but its own
        ),
    ),
    (
        Situation.UNKNOWN_MODEL,
        _REQUESTS,
        (
            "model_not_found", "invalid_model", "invalid model", "not a valid model", "unsupported model", "unknown model",
            "no models loaded", "model not exist", "deploymentnotfound",
        ),
    ),
    (Situation.NO_TEMPLATE, frozenset({None, 400, 422, 500}), ("chat template", "chat_template", "chat-template")),
    (
        Situation.REFUSED_PARAMETER,
        frozenset({None, 400, 422}),
        (
            "unsupported_parameter", "unsupported parameter", "unsupported_value", "unsupported value", "unsupportedparams",
            "extra_forbidden", "extra inputs", "unknown_parameter", "unknown parameter", "unrecognized",
            "unknown name", "unknown field", "cannot both be specified", "input should be", "must be non-negative",
            "must be in", "must be less than", "must be greater than", "must be >", "must be <",
        ),
    ),
    (Situation.RATE_LIMIT, frozenset({None, 400, 403}), ("throttling", "rate limit", "rate_limit", "too many requests")),
    (Situation.OVERLOAD, frozenset({None, 500, 502}), ("overloaded", "server busy", "throttling")),
)  # fmt: skip
"""Situation, statuses at which it counts, and words in lower case of which one stands in what the server says; the first that
fits. None: an error inside a body of status 200 that names no status."""

OF_STATUS: Mapping[int, Situation] = {
    401: Situation.WRONG_KEY,
    402: Situation.QUOTA,
    403: Situation.WRONG_KEY,
    404: Situation.UNKNOWN_MODEL,
    405: Situation.UNKNOWN_MODEL,
    407: Situation.PROXY,
    408: Situation.TIMED_OUT,
    409: Situation.SERVER_FAILS,
    413: Situation.TOO_LONG,
    424: Situation.SERVER_FAILS,
    425: Situation.SERVER_FAILS,
    429: Situation.RATE_LIMIT,
    451: Situation.REFUSED,
    498: Situation.OVERLOAD,
    503: Situation.OVERLOAD,
    504: Situation.TIMED_OUT,
    524: Situation.TIMED_OUT,
    529: Situation.OVERLOAD,
}
"""What a status says where the words say nothing."""

STATUS_OF_TYPE: Mapping[str, int] = {
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "api_error": 500,
    "server_error": 500,
    "resource_exhausted": 429,
    "unauthenticated": 401,
    "permission_denied": 403,
    "unavailable": 503,
    "internal": 500,
    "deadline_exceeded": 504,
}
"""The status that an error's type stands for, in lower case, where it names none."""

"""What went wrong at an inference API, in the kit's words: cause, prompt, remedy."""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from client_kit.certificates import told_of_tls
from client_kit.errors import (
    ContextTooLong,
    EmptyAnswer,
    EndpointRefusedKey,
    EndpointUnreachable,
    GenerationError,
    PromptRefused,
    UnknownModel,
    UnreadableAnswer,
)
from client_kit.generation.dialects import Situation
from client_kit.generation.replies import Reading
from client_kit.proxies import proxy_for
from client_kit.wire import FinishReason

LONGEST_HOLD_SECONDS = 600.0
"""An endpoint that asks to be left alone for longer (a day's quota) is given up on."""

ERRORS: Mapping[Situation, tuple[type[GenerationError], str]] = MappingProxyType(
    {
        Situation.EMPTY: (EmptyAnswer, "{where} answered with nothing: {why_empty}."),
        Situation.REFUSED: (
            PromptRefused,
            "{where} refuses this prompt{said}. Leave it out, or ask another model.",
        ),
        Situation.TOO_LONG: (
            ContextTooLong,
            "prompt and answer do not fit the model's context{said}. Lower max_tokens.",
        ),
        Situation.RATE_LIMIT: (
            EndpointUnreachable,
            "{where} limits the rate, {patience}{said}. Lower concurrency; check the quota.",
        ),
        Situation.QUOTA: (
            EndpointUnreachable,
            "{where} has no quota left for this key{said}. Check the quota and the bill; what is answered is kept.",
        ),
        Situation.OVERLOAD: (
            EndpointUnreachable,
            "{where} is overloaded, {patience}{said}. Lower concurrency, or come again later.",
        ),
        Situation.TIMED_OUT: (
            EndpointUnreachable,
            "{where} did not answer in time{said}. Raise timeout_seconds or lower concurrency.",
        ),
        Situation.SERVER_FAILS: (
            EndpointUnreachable,
            "{where} fails, {patience}{said}. Look into its log.",
        ),
        Situation.UNREACHABLE: (
            EndpointUnreachable,
            "{where} cannot be reached{way}{check}",
        ),
        Situation.MOVED: (
            EndpointUnreachable,
            "{where} sends requests on{said}, and no redirect is followed. Put the address where it is now into base_url.",
        ),
        Situation.WRONG_KEY: (
            EndpointRefusedKey,
            "{where} does not accept the key. Check the key and what it may use.",
        ),
        Situation.UNKNOWN_MODEL: (
            UnknownModel,
            "{where} has no model {model!r}, or no such path. GET {where}/models lists its models.",
        ),
        Situation.REFUSED_PARAMETER: (
            GenerationError,
            "{where} refused the request{told}. Look at sampling and extra_body{omit}.",
        ),
        Situation.NO_TEMPLATE: (
            GenerationError,
            "the model has no chat template{said}. Take api: completions, or start the server with a template.",
        ),
        Situation.PROXY: (
            EndpointUnreachable,
            "a proxy on the way to {where}{way} refuses the request{said}. Ask who runs it, or exempt the host in NO_PROXY.",
        ),
        Situation.ENDLESS: (
            UnreadableAnswer,
            "{where} sends an answer without end. Look into its log; lower max_tokens, or take another endpoint.",
        ),
        Situation.UNREADABLE: (
            UnreadableAnswer,
            "{where} answered with something that is no completion. Does base_url end with /v1, and speak OpenAI's API?{heard}",
        ),
        Situation.UNEXPLAINED: (
            GenerationError,
            "{where} refused the request{told}. Look at sampling and extra_body, and at this prompt{omit}.",
        ),
    }
)
"""Exception and message of every situation without a text; a test holds it total."""

_SECRETIVE = frozenset({Situation.WRONG_KEY, Situation.UNKNOWN_MODEL})
"""What a server says here may repeat the key."""


def explain(
    reading: Reading, *, where: str, model: str, prompt_id: str | None = None, sent: Collection[str] = ()
) -> GenerationError:
    """The error to raise instead of a text. No message repeats what might hold the key.

    where: the endpoint's address. sent: fields of the request, so that the one that is refused can be named.
    """
    kind, template = ERRORS[reading.situation]
    error = kind(template.format_map(_words(reading, where, model, sent)), prompt_id=prompt_id)
    error.situation = reading.situation.value
    return error


def _words(reading: Reading, where: str, model: str, sent: Collection[str]) -> dict[str, str]:
    refused = sorted(name for name in sent if re.search(rf"\b{name}\b", reading.said))
    proxy = proxy_for(where)
    return {
        "where": where,
        "model": model,
        "said": f" ({reading.said})" if reading.said and reading.situation not in _SECRETIVE else "",
        "heard": f" It says: {reading.said}." if reading.said else "",
        "told": f": {reading.said}" if reading.said else "",
        "omit": f"; to leave a field out: omit: [{', '.join(refused)}]" if refused else "",
        "way": f" through the proxy {proxy}" if proxy else "",
        "check": f": {tls}"
        if (tls := told_of_tls(reading.said))
        else ". Check that it runs and that the address is right.",
        "patience": _patience(reading.pause_seconds),
        "why_empty": _WHY_EMPTY.get(reading.finish_reason, "ask again, or leave the prompt out"),
    }


def _patience(asked: float | None) -> str:
    if asked is None or asked <= LONGEST_HOLD_SECONDS:
        return "after all retries"
    return f"and asks to be left alone for {asked / 3600:.1f} hours"


_WHY_EMPTY = {
    FinishReason.LENGTH: "its tokens ran out before it said anything; raise max_tokens, or turn reasoning off",
}

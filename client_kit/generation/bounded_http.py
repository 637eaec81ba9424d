"""HTTP clients for `openai` that follow no redirect and give up on bodies without end. Imported late: they need `openai`."""

import time
from typing import Any

import openai

from client_kit import egress
from client_kit.certificates import ClientCertificate
from client_kit.generation.dialects import Situation
from client_kit.generation.replies import Reading, read
from client_kit.proxies import http_options


class BodyTooLarge(openai.OpenAIError):
    """A body of more bytes than any answer has; `openai` passes it on as it is."""


class BodyTooSlow(openai.OpenAIError, TimeoutError):  # noqa: N818  reads as what happened
    """A body that drips, and would never meet the time-outs between bytes."""


class BoundedClient(openai.DefaultAsyncHttpxClient):
    """Follows no redirect, and reads every body up to a limit, error bodies too, and decompressed.

    The endpoint is trusted neither with memory nor with where a conversation goes. Written against what `httpx` and its
    successor `httpx2` share, for `openai` may be built on either.
    """

    def __init__(self, base_url: str, *, most_bytes: int, certificate: ClientCertificate | None = None) -> None:
        super().__init__(**http_options(base_url, certificate), event_hooks=egress.async_hooks(egress.Kind.PROMPTS))
        self._most_bytes = most_bytes

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:  # noqa: ANN401, ARG002  as httpx has it
        """Send, and read the whole body. Raises BodyTooLarge."""
        response = await super().send(request, stream=True, **options | _NO_REDIRECTS)
        body = _Body(self._most_bytes)
        try:
            async for chunk in response.aiter_bytes():
                body.add(chunk)
        finally:
            await response.aclose()
        return _whole(response, body)


class BoundedSyncClient(openai.DefaultHttpxClient):
    """As BoundedClient, blocking, and with a limit of time for one body: here nobody can cancel a request."""

    def __init__(self, base_url: str, *, most_bytes: int, most_seconds: float) -> None:
        super().__init__(**http_options(base_url), event_hooks=egress.hooks(egress.Kind.OTHER))
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds

    def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:  # noqa: ANN401, ARG002  as httpx has it
        """Send, and read the whole body. Raises BodyTooLarge and BodyTooSlow."""
        response = super().send(request, stream=True, **options | _NO_REDIRECTS)
        body, until = _Body(self._most_bytes), time.monotonic() + self._most_seconds
        try:
            for chunk in response.iter_bytes():
                body.add(chunk)
                if time.monotonic() > until:
                    raise BodyTooSlow(f"the answer was not whole after {self._most_seconds:g} seconds")
        finally:
            response.close()
        return _whole(response, body)


class _Body:
    """The bytes of one body so far."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.content = bytearray()

    def add(self, chunk: bytes) -> None:
        if len(self.content) + len(chunk) > self._most_bytes:
            raise BodyTooLarge(f"the answer has more than {self._most_bytes:,} bytes")
        self.content += chunk


def _whole(response: Any, body: _Body) -> Any:  # noqa: ANN401  a class of httpx or of httpx2
    # The body is decoded: what described its form on the wire no longer holds.
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _OF_THE_WIRE]
    content = bytes(body.content)
    return type(response)(response.status_code, headers=headers, content=content, request=response.request)


_NO_REDIRECTS = {"follow_redirects": False}
"""Whatever `openai` asks for: who moves an endpoint tells its operator, and sends nobody's words to another address."""

_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def read_response(response: Any) -> Reading:  # noqa: ANN401  of httpx or of httpx2
    """A reply as `openai` passes it on."""
    return read(response.status_code, response.headers, response.content)


def read_failure(error: Exception) -> Reading:
    """What an exception of a request tells: one with a reply, or one for which no reply came."""
    if isinstance(error, openai.APIStatusError):
        return read_response(error.response)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Reading(situation=Situation.TIMED_OUT, sent=type(error.__cause__).__name__ != "ConnectTimeout")
    if isinstance(error, BodyTooLarge):
        return Reading(situation=Situation.ENDLESS)
    if isinstance(error, openai.APIConnectionError):
        refused = type(error.__cause__).__name__ == "ProxyError"
        situation = Situation.PROXY if refused else Situation.UNREACHABLE
        sent = type(error.__cause__).__name__ != "ConnectError"
        return Reading(situation=situation, said=str(error.__cause__ or ""), sent=sent)
    return Reading(situation=Situation.UNREADABLE, said=type(error).__name__)

"""An HTTP client for `openai` that gives up on bodies without end. Imported late: it needs `openai`."""

from typing import Any

import openai

from client_kit.certificates import ClientCertificate
from client_kit.generation.dialects import Situation
from client_kit.generation.replies import Reading, read
from client_kit.proxies import http_options


class BodyTooLarge(openai.OpenAIError):
    """A body of more bytes than any completion has; `openai` passes it on as it is."""


class BoundedClient(openai.DefaultAsyncHttpxClient):
    """Reads every body up to a limit, error bodies too, and decompressed: the endpoint is not trusted with memory.

    Written against what `httpx` and its successor `httpx2` share, for `openai` may be built on either.
    """

    def __init__(self, base_url: str, *, most_bytes: int, certificate: ClientCertificate | None = None) -> None:
        super().__init__(**http_options(base_url, certificate))
        self._most_bytes = most_bytes

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:  # noqa: ANN401, ARG002  as httpx has it
        """Send, and read the whole body. Raises BodyTooLarge."""
        response = await super().send(request, stream=True, **options)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        # The body is decoded: what described its form on the wire no longer holds.
        headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _OF_THE_WIRE]
        return type(response)(
            response.status_code, headers=headers, content=body, request=response.request, history=response.history
        )

    async def _read(self, response: Any) -> bytes:  # noqa: ANN401  a class of httpx or of httpx2
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._most_bytes:
                raise BodyTooLarge(f"the answer has more than {self._most_bytes:,} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def read_response(response: Any) -> Reading:  # noqa: ANN401  of httpx or of httpx2
    """A reply as `openai` passes it on."""
    return read(response.status_code, response.headers, response.content)


def read_failure(error: Exception) -> Reading:
    """What an exception of a request tells: one with a reply, or one for which no reply came."""
    if isinstance(error, openai.APIStatusError):
        return read_response(error.response)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Reading(situation=Situation.TIMED_OUT)
    if isinstance(error, BodyTooLarge):
        return Reading(situation=Situation.ENDLESS)
    if isinstance(error, openai.APIConnectionError):
        refused = type(error.__cause__).__name__ == "ProxyError"
        return Reading(situation=Situation.PROXY if refused else Situation.UNREACHABLE, said=str(error.__cause__ or ""))
    return Reading(situation=Situation.UNREADABLE, said=type(error).__name__)

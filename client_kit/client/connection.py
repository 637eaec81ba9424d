"""What both clients need before the first request: a checked address, headers, time-outs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import httpx

from client_kit import tracing
from client_kit._transport import Call
from client_kit._version import __version__
from client_kit.errors import ConfigurationError

DEFAULT_TIMEOUT_SECONDS = 30.0
"""Time for a connection, and for each pause between bytes."""


def checked_url(url: str) -> str:
    """The address without a slash at its end. Raises ConfigurationError where it cannot be one."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{url!r} is no address of a server; it looks like http://127.0.0.1:8000")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{url!r} has more than host, port and path; leave out what follows the path")
    return url.rstrip("/")


def headers(token: str | None) -> Mapping[str, str]:
    """Headers of every request. Raises ConfigurationError for a token that no header can carry."""
    agent = {"User-Agent": f"semantic-consensus/{__version__}", "Accept": "application/json"}
    if token is None:
        return agent
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError("the token is empty or has characters that no token has; copy it again, on one line")
    return {**agent, "Authorization": f"Bearer {token}"}


def request_options(call: Call[Any], timeout_seconds: float) -> dict[str, Any]:
    """Arguments of `httpx.Client.build_request` beside method and address."""
    timeout = httpx.Timeout(timeout_seconds, read=timeout_seconds + call.wait_seconds)
    return {
        "params": dict(call.params) or None,
        "headers": dict(call.headers) | tracing.outgoing(),
        "content": call.content,
        "timeout": timeout,
    }


def traced(call: Call[Any]) -> AbstractContextManager[tracing.Drawn]:
    """Draws one request, its answer included."""
    return tracing.span(call.method, {"http.request.method": call.method, "url.path": call.path}, kind="client")

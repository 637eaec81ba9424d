"""JSON of somebody else's HTTP server, an identity provider's say: no redirect, a bound on bytes and on time, and the environment's proxies."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from client_kit import egress
from client_kit.certificates import told_of_tls
from client_kit.errors import ConfigurationError, UnexpectedAnswer, Unreachable
from client_kit.proxies import environment_explained, http_options, is_loopback

MOST_BYTES = 1024 * 1024
MOST_SECONDS = 10.0
"""From the connection to the last byte, more or less: no single step takes longer."""


def fetch_json(url: str, form: Mapping[str, str] | None = None, *, most_bytes: int = MOST_BYTES) -> tuple[int, Any]:
    """Status and JSON of an answer. form: POST these fields; None: GET.

    Raises ConfigurationError for an address without TLS that is not of this machine, Unreachable, and UnexpectedAnswer for a
    redirect, a body without end or one that is no JSON.
    """
    require_secure(url)
    with environment_explained():
        recorded = egress.hooks(egress.Kind.SIGN_IN)
        client = httpx.Client(timeout=MOST_SECONDS, follow_redirects=False, event_hooks=recorded, **http_options(url))
    with client:
        try:
            return _asked(client, url, form, most_bytes)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            told = told_of_tls(said)
            raise Unreachable(f"{url} cannot be reached ({said}){f': {told}' if told else '.'}") from error


def require_secure(url: str) -> None:
    """Raises ConfigurationError for an address on which others could listen or answer."""
    address = urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and is_loopback(url)):
        raise ConfigurationError(f"{url} does not begin with https://")


def _asked(client: httpx.Client, url: str, form: Mapping[str, str] | None, most_bytes: int) -> tuple[int, Any]:
    until, body = time.monotonic() + MOST_SECONDS, bytearray()
    method = "GET" if form is None else "POST"
    with client.stream(method, url, headers={"accept": "application/json"}, data=form and dict(form)) as answer:
        if answer.is_redirect:
            raise UnexpectedAnswer(f"{url} is moved; name the new address.", status=answer.status_code)
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > most_bytes or time.monotonic() > until:
                raise UnexpectedAnswer(f"{url} answers without end.", status=answer.status_code)
    try:
        return answer.status_code, json.loads(body)
    except ValueError:
        raise UnexpectedAnswer(
            f"{url} answered {answer.status_code}, and no JSON.", status=answer.status_code
        ) from None

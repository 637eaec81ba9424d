"""Signing in at an OpenID Connect provider from a machine without a browser: the device flow (RFC 8628), and renewal."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from client_kit.bounded_json import fetch_json, require_secure
from client_kit.errors import SignInFailed, UnexpectedAnswer, Unreachable

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST_WAIT_SECONDS = 3600.0
LONGEST_PAUSE_SECONDS = 60.0
_OK, _FAULTS_OF_SERVERS = 200, 500

_ENDS = {
    "access_denied": "the request was denied",
    "expired_token": "nobody confirmed it in time; sign in again",
    "invalid_grant": "the provider ended this sign-in; sign in again without --renew",
    "invalid_client": "the provider knows no such client; check --client-id",
    "unauthorized_client": "the provider lets this client not sign in on a device; ask who runs it",
    "invalid_scope": "the provider gives no such scope; check --scope",
}
"""Errors of the provider and what to tell; others are told by their name."""


@dataclass(frozen=True, slots=True)
class Client:
    """As which application one signs in, and where."""

    issuer: str
    client_id: str
    scope: str = "openid"
    audience: str = ""
    """What the token is to be for, where the provider asks; empty: it decides."""
    id_token: bool = False
    """Take the ID token: for providers whose access tokens are for themselves."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the provider gave."""

    token: str
    refresh_token: str | None


def sign_in(
    client: Client, show: Callable[[str, str], None], *, sleep: Callable[[float], None] = time.sleep
) -> SignedIn:
    """Wait until somebody confirms in a browser, wherever it is. show: gets the address to open and the code to enter there.

    Raises SignInFailed, and what `fetch_json` raises.
    """
    device, token = _endpoints(client.issuer)
    asked = {
        "client_id": client.client_id,
        "scope": client.scope,
        **({"audience": client.audience} if client.audience else {}),
    }
    begun = _given(fetch_json(device, asked))
    show(_shown(begun, "verification_uri"), _shown(begun, "user_code"))
    form = {"grant_type": DEVICE_GRANT, "device_code": str(begun.get("device_code", "")), "client_id": client.client_id}
    pause = _seconds(begun, "interval", 5.0, LONGEST_PAUSE_SECONDS)
    left = _seconds(begun, "expires_in", 600.0, LONGEST_WAIT_SECONDS)
    while left > 0:
        sleep(pause)
        left -= pause
        answer = _polled(token, form)
        if answer is not None and answer[0] == _OK:
            return _signed_in(client, answer[1])
        said = None if answer is None else _error(answer)
        if said not in {None, "authorization_pending", "slow_down"}:
            raise _failed(str(said))
        pause = pause if said == "authorization_pending" else min(pause + 5.0, LONGEST_PAUSE_SECONDS)
    raise _failed("expired_token")


def renew(client: Client, refresh_token: str) -> SignedIn:
    """A new token without anybody's help. Raises SignInFailed, and what `fetch_json` raises."""
    _, token = _endpoints(client.issuer)
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client.client_id}
    found = _signed_in(client, _given(fetch_json(token, form)))
    return found if found.refresh_token else SignedIn(found.token, refresh_token)


def _endpoints(issuer: str) -> tuple[str, str]:
    """Where devices begin, and where tokens are."""
    status, about = fetch_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if status != _OK or not isinstance(about, dict) or about.get("issuer") != issuer:
        raise SignInFailed(f"{issuer} is no issuer by this name; write it exactly as the provider does")
    found = str(about.get("device_authorization_endpoint", "")), str(about.get("token_endpoint", ""))
    if not all(found):
        raise SignInFailed(f"{issuer} lets nobody sign in on a device")
    for url in found:
        require_secure(url)
    return found


def _polled(url: str, form: Mapping[str, str]) -> tuple[int, Any] | None:
    """None: the provider is away for a moment, and asked again later."""
    try:
        answer = fetch_json(url, form)
    except Unreachable:
        return None
    except UnexpectedAnswer as error:  # a gateway's page, say
        if error.status < _FAULTS_OF_SERVERS:
            raise
        return None
    return answer if answer[0] < _FAULTS_OF_SERVERS else None


def _given(answer: tuple[int, Any]) -> Mapping[str, Any]:
    if answer[0] != _OK or not isinstance(answer[1], dict):
        raise _failed(_error(answer))
    return answer[1]


def _signed_in(client: Client, given: Mapping[str, Any]) -> SignedIn:
    name = "id_token" if client.id_token else "access_token"
    token, refresh = given.get(name), given.get("refresh_token")
    if not isinstance(token, str) or not token.isprintable():
        raise SignInFailed(f"the provider gave no {name}; check --scope, and whether --id-token is meant")
    return SignedIn(token, refresh if isinstance(refresh, str) else None)


def _error(answer: tuple[int, Any]) -> str:
    said = answer[1].get("error") if isinstance(answer[1], dict) else None
    return said if isinstance(said, str) and said.isprintable() else f"status {answer[0]}"


def _failed(said: str) -> SignInFailed:
    return SignInFailed(_ENDS.get(said, f"the provider said {said[:100]}"))


def _shown(given: Mapping[str, Any], name: str) -> str:
    """What a person reads at a terminal: no control characters."""
    value = given.get(name)
    if not isinstance(value, str) or not value.isprintable():
        raise SignInFailed(f"the provider gave no {name}")
    return value


def _seconds(given: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = given.get(name, default)
    number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return min(float(value), most) if number else default

"""The keys of an OpenID Connect provider, and tokens that they signed. Imported late: it needs the extra `oidc`."""

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from client_kit.bounded_json import fetch_json, require_secure
from client_kit.errors import ConsensusError, UnexpectedAnswer
from consensus_server.core.errors import IdentityRefused, NotReady

KEPT_SECONDS = 600.0
"""Keys are fetched anew when they are older: one that the provider withdraws holds no longer."""

PAUSE_SECONDS = 30.0
"""Between two fetches: who invents names of keys causes no more."""

MOST_KEYS = 64
LEAST_RSA_BITS = 2048

ALGORITHMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256", "ES384": "P-384", "ES512": "P-521",
}  # fmt: skip
"""All that is taken, with the kind of its key. Each has a secret half that only the provider has: no `none`, no HMAC."""

_TYPES = frozenset({None, "JWT", "jwt", "at+jwt", "application/at+jwt"})
"""Kinds of tokens that say who asks; a logout token, say, does not."""

Key = tuple[str, str | None, RSAKey | ECKey]
"""Kind or curve, the only algorithm that it may be used for where it names one, and the key."""

_log = structlog.get_logger("consensus_server.identity_provider")


class SigningKeys:
    """`ports.IdentityProvider`: keys by discovery, kept for a while, and fetched anew for a name that is not known."""

    def __init__(
        self,
        issuer: str,
        *,
        fetch: Callable[[str], tuple[int, Any]] = fetch_json,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: dict[str, Key] | None = None
        self._tried_at = self._fetched_at = -1e9
        self._fetching = threading.Lock()

    def claims(self, token: str) -> Mapping[str, Any]:
        """What the token says, once its signature is found to be the issuer's. Raises IdentityRefused, NotReady."""
        algorithm, name = _header_of(token)
        key = self._key(name, algorithm)
        try:
            claims = json.loads(jws.deserialize_compact(token, key, algorithms=[algorithm]).payload)
        except (JoseError, ValueError, TypeError):
            raise IdentityRefused("The token's signature is not the issuer's.") from None
        if not isinstance(claims, dict):
            raise IdentityRefused("The token has no claims.")
        return claims

    def _key(self, name: str | None, algorithm: str) -> RSAKey | ECKey:
        if self._monotonic() - self._fetched_at > KEPT_SECONDS:
            self._renew()
        found = self._fitting(name, algorithm)
        if found is None:
            self._renew()
            found = self._fitting(name, algorithm)
        if self._keys is None:
            raise NotReady("The identity provider's keys cannot be had at the moment.", remedy="Try again shortly.")
        if found is None:
            raise IdentityRefused("The token is signed with a key that the issuer does not show.")
        return found

    def _fitting(self, name: str | None, algorithm: str) -> RSAKey | ECKey | None:
        """The key of this name for this algorithm; without a name the only one that fits."""
        keys = self._keys or {}
        named = keys.values() if name is None else [keys[name]] if name in keys else []
        fitting = [key for kind, only, key in named if kind == ALGORITHMS[algorithm] and only in {None, algorithm}]
        return fitting[0] if len(fitting) == 1 else None

    def _renew(self) -> None:
        """Fetch, not too often and one at a time; the keys of before hold while the provider cannot be reached."""
        if self._monotonic() - self._tried_at < PAUSE_SECONDS or not self._fetching.acquire(blocking=False):
            return
        try:
            self._tried_at = self._monotonic()
            self._keys = dict(self._load())
            self._fetched_at = self._monotonic()
        except (ConsensusError, KeyError, TypeError, ValueError) as error:
            _log.error("the identity provider's keys cannot be had", cause=f"{type(error).__name__}: {error}")
        finally:
            self._fetching.release()

    def _load(self) -> Iterator[tuple[str, Key]]:
        about = self._document(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if about["issuer"] != self._issuer:
            raise ValueError(f"it calls itself {about['issuer']!r}, and CONSENSUS_OIDC_ISSUER says {self._issuer!r}")
        require_secure(about["jwks_uri"])
        for given in self._document(about["jwks_uri"])["keys"][:MOST_KEYS]:
            key = _imported(given)
            if key is not None:
                yield str(given.get("kid", "")), key

    def _document(self, url: str) -> dict[str, Any]:
        status, document = self._fetch(url)
        if status != 200 or not isinstance(document, dict):  # noqa: PLR2004 - HTTP's own number
            raise UnexpectedAnswer(f"{url} answered {status}, and no such document", status=status)
        return document


def _header_of(token: str) -> tuple[str, str | None]:
    """Algorithm and name of the key, from a header that nobody has vouched for yet. Raises IdentityRefused."""
    first = token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(first + "=" * (-len(first) % 4)))
        algorithm, name, kind = header.get("alg"), header.get("kid"), header.get("typ")
    except (ValueError, AttributeError, RecursionError):
        raise IdentityRefused("The token is no JSON Web Token.") from None
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise IdentityRefused("The token's algorithm is not taken: " + ", ".join(ALGORITHMS) + " are.")
    if not isinstance(name, str | None) or not isinstance(kind, str | None) or kind not in _TYPES or "crit" in header:
        raise IdentityRefused("The token is of a kind that says nothing of who asks.")
    return algorithm, name


def _imported(given: Mapping[str, Any]) -> Key | None:
    """A key of the provider's document; None for one that is not for signatures, or is too short."""
    if given.get("use", "sig") != "sig":
        return None
    public = {name: given[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in given}
    try:
        if public["kty"] == "EC":
            return public["crv"], given.get("alg"), ECKey.import_key(public)
        if public["kty"] == "RSA" and len(public["n"]) * 6 >= LEAST_RSA_BITS:
            return "RSA", given.get("alg"), RSAKey.import_key(public)
    except (JoseError, ValueError, KeyError, TypeError):
        _log.warning("a key of the identity provider cannot be read", key=str(given.get("kid"))[:100])
    return None

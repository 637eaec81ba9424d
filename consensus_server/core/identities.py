"""Identities of an OpenID Connect provider: what the claims of a verified token say of who asks, and as whom it acts here."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from consensus_server.core.errors import IdentityRefused

SKEW_SECONDS: Final = 60.0
"""How far the provider's clock and ours may be apart."""

SERVER: Final = "server"
"""Whom operators of the server act as; others act as `FEDERATION/PARTICIPANT`."""

_MOST_SUBJECT_CHARS = 255
_LATEST = 4102444800.0  # 2100-01-01: a time beyond is none


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRules:
    """Whose tokens are taken, and who acts as whom."""

    issuer: str
    audience: str
    """What tokens must be for: this server, as the provider knows it."""
    groups_claim: str = "groups"
    groups: Mapping[str, str] = field(default_factory=dict)
    """Group to whom its members act as: `server`, or `FEDERATION/PARTICIPANT`."""
    participant_claim: str = ""
    """Claim with `FEDERATION/PARTICIPANT`; empty: none is read."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, as the provider knows it."""

    title: str
    """Issuer and subject."""
    acts_as: str
    expires_at: datetime


def identity_in(claims: Mapping[str, Any], rules: IdentityRules, now: datetime) -> Identity:
    """Who asks. claims: of a token whose signature is the issuer's. Raises IdentityRefused."""
    if claims.get("iss") != rules.issuer:
        raise IdentityRefused("The token is of another issuer than this server takes.")
    if rules.audience not in _texts(claims.get("aud")):
        raise IdentityRefused("The token is for another audience than this server.")
    expires = _times_hold(claims, now.timestamp())
    title = f"{rules.issuer} {_subject(claims)}"
    return Identity(title, _acts_as(claims, rules), datetime.fromtimestamp(expires, UTC))


def _times_hold(claims: Mapping[str, Any], now: float) -> float:
    """When the token expires, Unix seconds."""
    expires = _time(claims, "exp")
    if expires is None:
        raise IdentityRefused("The token has no claim exp.")
    if now >= expires + SKEW_SECONDS:
        raise IdentityRefused("The token has expired.")
    if any((_time(claims, name) or 0.0) > now + SKEW_SECONDS for name in ("nbf", "iat")):
        raise IdentityRefused("The token is not valid yet.")
    return expires


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 <= value < _LATEST:
        raise IdentityRefused(f"The claim {name} of the token is no time.")
    return float(value)


def _subject(claims: Mapping[str, Any]) -> str:
    """It gets into logs and the audit record: short and printable."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MOST_SUBJECT_CHARS or not subject.isprintable():
        raise IdentityRefused("The token has no claim sub that can be written down.")
    return subject


def _acts_as(claims: Mapping[str, Any], rules: IdentityRules) -> str:
    """Operators of the server act as such, whatever else they are."""
    named = {rules.groups[group] for group in _texts(claims.get(rules.groups_claim)) if group in rules.groups}
    named |= set(_texts(claims.get(rules.participant_claim))) - {SERVER} if rules.participant_claim else set()
    if SERVER in named:
        return SERVER
    if len(named) != 1:
        raise IdentityRefused(
            "The identity is several participants here, and a token can be of one only."
            if named
            else "The identity is nobody here: none of its groups and no claim of its token names a participant."
        )
    return named.pop()


def _texts(value: object) -> Iterable[str]:
    """One text, or the texts of a list."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]

"""The client certificate of a request: shown by its connection, or told by a reverse proxy that the settings name.

The HTTP library passes no certificate on, so the protocol of a connection notes it in the state of each of its requests.
"""

import ssl
from asyncio import BaseTransport
from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated, Final, TypeAlias
from urllib.parse import unquote

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import Scope

from consensus_server.http_api.context import context_of

HEADER: Final = "Client-Cert"
"""As RFC 9440 has it, `:DER in base64:`; nginx, which cannot write that, sends PEM with percent escapes."""

STATE_KEY: Final = "connection"

Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Connection:
    """Who is at the other end of a connection: a participant, or a proxy."""

    address: IPv4Address | IPv6Address | None
    certificate: str | None
    """SHA-256 of the certificate that was shown and verified, of its DER, in hex; None: none."""

    @classmethod
    def of(cls, transport: BaseTransport) -> "Connection":
        """As the connection was made."""
        peer, tls = transport.get_extra_info("peername"), transport.get_extra_info("ssl_object")
        shown = None if tls is None else tls.getpeercert(binary_form=True)  # verified: OpenSSL ends the others
        return cls(_address(peer), sha256(shown).hexdigest() if shown else None)


def certificate_of(scope: Scope, proxies: tuple[Network, ...]) -> str | None:
    """SHA-256 of the certificate that a request was sent with; None: none.

    proxies: addresses whose header counts. Of a proxy only the header counts: the certificate of its connection is its own.
    """
    connection: Connection | None = scope.get("state", {}).get(STATE_KEY)
    if connection is None:
        return None
    address = connection.address
    if address is not None and any(address in network for network in proxies):
        return _told_by_a_proxy(Headers(scope=scope).getlist(HEADER))
    return connection.certificate


async def shown_certificate(request: Request) -> str | None:
    """The certificate of this request, as `certificate_of` has it."""
    return certificate_of(request.scope, context_of(request).options.trusted_proxies)


CertificateOf = Annotated[str | None, Depends(shown_certificate)]


def _told_by_a_proxy(values: list[str]) -> str | None:
    """One header, or none: of two, one may be the caller's own."""
    if len(values) != 1 or not values[0].strip(": "):
        return None
    value = values[0].strip()
    try:
        der = (
            b64decode(value.strip(":"), validate=True) if value[0] == ":" else ssl.PEM_cert_to_DER_cert(unquote(value))
        )
    except ValueError:
        return None
    return sha256(der).hexdigest()


def _address(peer: object) -> IPv4Address | IPv6Address | None:
    """Of an IPv4 address in the clothes of IPv6, the IPv4 address."""
    try:
        address = ip_address(peer[0]) if isinstance(peer, tuple) else None
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

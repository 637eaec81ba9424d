"""Proxies that the environment names: when they count, what is wrong with them, and answers that they give.

The HTTP library reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY by itself, overlooks ranges of addresses, and ends with
a traceback where it cannot read one. So the proxy of an address is decided here: this machine itself is never reached through
one, nor is a host or a range that NO_PROXY exempts.
"""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

import httpx

from client_kit.certificates import ClientCertificate, EnvironmentFault, faults_of_certificates, tls_context
from client_kit.errors import ConfigurationError

_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_PORTS = {"http": 80, "https": 443}
_OF_A_GATEWAY = frozenset({403, 407, 502, 503, 504})
"""Statuses at which a page, where JSON is due, is the word of something on the way."""


def is_loopback(url: str) -> bool:
    """Whether an address is of this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def http_options(url: str, certificate: ClientCertificate | None = None) -> dict[str, Any]:
    """Arguments of an HTTP client for one address: its proxy, whom it trusts, and as whom it appears.

    certificate: None for the environment's. To be called within `environment_explained`.
    """
    proxy = _proxy(url)
    context = tls_context(certificate) if url.startswith("https:") else None
    return {
        "trust_env": False,
        **({"proxy": proxy[1]} if proxy else {}),
        **({"verify": context} if context else {}),
    }


@contextmanager
def environment_explained() -> Iterator[None]:
    """Around the making of an HTTP client. Raises ConfigurationError that names the variable at fault, no library's error."""
    try:
        yield
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        faults = " ".join(str(fault) for fault in environment_faults())
        said = f"no HTTP client can be made ({type(error).__name__}: {error})"
        said = str(error) if isinstance(error, ConfigurationError) else said
        raise ConfigurationError(faults or said) from error


def environment_faults() -> list[EnvironmentFault]:
    """What is wrong with the variables about proxies and certificates, as they are now."""
    return [*_of_proxies(), *_of_exceptions(), *faults_of_certificates()]


def proxies_set() -> dict[str, str]:
    """Variables that name a proxy, with its address, without a password."""
    return {name: without_password(value) for name in _VARIABLES if (value := _variable(name))}


def proxy_for(url: str) -> str | None:
    """The proxy that a request to this address goes through, with its variable; None where it goes directly."""
    found = _proxy(url)
    return f"{without_password(found[1])} ({found[0].upper()}_PROXY)" if found else None


def sign_of_a_proxy(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """What shows that an answer comes from a proxy or gateway, and not from the server that was asked; empty for nothing."""
    for name in ("x-squid-error", "proxy-authenticate"):
        if headers.get(name):
            return f"{name}: {headers[name]}"
    page = body.lstrip()[:1] == b"<" and status in _OF_A_GATEWAY
    if not page and status != httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
        return ""
    named = headers.get("via") or headers.get("server")
    return named or "one that does not name itself"


def without_password(address: str) -> str:
    """An address without the name and password in it."""
    scheme, mark, rest = address.rpartition("://")
    return scheme + mark + rest.rpartition("@")[2]


def _variable(name: str) -> str:
    return os.environ.get(name.lower()) or os.environ.get(name) or ""


def _of_proxies() -> Iterator[EnvironmentFault]:
    for name in _VARIABLES:
        value = _variable(name)
        if not value:
            continue
        scheme = _with_scheme(value).partition("://")[0]
        if not _names_a_host(value):
            yield EnvironmentFault(
                name, "names no proxy that can be reached", "write it like http://proxy.example:3128"
            )
        elif scheme not in _SCHEMES:
            known = ", ".join(sorted(_SCHEMES))
            yield EnvironmentFault(name, f"begins with {scheme}://, which is no kind of proxy", f"write one of {known}")
        elif scheme.startswith("socks") and find_spec("socksio") is None:
            yield EnvironmentFault(
                name,
                f"names a SOCKS proxy ({without_password(value)}), for which a library is missing",
                "install it (pip install 'httpx[socks]'), name an HTTP proxy, or set NO_PROXY=* to use none",
            )


def _with_scheme(address: str) -> str:
    """The address of a proxy; one that names no scheme is asked by HTTP."""
    return address if "://" in address else f"http://{address}"


def _names_a_host(address: str) -> bool:
    try:
        parts = urlsplit(_with_scheme(address))
        port = parts.port
    except ValueError:
        return False
    return parts.hostname is not None and port != 0


def _of_exceptions() -> Iterator[EnvironmentFault]:
    for entry in _exceptions():
        if entry != "*" and _network(entry) is None and _host(entry) is None:
            yield EnvironmentFault(
                "NO_PROXY",
                f"has {entry!r}, which is no host, no address and no range of addresses",
                "write them like hospital.example, 10.0.0.5, 10.0.0.0/8 or fd00::/8, with commas between them",
            )


def _proxy(url: str) -> tuple[str, str] | None:
    """(scheme of the variable, address of the proxy); None where the way is direct."""
    parts = urlsplit(url)
    if is_loopback(url) or any(_exempts(entry, parts) for entry in _exceptions()):
        return None
    found = getproxies()
    scheme = next((scheme for scheme in (parts.scheme, "all") if found.get(scheme)), None)
    if scheme is None:
        return None
    return scheme, _with_scheme(found[scheme])


def _exceptions() -> list[str]:
    """The entries of NO_PROXY."""
    return [entry for part in _variable("NO_PROXY").split(",") if (entry := part.strip())]


def _exempts(entry: str, url: SplitResult) -> bool:
    """Whether an entry of NO_PROXY covers an address: a host with all below it, an address, a range, `*`."""
    asked = url.hostname or ""
    if (network := _network(entry)) is not None:
        address = _network(asked)
        return address is not None and address.version == network.version and address[0] in network
    if entry == "*" or (named := _host(entry)) is None:
        return entry == "*"
    host = (named.hostname or "").removeprefix("*").removeprefix(".")
    same_port = named.port in {None, url.port or _PORTS.get(url.scheme)}
    return named.scheme in {"", "all", url.scheme} and same_port and f".{asked}".endswith(f".{host}")


def _host(entry: str) -> SplitResult | None:
    """Scheme, host and port of an entry of NO_PROXY; None where it has none."""
    try:
        named = urlsplit(entry if "://" in entry else f"//{entry}")
        readable = named.hostname and (named.port or True) and not named.path.strip("/")
    except ValueError:
        return None
    return named if readable else None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A range of addresses, a single one included, in brackets or bare; None where it is something else."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None

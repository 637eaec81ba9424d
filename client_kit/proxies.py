"""Proxies and certificates that the environment names: when they count, what is wrong with them, and answers that they give.

The HTTP library reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE by itself, for every address, and ends
with a traceback where it cannot. Here stands what it leaves out: this machine itself is never reached through a proxy.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from client_kit.errors import ConfigurationError

_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_OF_A_GATEWAY = frozenset({403, 407, 502, 503, 504})
"""Statuses at which a page, where JSON is due, is the word of something on the way."""


@dataclass(frozen=True, slots=True)
class EnvironmentFault:
    """A variable that makes requests fail."""

    variable: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable} {self.cause}. {self.remedy[:1].upper()}{self.remedy[1:]}."


def is_loopback(url: str) -> bool:
    """Whether an address is of this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def http_options(url: str) -> dict[str, Any]:
    """Arguments of an HTTP client for one address: this machine is reached directly, whatever the environment says."""
    return {"trust_env": False} if is_loopback(url) else {}


@contextmanager
def environment_explained() -> Iterator[None]:
    """Around the making of an HTTP client. Raises ConfigurationError that names the variable at fault, no library's error."""
    try:
        yield
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        faults = " ".join(str(fault) for fault in environment_faults())
        said = f"no HTTP client can be made ({type(error).__name__}: {error})"
        raise ConfigurationError(faults or said) from error


def environment_faults() -> list[EnvironmentFault]:
    """What is wrong with the variables about proxies and certificates, as they are now."""
    return [*_of_proxies(), *_of_exceptions(), *_of_certificates()]


def proxies_set() -> dict[str, str]:
    """Variables that name a proxy, with its address, without a password."""
    return {name: without_password(value) for name in _VARIABLES if (value := _variable(name))}


def proxy_for(url: str) -> str | None:
    """The proxy that a request to this address goes through, with its variable; None where it goes directly."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.netloc):
        return None
    found = getproxies_environment()
    scheme = parts.scheme if parts.scheme in found else "all"
    return f"{without_password(found[scheme])} ({scheme.upper()}_PROXY)" if scheme in found else None


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
    return re.sub(r"//[^/@]*@", "//", address)


def _variable(name: str) -> str:
    return os.environ.get(name.lower()) or os.environ.get(name) or ""


def _of_proxies() -> Iterator[EnvironmentFault]:
    for name in _VARIABLES:
        value = _variable(name)
        scheme = urlsplit(value).scheme if "://" in value else "http"
        if not value:
            continue
        if scheme not in _SCHEMES:
            known = ", ".join(sorted(_SCHEMES))
            yield EnvironmentFault(name, f"begins with {scheme}://, which is no kind of proxy", f"write one of {known}")
        elif scheme.startswith("socks") and find_spec("socksio") is None:
            yield EnvironmentFault(
                name,
                f"names a SOCKS proxy ({without_password(value)}), for which a library is missing",
                "install it (pip install 'httpx[socks]'), name an HTTP proxy, or set NO_PROXY=* to use none",
            )


def _of_exceptions() -> Iterator[EnvironmentFault]:
    for part in filter(None, (part.strip() for part in _variable("NO_PROXY").split(","))):
        if ":" in part and "://" not in part and ("/" in part or part.startswith("[")):
            yield EnvironmentFault(
                "NO_PROXY",
                f"has {part!r}, and ranges and brackets of IPv6 addresses are not understood",
                "name hosts or single addresses instead",
            )


def _of_certificates() -> Iterator[EnvironmentFault]:
    for name in _CERTIFICATES:
        value = os.environ.get(name)
        if value and not os.access(Path(value), os.R_OK):
            yield EnvironmentFault(
                name, f"names {value}, which cannot be read", "correct the path, or unset the variable"
            )

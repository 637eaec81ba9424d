"""Whose certificate a request came with: the connection's, or what a trusted proxy says, and nobody else."""

import base64
import ssl
from hashlib import sha256
from ipaddress import ip_network
from urllib.parse import quote

import pytest

from consensus_server.http_api.certificates import STATE_KEY, Connection, certificate_of
from tests.support.tls import Authority

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    pem = Authority(tmp_path_factory.mktemp("tls")).issue("anna")[0].read_text()
    return pem, ssl.PEM_cert_to_DER_cert(pem)


class Transport:
    """As asyncio has it, for one connection."""

    def __init__(self, peer, der=None):
        self._known = {"peername": peer, "ssl_object": self if der is not None else None}
        self._der = der

    def get_extra_info(self, name):
        return self._known[name]

    def getpeercert(self, *, binary_form):
        return self._der or None


def found(peer, headers=(), der=None):
    scope = {
        "type": "http",
        "headers": [(b"client-cert", value.encode()) for value in headers],
        "state": {STATE_KEY: Connection.of(Transport(peer, der))},
    }
    return certificate_of(scope, PROXIES)


def test_the_connections_own_certificate_counts_and_a_strangers_header_does_not(shown):
    pem, der = shown
    told = sha256(der).hexdigest()
    assert found(("192.0.2.1", 1), der=der) == told
    assert found(("192.0.2.1", 1), der=b"") is None
    assert found(("192.0.2.1", 1), [quote(pem)]) is None
    assert found(("192.0.2.1", 1), [quote(pem)], der=b"another") == sha256(b"another").hexdigest()
    assert found("/a/socket", [quote(pem)]) is None
    assert certificate_of({"type": "http", "headers": []}, PROXIES) is None


@pytest.mark.parametrize("peer", [("10.1.2.3", 1), ("::ffff:10.1.2.3", 1, 0, 0), ("fd00::1", 1, 0, 0)])
def test_of_a_trusted_proxy_the_header_counts_and_its_own_certificate_does_not(shown, peer):
    pem, der = shown
    told = sha256(der).hexdigest()
    assert found(peer, [quote(pem)]) == told
    assert found(peer, [f":{base64.b64encode(der).decode()}:"]) == told
    assert found(peer, [], der=b"the proxy's own") is None


@pytest.mark.parametrize(
    "headers", [["::"], [""], [":no base64:"], ["no certificate"], [quote("-----BEGIN CERTIFICATE-----")]]
)
def test_a_header_without_a_certificate_is_none(headers):
    assert found(("10.1.2.3", 1), headers) is None


def test_of_two_headers_one_may_be_the_callers(shown):
    assert found(("10.1.2.3", 1), [quote(shown[0])] * 2) is None

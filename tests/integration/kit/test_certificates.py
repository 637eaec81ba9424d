"""A private authority and client certificates: every client of ours shows and trusts what settings and environment say."""

import json

import pytest
from typer.testing import CliRunner

from client_kit.certificates import CERTIFICATE_VARIABLE, KEY_VARIABLE, ClientCertificate
from client_kit.cli.application import app
from client_kit.client import ConsensusClient, RetryPolicy
from client_kit.errors import ConfigurationError, Unreachable
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from tests.support.tls import Authority, serving_to_the_known

BOTH = {"status": "ok", "version": "0.2.0", "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """(authority, address of a server, the certificate and key that it asks for)."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    with serving_to_the_known(authority, json.dumps(BOTH).encode()) as url:
        yield authority, url, authority.issue("client")


@pytest.fixture(autouse=True)
def _trusted(tls, monkeypatch):
    for name in (CERTIFICATE_VARIABLE, KEY_VARIABLE, "SSL_CERT_DIR", "CONSENSUS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0].file))


@pytest.fixture
def shown(tls, monkeypatch):
    for name, file in zip((CERTIFICATE_VARIABLE, KEY_VARIABLE), tls[2], strict=True):
        monkeypatch.setenv(name, str(file))


def health(url):
    with ConsensusClient(url, retry=RetryPolicy(attempts=1)) as client:
        return client.health()


def test_the_certificate_of_the_environment_is_shown(tls, shown):
    assert health(tls[1]).status == "ok"


def test_one_file_may_hold_certificate_and_key(tls, tmp_path, monkeypatch):
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(file.read_bytes() for file in tls[2]))
    monkeypatch.setenv(CERTIFICATE_VARIABLE, str(both))
    assert health(tls[1]).status == "ok"


def test_a_server_that_asks_in_vain_is_told_as_such(tls):
    with pytest.raises(Unreachable, match=rf"asks for a client certificate.*{CERTIFICATE_VARIABLE}"):
        health(tls[1])


def test_an_authority_that_is_not_trusted_is_told_as_such(tls, shown, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Unreachable, match=r"certificate is not trusted.*SSL_CERT_FILE"):
        health(tls[1])


async def test_an_endpoint_has_a_certificate_of_its_own(tls):
    endpoint = InferenceApi(
        base_url=f"{tls[1]}/v1", model="m", retries=0, client_certificate=ClientCertificate(*tls[2])
    )
    caller = OpenAICaller(endpoint)
    try:
        assert (await caller.ask("?")).text == "yes"
    finally:
        await caller.close()


def test_a_key_of_another_certificate_is_refused_before_anything_is_sent(tls, monkeypatch):
    monkeypatch.setenv(CERTIFICATE_VARIABLE, str(tls[2][0]))
    monkeypatch.setenv(KEY_VARIABLE, str(tls[0].issue("other")[1]))
    with pytest.raises(ConfigurationError, match=rf"{CERTIFICATE_VARIABLE} is wrong.*client\.pem.*other\.key"):
        health(tls[1])


FAULTS = {
    "no such file": ({CERTIFICATE_VARIABLE: "/nowhere.pem"}, CERTIFICATE_VARIABLE),
    "a key alone": ({KEY_VARIABLE: "/nowhere.key"}, KEY_VARIABLE),
    "no certificate in it": ({"SSL_CERT_FILE": __file__}, "SSL_CERT_FILE"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_doctor_names_what_is_wrong(monkeypatch, fault):
    variables, subject = FAULTS[fault]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    checks = json.loads(CliRunner().invoke(app, ["doctor", "--json"], env={"CONSENSUS_SERVER": None}).stdout)
    assert {check["subject"] for check in checks if check["verdict"] == "fault"} == {subject}


def test_the_doctor_names_the_certificate_that_is_shown(tls, shown):
    shown_to = CliRunner().invoke(app, ["doctor"], env={"CONSENSUS_SERVER": None}).stdout
    assert f"client certificate: {tls[2][0]}" in shown_to

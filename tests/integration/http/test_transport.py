"""TLS in the server itself, and participants that are bound to client certificates."""

import socket
import ssl
import threading
from datetime import timedelta
from hashlib import sha256
from itertools import count
from urllib.parse import urlsplit

import httpx
import pytest
from openai import AuthenticationError, OpenAI

from client_kit.certificates import CERTIFICATE_VARIABLE, KEY_VARIABLE
from client_kit.client import ConsensusClient, RetryPolicy
from client_kit.errors import Unreachable, WrongCertificate
from client_kit.wire import RoundState
from tests.support.tls import Authority

_names = count(1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificates(authority):
    return {name: authority.issue(name) for name in ("anna", "bert")}


def fingerprint(file):
    return sha256(ssl.PEM_cert_to_DER_cert(file.read_text())).hexdigest()


def showing(authority, files=None):
    context = ssl.create_default_context(cafile=authority.file)
    if files:
        context.load_cert_chain(*files)
    return context


@pytest.fixture(scope="module")
def secure(running, authority, tmp_path_factory):
    """A server with TLS that asks for certificates, and lets in who has none."""
    certificate, key = authority.issue("server")
    tls = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": authority.file}
    with running(tmp_path_factory.mktemp("secure"), **tls) as live:
        live.verify = showing(authority)
        yield live


@pytest.fixture
def bound(secure, new_arena, certificates):
    """A federation on it whose participant `anna` is bound to her certificate."""
    arena = new_arena(secure)
    body = {"certificates": [fingerprint(certificates["anna"][0])]}
    assert arena.operator.put(f"{arena.path}/participants/anna/certificates", json=body).status_code == 200
    return arena


@pytest.fixture
def kit(secure, authority, certificates, monkeypatch):
    """A client of the kit that shows somebody's certificate, as the environment names it."""

    def make(token, whose=None):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        for name, file in zip((CERTIFICATE_VARIABLE, KEY_VARIABLE), certificates.get(whose, ("", "")), strict=True):
            monkeypatch.setenv(name, str(file))
        return ConsensusClient(secure.url, token, retry=RetryPolicy(attempts=1))

    return make


def test_a_round_over_tls_with_a_bound_certificate(secure, bound, kit, answer_rows):
    assert secure.url.startswith("https://")
    answers = {row["prompt_id"]: row["text"] for row in answer_rows()}
    with kit(bound.tokens["anna"], "anna") as anna, kit(bound.tokens["bert"]) as bert:
        for client in (anna, bert):
            client.submit(1, answers)
            client.seal(1)
        assert secure.aggregate()
        assert [event.kind for event in anna.events(1)][-1] == "round.published"
        assert anna.wait_for(1, RoundState.PUBLISHED).state == "published"


@pytest.mark.parametrize(
    ("whose", "told"), [(None, "showed no client certificate"), ("bert", "showed the certificate")]
)
def test_a_stolen_token_is_of_no_use_without_the_certificate(bound, kit, whose, told):
    with kit(bound.tokens["anna"], whose) as thief, pytest.raises(WrongCertificate, match=told) as caught:
        thief.identity()
    assert caught.value.status == 401
    assert "CONSENSUS_CLIENT_CERTIFICATE" in str(caught.value)


def test_a_panels_client_shows_its_certificate_too(secure, bound, authority, certificates):
    def models(files):
        with httpx.Client(verify=showing(authority, files)) as way:
            client = OpenAI(base_url=f"{secure.url}/v1", api_key=bound.tokens["anna"], http_client=way, max_retries=0)
            return list(client.models.list())

    assert models(certificates["anna"]) == []
    with pytest.raises(AuthenticationError, match="bound to a client certificate"):
        models(None)


def test_streams_under_another_certificate_end_when_the_participant_is_bound(secure, bound):
    path = f"{bound.path}/participants/bert/certificates"
    with secure.client(bound.tokens["bert"]).stream("GET", f"{bound.round}/events") as stream:
        threading.Timer(0.2, bound.operator.put, (path,), {"json": {"certificates": ["0" * 64]}}).start()
        stream.read()
    assert stream.status_code == 200  # and it ended, for the round is still open
    assert bound.state() == "open"
    shown = bound.operator.get(f"{bound.path}/participants").json()["items"]
    assert [each["certificates"] for each in shown if each["participant"] == "bert"] == [["0" * 64]]
    bound.operator.put(path, json={"certificates": []})
    assert secure.client(bound.tokens["bert"]).get("/v1/identity").status_code == 200


def test_who_joins_may_bind_the_token_to_its_own_certificate(secure, bound, kit, certificates):
    code = bound.operator.post(f"{bound.path}/invitations", json={"participant": "carl"}).json()["code"]
    with kit(None) as nobody, pytest.raises(WrongCertificate, match="showed no client certificate"):
        nobody.redeem(code, bind_certificate=True)
    with kit(None, "bert") as carl:
        joined = carl.redeem(code, bind_certificate=True)
    assert joined.participant.certificates == [fingerprint(certificates["bert"][0])]
    assert secure.client(joined.token).get("/v1/identity").json()["code"] == "wrong_certificate"
    with kit(joined.token, "bert") as carl:
        assert carl.identity().participant == "carl"


def test_a_server_that_requires_certificates_lets_nobody_in_without(
    start_server, authority, certificates, monkeypatch, tmp_path
):
    """And the event loop does not swallow the reason."""
    certificate, key = authority.issue("strict")
    live = start_server(tls_certificate=certificate, tls_key=key, tls_client_ca=authority.file, tls_client="required")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    def health(files=("", "")):
        for name, file in zip((CERTIFICATE_VARIABLE, KEY_VARIABLE), files, strict=True):
            monkeypatch.setenv(name, str(file))
        with ConsensusClient(live.url, retry=RetryPolicy(attempts=1)) as client:
            return client.health().status

    for files, told in (
        (("", ""), "asks for a client certificate"),
        (Authority(tmp_path).issue("stranger"), "asks for a client certificate that it knows"),
        (authority.issue("old", began=timedelta(days=9), ends=timedelta(days=-1)), "was shown has expired"),
    ):
        with pytest.raises(Unreachable, match=told):
            health(files)
    assert health(certificates["anna"]) == "ok"


def test_who_says_nothing_is_not_waited_for(start_server, authority):
    certificate, key = authority.issue("patient")
    live = start_server(tls_certificate=certificate, tls_key=key, head_seconds=0.3)
    address = urlsplit(live.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as stranger:
        assert stranger.recv(1) == b""

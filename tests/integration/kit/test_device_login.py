"""Signing in at a provider from a machine without a browser, and the files that are left."""

import json
import stat
from itertools import count

import pytest
from typer.testing import CliRunner

from client_kit import device_login
from client_kit.cli.application import app
from client_kit.device_login import Client, SignedIn, renew, sign_in
from client_kit.errors import ConfigurationError, SignInFailed, UnexpectedAnswer
from tests.support.identity_provider import DISCOVERY, identity_provider

PENDING = (400, {"error": "authorization_pending"})
SLOWER = (400, {"error": "slow_down"})


@pytest.fixture(scope="module")
def shared():
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(shared):
    shared.replies, shared.instead = [], {}
    shared.forms.clear()
    return shared


@pytest.fixture
def client(provider):
    return Client(provider.url, "consensus", audience="the-server")


class Patience:
    """Notes how long was waited."""

    def __init__(self):
        self.waited = []

    def __call__(self, seconds):
        self.waited.append(seconds)


def test_who_confirms_in_a_browser_is_signed_in(provider, client):
    provider.replies = [PENDING, SLOWER, (503, []), (200, {"access_token": "a.b.c", "refresh_token": "r"})]
    shown, patience = [], Patience()
    assert sign_in(client, lambda *what: shown.append(what), sleep=patience) == SignedIn("a.b.c", "r")
    assert shown == [(f"{provider.url}/sign-in", "ABCD-EFGH")]
    assert patience.waited == [1, 1, 6, 11]
    assert provider.forms[0] == {"client_id": "consensus", "scope": "openid", "audience": "the-server"}
    assert {form["device_code"] for form in provider.forms[1:]} == {"the-device"}


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ((400, {"error": "access_denied"}), "was denied"),
        ((401, {"error": "invalid_client"}), "check --client-id"),
        ((400, {"error": "of_its_own"}), "the provider said of_its_own"),
        ((403, []), "the provider said status 403"),
        ((200, {"id_token": "a.b.c"}), "gave no access_token.*--id-token"),
    ],
)
def test_who_is_not_is_told_why(provider, client, reply, told):
    provider.replies = [reply]
    with pytest.raises(SignInFailed, match=told):
        sign_in(client, lambda *_: None, sleep=lambda _: None)


def test_nobody_waits_for_ever(provider, client, monkeypatch):
    monkeypatch.setattr(device_login, "LONGEST_WAIT_SECONDS", 180.0)
    provider.instead = {
        "/device": (200, {}, json.dumps(provider.device() | {"interval": 1e9, "expires_in": 1e9}).encode())
    }
    provider.replies = [PENDING] * 100
    patience = Patience()
    with pytest.raises(SignInFailed, match="nobody confirmed"):
        sign_in(client, lambda *_: None, sleep=patience)
    assert sum(patience.waited) == 180


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"issuer": "https://other"}, SignInFailed, "is no issuer by this name"),
        ({"device_authorization_endpoint": None}, SignInFailed, "lets nobody sign in on a device"),
        ({"token_endpoint": "http://192.0.2.1/"}, ConfigurationError, "does not begin with https"),
    ],
)
def test_a_provider_that_cannot_do_it_is_told(provider, client, changes, kind, told):
    about = {name: value for name, value in (provider.about() | changes).items() if value}
    provider.instead = {DISCOVERY: (200, {}, json.dumps(about).encode())}
    with pytest.raises(kind, match=told):
        sign_in(client, lambda *_: None)


def test_neither_redirects_nor_terminal_tricks_are_followed(provider, client):
    provider.instead = {"/device": (307, {"Location": "http://192.0.2.1/"}, b"")}
    with pytest.raises(UnexpectedAnswer, match="is moved"):
        sign_in(client, lambda *_: None)
    provider.instead = {"/device": (200, {}, json.dumps(provider.device() | {"user_code": "\x1b[2J"}).encode())}
    with pytest.raises(SignInFailed, match="no user_code"):
        sign_in(client, lambda *_: None)


def test_a_token_is_renewed_and_the_means_for_the_next_time_are_kept(provider, client):
    provider.replies = [(200, {"access_token": "d.e.f"}), (200, {"access_token": "g.h.i", "refresh_token": "s"})]
    assert [renew(client, "r"), renew(client, "r")] == [SignedIn("d.e.f", "r"), SignedIn("g.h.i", "s")]
    provider.replies = [(400, {"error": "invalid_grant"})]
    with pytest.raises(SignInFailed, match="sign in again"):
        renew(client, "r")


def test_the_command_keeps_both_to_their_owner(provider, tmp_path, monkeypatch):
    monkeypatch.setattr(device_login.time, "sleep", lambda _: None)
    monkeypatch.setattr(device_login.sign_in, "__kwdefaults__", {"sleep": lambda _: None})
    tokens = (f"a.b.{number}" for number in count())
    provider.replies = [(200, {"access_token": next(tokens), "refresh_token": f"r{n}"}) for n in range(2)]
    file = tmp_path / "ada.token"
    where = ["--token-file", str(file)]
    first = CliRunner().invoke(app, ["login", "--issuer", provider.url, "--client-id", "consensus", *where])
    assert first.exit_code == 0, first.output
    assert "ABCD-EFGH" in first.stderr
    assert file.read_text() == "a.b.0\n"
    again = CliRunner().invoke(app, ["login", "--renew", *where, "--json"])
    assert json.loads(again.stdout) == {"token_file": str(file), "renewable": True}
    assert provider.forms[-1]["refresh_token"] == "r0"
    kept = tmp_path / "ada.token.refresh"
    assert (file.read_text(), json.loads(kept.read_text())["refresh_token"]) == ("a.b.1\n", "r1")
    assert {stat.S_IMODE(each.stat().st_mode) for each in (file, kept)} == {0o600}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ada.token", "ada.token.refresh"]


@pytest.mark.parametrize(
    ("words", "told"), [(["--renew"], "nothing can be renewed"), (["--client-id", "c"], "name the provider")]
)
def test_what_is_missing_is_named(tmp_path, words, told):
    result = CliRunner().invoke(
        app, ["login", "--token-file", str(tmp_path / "t"), *words], env={"CONSENSUS_ISSUER": None}
    )
    assert result.exit_code == 2
    assert told in result.stderr

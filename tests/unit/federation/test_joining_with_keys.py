"""A site's own key is made and registered by itself; the server's is the one that was seen first."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from client_kit import signing
from client_kit.errors import ConfigurationError
from client_kit.federation import joining
from client_kit.wire import SigningKey


class Client:
    """A server that remembers keys and has one of its own."""

    def __init__(self):
        self.keys = []
        self.own = "a" * 64

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def signing_keys(self):
        return self.keys

    def register_key(self, key):
        self.keys.append(SigningKey(key=key.public, registered_at=datetime(2030, 1, 1, tzinfo=UTC)))

    def server_key(self):
        return self.own


def site(tmp_path, **changes):
    values = {
        "signing_key_file": tmp_path / "site.key",
        "server_key": None,
        "work": tmp_path / "work",
        "server": "http://s",
    }
    return SimpleNamespace(**values | changes)


def test_a_key_is_made_and_registered_once(tmp_path):
    client = Client()
    for _ in range(2):
        joining._register(client, site(tmp_path))
    assert [each.key for each in client.keys] == [signing.read_key(tmp_path / "site.key").public]
    with pytest.raises(ConfigurationError, match="--replaces OLD"):
        joining._register(client, site(tmp_path, signing_key_file=tmp_path / "other.key"))
    joining._register(client, site(tmp_path, signing_key_file=None))
    assert len(client.keys) == 1


def test_the_first_key_that_a_server_shows_is_kept(tmp_path, monkeypatch):
    client = Client()
    monkeypatch.setattr(joining, "ConsensusClient", lambda *_: client)
    monkeypatch.setattr(joining, "participant_token", lambda _: "token")
    assert joining._server_key(site(tmp_path)) is None
    assert joining._server_key(site(tmp_path, server_key="b" * 64)) == "b" * 64
    assert joining._server_key(site(tmp_path, server_key="first")) == "a" * 64
    client.own = "c" * 64
    assert joining._server_key(site(tmp_path, server_key="first")) == "a" * 64

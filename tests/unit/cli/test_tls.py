"""The server's certificate: what no client would accept keeps it from starting, and a new one is loaded while it runs."""

import ssl
from datetime import timedelta

import pytest

from consensus_server.cli.serving import warn
from consensus_server.cli.tls import ServerTls
from consensus_server.settings import SettingsError, load_settings
from tests.support.tls import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def with_password(authority):
    from cryptography.hazmat.primitives import serialization as of

    certificate, key = authority.issue("locked")
    private = of.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(of.Encoding.PEM, of.PrivateFormat.PKCS8, of.BestAvailableEncryption(b"secret"))
    )
    return certificate, key


FAULTS = {
    "no certificate": (lambda a: (a.file.with_name("nowhere.pem"), None), "cannot be read"),
    "no key in its file": (lambda a: (a.issue("alone")[0], None), "should hold the key too"),
    "another's key": (lambda a: (a.issue("one")[0], a.issue("two")[1]), "do not belong together"),
    "a key with a password": (with_password, "a key with a password"),
    "expired": (lambda a: a.issue("old", began=timedelta(days=9), ends=timedelta(days=-1)), "has expired"),
    "not yet valid": (lambda a: a.issue("new", began=timedelta(days=-1)), "not valid yet"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_certificate_that_no_client_would_accept_is_told_at_the_start(authority, fault):
    make, told = FAULTS[fault]
    certificate, key = make(authority)
    with pytest.raises(SettingsError, match=rf"(?s)CONSENSUS_TLS_CERTIFICATE.*{certificate.name}.*{told}"):
        ServerTls(certificate, key, None, required=False)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"tls_key": "x.key"}, "CONSENSUS_TLS_KEY is set, and there is no certificate"),
        ({"tls_client_ca": "x.pem"}, "CONSENSUS_TLS_CLIENT_CA is set"),
    ],
)
def test_what_needs_a_certificate_says_so(settings, told):
    with pytest.raises(SettingsError, match=told):
        ServerTls.of(load_settings({}, **settings))
    assert ServerTls.of(load_settings({})) is None


def test_authorities_that_cannot_be_read_are_named(authority):
    with pytest.raises(SettingsError, match=r"CONSENSUS_TLS_CLIENT_CA names .*nowhere\.pem"):
        ServerTls(*authority.issue("fine"), authority.file.with_name("nowhere.pem"), required=True)


def test_a_key_that_all_can_read_and_a_certificate_that_ends_soon_are_warned_of(authority):
    certificate, key = authority.issue("soon", ends=timedelta(days=3))
    key.chmod(0o644)
    notes = ServerTls(certificate, key, None, required=False).notes
    assert [note.split(" ")[0] for note in notes] == ["Everybody", "The"]
    assert f"chmod o= {key}" in notes[0]
    assert ServerTls(*authority.issue("fine"), None, required=False).notes == []


def seen(tls):
    """Serial number of what a client is shown."""
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(a, b)
    for side in (asking, tls.context.wrap_bio(b, a, server_side=True)) * 2:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return asking.getpeercert(binary_form=True)


async def test_a_new_pair_of_files_is_loaded_and_a_half_written_one_is_not(authority):
    files = authority.issue("renewed")
    tls = ServerTls(*files, None, required=False)
    before = seen(tls)
    await tls.renew()
    assert seen(tls) == before
    fresh, old_key = authority.issue("fresh"), files[1].read_bytes()
    files[0].write_bytes(fresh[0].read_bytes())
    await tls.renew()  # the key is still the old one
    assert seen(tls) == before
    files[1].write_bytes(fresh[1].read_bytes())
    await tls.renew()
    assert seen(tls) == ssl.PEM_cert_to_DER_cert(fresh[0].read_text())
    files[1].unlink()
    await tls.renew()
    assert seen(tls) == ssl.PEM_cert_to_DER_cert(fresh[0].read_text())
    assert old_key


def test_nobody_speaks_less_than_tls_1_2(authority):
    assert ServerTls(*authority.issue("fine"), None, required=False).context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "127.0.0.1"}, False),
        ({"host": "localhost"}, False),
        ({"host": "0.0.0.0", "trusted_proxies": "10.0.0.5"}, False),
    ],
)
def test_plain_http_beyond_this_machine_is_warned_of(capsys, settings, warned):
    warn(load_settings({}, **settings), None)
    assert ("clear text" in capsys.readouterr().err) is warned


@pytest.mark.parametrize("value", ["10.0.0.5/8", "proxy.example.org"])
def test_a_proxy_that_is_no_address_is_named(value):
    with pytest.raises(SettingsError, match=rf"CONSENSUS_TRUSTED_PROXIES.*{value} is no address and no range"):
        load_settings({}, trusted_proxies=f"127.0.0.1, {value}")

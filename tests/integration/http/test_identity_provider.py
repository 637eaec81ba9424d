"""Tokens of an identity provider: which signatures count, when keys are fetched, and who a caller then is."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from consensus_server.backends.identity_provider import KEPT_SECONDS, PAUSE_SECONDS, SigningKeys
from consensus_server.core.errors import IdentityRefused, NotReady
from consensus_server.settings import SettingsError, load_settings
from consensus_server.wiring import build_server
from tests.support.identity_provider import AUDIENCE, DISCOVERY, identity_provider


@pytest.fixture(scope="module")
def shared():
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(shared):
    """As new, but for its keys."""
    keys = dict(shared.keys)
    shared.asked.clear()
    yield shared
    shared.keys, shared.instead = keys, {}


class Time:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def keys(provider, clock):
    return SigningKeys(provider.url, monotonic=clock)


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1"])
def test_what_the_issuer_signed_is_read_and_its_keys_are_fetched_once(provider, keys, kid):
    assert [keys.claims(provider.issue(kid=kid))["sub"] for _ in range(3)] == ["ada"] * 3
    assert provider.asked == [DISCOVERY, "/keys"]


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(provider, algorithm="none"):
    return f"{encoded({'alg': algorithm, 'kid': 'ec-1'})}.{encoded(provider.claims())}."


def signed_with_the_public_key(provider):
    """HMAC with what everybody knows: a library that takes the header's word would find it right."""
    key = provider.keys["rsa-1"].raw_value.public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header, claims = encoded({"alg": "HS256", "kid": "rsa-1"}), encoded(provider.claims())
    import hmac
    from hashlib import sha256

    mac = hmac.digest(pem, f"{header}.{claims}".encode(), sha256)
    return f"{header}.{claims}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def by_a_stranger(provider):
    own = ECKey.generate_key("P-256", {"kid": "ec-1"})
    return jwt.encode({"alg": "ES256", "kid": "ec-1"}, provider.claims(), own, algorithms=["ES256"])


def changed(provider):
    header, _, signature = provider.issue().split(".")
    return f"{header}.{encoded(provider.claims(sub='root'))}.{signature}"


FORGED = {
    "no signature": (unsigned, "algorithm is not taken"),
    "no signature in capitals": (lambda p: unsigned(p, "NONE"), "algorithm is not taken"),
    "no signature under a good name": (lambda p: unsigned(p, "ES256"), "signature is not the issuer's"),
    "the public key as a secret": (signed_with_the_public_key, "algorithm is not taken"),
    "a stranger's key": (by_a_stranger, "signature is not the issuer's"),
    "changed claims": (changed, "signature is not the issuer's"),
    "a key of another kind": (lambda p: p.issue(header={"kid": "rsa-1"}), "does not show"),
    "an unknown key": (lambda p: p.issue(header={"kid": "ec-9"}), "does not show"),
    "a key that is a path": (lambda p: p.issue(header={"kid": "../../etc/passwd"}), "does not show"),
    "a key that is no text": (lambda p: f"{encoded({'alg': 'ES256', 'kid': ['ec-1']})}.e30.e30", "says nothing of who asks"),
    "a logout token": (lambda p: p.issue(header={"typ": "logout+jwt"}), "says nothing of who asks"),
    "what must be understood": (lambda p: f"{encoded({'alg': 'ES256', 'kid': 'ec-1', 'crit': ['b64']})}.e30.e30", "says nothing"),
    "a header without a bottom": (lambda p: f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.e30", "no JSON Web Token"),
    "no JSON": (lambda p: "e30e.e30.e30", "no JSON Web Token"),
    "no letters": (lambda p: "é.é.é", "no JSON Web Token"),
    "a header that is a list": (lambda p: f"{encoded([])}.e30.e30", "no JSON Web Token"),
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_what_the_issuer_did_not_sign_is_refused(provider, keys, forged):
    make, told = FORGED[forged]
    with pytest.raises(IdentityRefused, match=told):
        keys.claims(make(provider))


def test_a_token_without_the_name_of_its_key_is_taken_where_one_key_fits(provider, keys, clock):
    assert keys.claims(provider.issue(header={"kid": None}))["sub"] == "ada"
    provider.keys["ec-2"] = ECKey.generate_key("P-256", {"kid": "ec-2"})
    clock.now += KEPT_SECONDS + 1
    with pytest.raises(IdentityRefused, match="does not show"):
        keys.claims(provider.issue(header={"kid": None}))


def test_a_new_key_is_fetched_at_its_first_use_and_strangers_cause_no_more_fetches(provider, keys, clock):
    keys.claims(provider.issue())
    provider.keys["ec-2"] = ECKey.generate_key("P-256", {"kid": "ec-2"})
    with pytest.raises(IdentityRefused):
        keys.claims(provider.issue(kid="ec-2"))  # too soon after the last fetch
    clock.now += PAUSE_SECONDS
    assert keys.claims(provider.issue(kid="ec-2"))["sub"] == "ada"
    for n in range(50):
        with pytest.raises(IdentityRefused):
            keys.claims(provider.issue(header={"kid": f"invented-{n}"}))
    assert len(provider.asked) == 4


def test_a_key_that_the_issuer_withdraws_holds_no_longer_and_while_it_is_away_the_old_ones_do(provider, keys, clock):
    old = provider.issue()
    keys.claims(old)
    provider.instead = {DISCOVERY: (503, {}, b"{}")}
    clock.now += KEPT_SECONDS + 1
    assert keys.claims(old)["sub"] == "ada"
    provider.instead = {}
    del provider.keys["ec-1"]
    clock.now += KEPT_SECONDS + 1
    with pytest.raises(IdentityRefused, match="does not show"):
        keys.claims(old)


def weak(provider):
    from cryptography.hazmat.primitives.asymmetric import rsa

    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    as_text = base64.urlsafe_b64encode(numbers.n.to_bytes(128, "big")).rstrip(b"=").decode()
    return {"keys": [{"kty": "RSA", "kid": "ec-1", "n": as_text, "e": "AQAB"}]}


DOCUMENTS = {
    "moved": lambda p: {DISCOVERY: (302, {"Location": f"{p.url}/keys"}, b"{}")},
    "moved keys": lambda p: {"/keys": (307, {"Location": "http://192.0.2.1/"}, b"{}")},
    "another issuer": lambda p: {DISCOVERY: (200, {}, json.dumps(p.about() | {"issuer": "https://other"}).encode())},
    "keys in clear text": lambda p: {DISCOVERY: (200, {}, json.dumps(p.about() | {"jwks_uri": "http://192.0.2.1/"}).encode())},
    "no end": lambda p: {"/keys": (200, {}, b" " * 1_100_000)},
    "no JSON": lambda p: {"/keys": (200, {}, b"<html>")},
    "no keys": lambda p: {"/keys": (200, {}, b"[]")},
}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_that_are_not_the_issuers_give_no_keys(provider, keys, document):
    provider.instead = DOCUMENTS[document](provider)
    with pytest.raises(NotReady, match="keys cannot be had"):
        keys.claims(provider.issue())


@pytest.mark.parametrize(
    "shown",
    [
        weak,
        lambda p: {"keys": [OctKey.generate_key(256, {"kid": "ec-1"}).as_dict()]},
        lambda p: {"keys": [p.keys["ec-1"].as_dict(private=False) | {"use": "enc"}]},
        lambda p: {"keys": [{"kty": "EC", "kid": "ec-1", "crv": "P-256", "x": "!", "y": 3}]},
        lambda p: {"keys": [RSAKey.import_key(p.keys["rsa-1"].as_dict(private=False), parameters={"kid": "ec-1"}).as_dict(private=False)]},
    ],
    ids=["weak", "a secret", "for encryption", "broken", "of another kind"],
)  # fmt: skip
def test_keys_that_are_not_for_this_are_passed_over(provider, keys, shown):
    provider.instead = {"/keys": (200, {}, json.dumps(shown(provider)).encode())}
    with pytest.raises(IdentityRefused, match="does not show"):
        keys.claims(provider.issue())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"oidc_issuer": "http://id.example.org"}, "CONSENSUS_OIDC_ISSUER.*https"),
        ({"oidc_issuer": "https://id.example.org"}, "set CONSENSUS_OIDC_AUDIENCE too"),
        ({"oidc_issuer": "https://i", "oidc_audience": "a", "oidc_groups": "admins"}, "CONSENSUS_OIDC_GROUPS has 'admins'"),
        ({"oidc_issuer": "https://i", "oidc_audience": "a", "oidc_groups": "a=server, b=clinics"}, "GROUPS has 'b=clinics'"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_told_at_the_start(tmp_path, settings, told):
    with pytest.raises(SettingsError, match=told):
        build_server(load_settings({}, data_dir=tmp_path, **settings), "a-token-of-sixteen")


@pytest.fixture(scope="module")
def vouched(running, shared, tmp_path_factory):
    """A server that takes the provider's word."""
    settings = {
        "oidc_issuer": shared.url,
        "oidc_audience": AUDIENCE,
        "oidc_groups": "admins=server",
        "oidc_participant_claim": "site",
    }
    with running(tmp_path_factory.mktemp("vouched"), **settings) as live:
        yield live


def test_who_is_vouched_for_takes_part_and_is_named(vouched, provider, new_arena, answer_rows):
    arena = new_arena(vouched)
    anna = vouched.client(provider.issue(kid="rsa-1", site=f"{arena.name}/anna"))
    told = anna.get("/v1/identity").json()
    assert (told["participant"], told["role"], told["federation"]) == ("anna", "participant", arena.name)
    rows = "\n".join(map(json.dumps, answer_rows()))
    assert anna.put(f"{arena.round}/submissions", content=rows).status_code == 200
    admin = vouched.client(provider.issue(groups=["admins"]))
    assert admin.post(f"{arena.path}/participants", json={"participant": "carl"}).status_code == 201
    with vouched.server.store.reading() as tx:
        actors = [json.loads(line)["actor"] for line in tx.audit.lines()]
    assert actors[-1] == f"operator ({provider.url} ada)"


def test_who_is_not_gets_one_problem(vouched, provider, new_arena, problem):
    arena = new_arena(vouched)
    for token, told in (
        (provider.issue(site=f"{arena.name}/nobody"), "does not have"),
        (provider.issue(site="anna"), "does not have"),
        (provider.issue(aud="other", groups=["admins"]), "another audience"),
        (unsigned(provider), "algorithm"),
        ("a.b.c", "no JSON Web Token"),
        (provider.issue(site="x" * 20_000), "too long"),
    ):
        found = problem(vouched.client(token).get("/v1/identity"), 401, "identity_refused")
        assert told in found["detail"]
    refused = arena.operator.patch(f"{arena.path}/participants/anna", json={"active": False})
    assert refused.status_code == 200
    problem(vouched.client(provider.issue(site=f"{arena.name}/anna")).get("/v1/identity"), 401, "unauthenticated")


def test_no_participant_makes_itself_a_token_that_outlives_its_identity(vouched, provider, new_arena, problem):
    arena = new_arena(vouched)
    bert = vouched.client(provider.issue(site=f"{arena.name}/bert"))
    problem(bert.post(f"{arena.path}/participants/bert/token"), 403, "forbidden")
    assert vouched.client(arena.tokens["bert"]).get("/v1/identity").status_code == 200


def test_what_is_under_way_ends_with_the_identity(vouched, provider, new_arena):
    import time

    arena = new_arena(vouched)
    ending = provider.issue(
        site=f"{arena.name}/bert", exp=time.time() - 59
    )  # of a minute of allowance a second is left
    began = time.monotonic()
    with vouched.client(ending).stream("GET", f"{arena.round}/events") as stream:
        assert stream.status_code == 200
        stream.read()
    assert time.monotonic() - began < 4
    assert arena.state() == "open"

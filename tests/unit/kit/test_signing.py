"""Keys in files, and the bytes that are signed."""

import stat
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from client_kit import signing
from client_kit.errors import ConfigurationError, MissingExtra
from client_kit.wire import ConsensusPolicy, KeyStatement, SealStatement, Signature, policy_digest
from tests.support.signing import key_of

STATEMENT = KeyStatement(
    federation="clinics", created_at=datetime(2030, 1, 1, tzinfo=UTC), participant="anna", key="0" * 64
)


def test_the_signed_bytes_are_these():
    assert STATEMENT.signed_bytes() == (
        b"semantic-consensus/key/v1\n"
        b'{"created_at":"2030-01-01T00:00:00Z","federation":"clinics","key":"' + b"0" * 64 + b'","participant":"anna"}'
    )
    elsewhere = datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert KeyStatement.model_validate(STATEMENT.model_dump() | {"created_at": elsewhere}) == STATEMENT


def test_signatures_are_ed25519_as_rfc_8032_has_it():
    first = Signature(
        key="d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        signature="e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b",
    )
    assert signing.is_signed(b"", first)
    made = key_of("a").sign(STATEMENT)
    assert signing.is_signed(STATEMENT.signed_bytes(), made)
    assert not signing.is_signed(STATEMENT.signed_bytes() + b" ", made)
    assert not signing.is_signed(STATEMENT.signed_bytes(), made.model_copy(update={"key": "f" * 64}))


def test_statements_of_two_kinds_are_never_one():
    assert KeyStatement.domain != SealStatement.domain
    assert not signing.is_signed(STATEMENT.text().encode(), key_of("a").sign(STATEMENT))


def test_a_policy_has_the_digest_of_what_it_says_other_than_by_default():
    assert policy_digest(ConsensusPolicy()) == policy_digest(ConsensusPolicy(rule="hybrid"))
    assert policy_digest(ConsensusPolicy(minimum_margin=1)) != policy_digest(ConsensusPolicy())


def test_a_key_file_is_its_owners_and_never_written_over(tmp_path):
    file = tmp_path / "anna.key"
    made = signing.new_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing.read_key(file).public == signing.kept_key(file).public == made.public
    assert made.public in repr(made)
    with pytest.raises(ConfigurationError, match="never takes another's place"):
        signing.new_key(file)
    kept = signing.kept_key(tmp_path / "deeper" / "site.key")
    assert kept.public == signing.read_key(tmp_path / "deeper" / "site.key").public
    assert [each.name for each in (tmp_path / "deeper").iterdir()] == ["site.key"]


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_told(tmp_path, content):
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="holds no Ed25519 key"):
        signing.read_key(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        signing.read_key(tmp_path / "missing")


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    signing._require_library.cache_clear()
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    with pytest.raises(MissingExtra, match=r"semantic-consensus\[signing\]"):
        signing.new_key(tmp_path / "key")
    signing._require_library.cache_clear()

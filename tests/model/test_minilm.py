"""The real encoder: does it know meaning, and is it what was pinned?"""

import shutil

import numpy as np
import pytest

from consensus_server.backends.encoders import WeightsMismatchError, known_identity, load_encoder
from consensus_server.backends.encoders.weights import DEFAULT_ENCODER, PINNED, file_digest, locate


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(threads=1)


@pytest.fixture(scope="module")
def folder():
    return locate(DEFAULT_ENCODER, None)


def test_the_pinned_model_is_known_without_loading_it(encoder):
    assert known_identity(DEFAULT_ENCODER) == encoder.identity
    assert known_identity(DEFAULT_ENCODER, tokens=100) is None


def test_paraphrases_are_closer_than_another_fact(encoder):
    fact, paraphrase, other = encoder.encode_with_openings(
        ["The capital of France is Paris.", "Paris is France's capital city.", "The capital of Italy is Rome."]
    )[0]
    assert fact @ paraphrase > 0.9 > fact @ other


@pytest.mark.parametrize("sentences", [3, 40, 60, 400])
def test_a_long_answer_is_the_mean_of_its_chunks(encoder, sentences):
    text = " ".join(f"In {1500 + at} the river rose {at} feet, and the town was rebuilt." for at in range(sentences))
    np.testing.assert_allclose(
        encoder.encode_with_openings([text])[0][0], plain_reference(encoder._model, text), atol=2e-6
    )


def plain_reference(model, text):
    """CONSENSUS.md, "Parts", written to be read: one chunk at a time, through the library's own pipeline."""
    import torch

    ids = model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    chunks = [ids[start : start + 254] for start in range(0, len(ids), 254)][:6]
    if len(chunks) > 1 and len(chunks[-1]) < 16:
        chunks.pop()
    total = np.zeros(384)
    for chunk in chunks:
        row = torch.tensor([[101, *chunk, 102]])
        with torch.inference_mode():
            out = model({"input_ids": row, "attention_mask": torch.ones_like(row)})
        total += len(chunk) * out["sentence_embedding"][0].numpy()
    return total / np.linalg.norm(total)


def test_a_short_answer_gets_the_librarys_own_vector(encoder):
    text = "A short answer, as plain sentence-transformers embeds it."
    np.testing.assert_allclose(encoder.encode_with_openings([text])[0][0], encoder._model.encode(text), atol=2e-6)


def test_the_weights_are_the_pinned_ones(encoder, folder):
    assert encoder.identity.weights == PINNED[DEFAULT_ENCODER].files["model.safetensors"]
    assert file_digest(folder / "model.safetensors") == encoder.identity.weights
    assert file_digest(folder / "tokenizer.json") in encoder.identity.chunking


def test_one_changed_bit_in_the_weights_is_refused(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    with pytest.raises(WeightsMismatchError, match=f"expected {PINNED[DEFAULT_ENCODER].files['model.safetensors']}"):
        load_encoder(folder=copy)


def test_a_model_by_path_is_pinned_by_its_own_digest(encoder, folder):
    by_path = load_encoder(str(folder), threads=1)
    assert by_path.identity.weights == encoder.identity.weights
    assert (
        by_path.encode_with_openings(["the same"])[0].tobytes()
        == encoder.encode_with_openings(["the same"])[0].tobytes()
    )

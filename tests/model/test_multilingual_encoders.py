"""Models that want a prefix or have a small window: the vectors are the library's own, chunk by chunk."""

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from consensus_server.backends.encoders import EncoderError, load_encoder
from tests.support.tiny_encoder import TEXTS, write_tiny_encoder

SHORT = ["The cat sleeps.", "Der Weg ist weit.", "今日は寒いです。", "القطة تنام"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("include", [True, False], ids=["prefix in the mean", "prefix not in the mean"])
def test_a_prefix_gives_the_librarys_own_vectors(tmp_path, include):
    folder = write_tiny_encoder(tmp_path, prompts={"query": "query: "}, include_prompt=include)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(
        SHORT, prompt_name="query", normalize_embeddings=True
    )
    ours = load_encoder(str(folder), threads=1, prefix="query: ").encode_with_openings(SHORT)[0]
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_a_models_default_prompt_is_taken_unless_told_otherwise(tmp_path, folder):
    prompted = write_tiny_encoder(tmp_path, prompts={"query": "query: "}, default_prompt="query")
    by_default = load_encoder(str(prompted), threads=1)
    theirs = SentenceTransformer(str(prompted), device="cpu").encode(SHORT, normalize_embeddings=True)
    np.testing.assert_allclose(by_default.encode_with_openings(SHORT)[0], theirs, atol=2e-6)
    bare = load_encoder(str(prompted), threads=1, prefix="")
    np.testing.assert_allclose(
        bare.encode_with_openings(SHORT)[0],
        load_encoder(str(folder), threads=1).encode_with_openings(SHORT)[0],
        atol=2e-6,
    )
    assert bare.identity.digest != by_default.identity.digest
    assert "prefix 'query:'" in by_default.identity.chunking


def test_every_chunk_of_a_long_text_has_the_prefix(folder):
    encoder = load_encoder(str(folder), threads=1, prefix="query:", tokens=20)
    text = " ".join(TEXTS)
    model = encoder._model
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    prefix = model.tokenizer("query:", add_special_tokens=False)["input_ids"]
    chunks = [ids[at : at + 20] for at in range(0, len(ids), 20)][:6]
    assert len(chunks) > 2
    total = sum(len(chunk) * encoder._forward([chunk])[0].astype(float) for chunk in chunks if len(chunk) >= 16)
    np.testing.assert_allclose(encoder.encode_with_openings([text])[0][0], total / np.linalg.norm(total), atol=2e-6)
    assert encoder._before == [2, *prefix]


def test_the_window_bounds_the_chunks_and_more_is_refused(folder):
    assert load_encoder(str(folder), threads=1).identity.chunking.startswith("62 tokens")
    assert load_encoder(str(folder), threads=1, tokens=30).identity.chunking.startswith("30 tokens")
    with pytest.raises(EncoderError, match=r"window of 64 tokens has room for 62 tokens"):
        load_encoder(str(folder), threads=1, tokens=100)
    with pytest.raises(EncoderError, match="shorten the prefix"):
        load_encoder(str(folder), threads=1, prefix="many words " * 40)


def test_white_space_at_the_end_of_a_prefix_makes_no_other_encoder(folder):
    digests = {load_encoder(str(folder), threads=1, prefix=prefix).identity.digest for prefix in ("query:", "query: ")}
    assert len(digests) == 1

import numpy as np
import pytest

from client_kit.wire import content_digest
from consensus_server.backends.encoders import HashingEncoder
from consensus_server.service import embedding
from consensus_server.service.embedding import embed_texts


class MemoryStore:
    """Keeps the first vector of a digest, as the port says."""

    def __init__(self):
        self.held = {}
        self.puts = []

    def get(self, encoder, digests):
        return {digest: self.held[encoder, digest] for digest in digests if (encoder, digest) in self.held}

    def put(self, encoder, vectors):
        self.puts.append(sorted(vectors))
        for digest, vector in vectors.items():
            self.held.setdefault((encoder, digest), vector)


class ScriptedEncoder(HashingEncoder):
    """Notes what it is asked; fails or breaks vectors as told."""

    def __init__(self, *, broken=(), fail_at=None, wrong_shape=False):
        self.asked = []
        self.broken, self.fail_at, self.wrong_shape = broken, fail_at, wrong_shape

    def encode_with_openings(self, texts):
        if len(self.asked) == self.fail_at:
            raise RuntimeError("power cut")
        self.asked.append(list(texts))
        vectors, openings = super().encode_with_openings(texts)
        vectors[[text in self.broken for text in texts]] = np.nan
        openings[[text in self.broken for text in texts]] = np.nan
        return (vectors[:-1] if self.wrong_shape else vectors), openings


@pytest.fixture
def texts():
    return {content_digest(text): text for text in (f"{'word ' * count}end" for count in (3, 1, 8, 5, 2))}


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(embedding, "SLICE_TEXTS", 2)


def test_every_text_gets_the_encoders_vector(texts):
    result = embed_texts(texts, HashingEncoder(), MemoryStore())
    assert (result.encoded, result.reused) == (5, 0)
    for digest, text in texts.items():
        np.testing.assert_array_equal(result.vectors[digest], HashingEncoder().encode_with_openings([text])[0][0])


def test_stored_vectors_are_used_and_not_encoded_again(texts):
    store = MemoryStore()
    first, *rest = texts
    kept = np.eye(1, 1024, dtype=np.float32)[0]
    identity = HashingEncoder().identity
    store.put(identity.digest, {first: kept})
    store.put(identity.of_openings.digest, {first: kept})
    encoder = ScriptedEncoder()
    result = embed_texts(texts, encoder, store)
    assert (result.encoded, result.reused) == (4, 1)
    assert {text for asked in encoder.asked for text in asked} == {texts[digest] for digest in rest}
    assert result.vectors[first] is kept
    assert result.openings[first] is kept


def test_a_text_whose_opening_is_not_stored_is_encoded_and_keeps_its_first_vector(texts):
    store = MemoryStore()
    digest, text = next(iter(texts.items()))
    kept = np.eye(1, 1024, dtype=np.float32)[0]
    store.put(HashingEncoder().identity.digest, {digest: kept})
    result = embed_texts({digest: text}, HashingEncoder(), store)
    assert (result.encoded, result.reused) == (1, 0)
    assert result.vectors[digest] is kept
    np.testing.assert_array_equal(result.openings[digest], HashingEncoder().encode_with_openings([text])[0][0])


def test_what_the_store_kept_counts_when_another_worker_was_first(texts):
    store = MemoryStore()
    digest = next(iter(texts))
    other = np.eye(1, 1024, k=3, dtype=np.float32)[0]

    class Overtaken(HashingEncoder):
        def encode_with_openings(self, asked):
            store.put(self.identity.digest, {digest: other})
            return super().encode_with_openings(asked)

    assert embed_texts({digest: texts[digest]}, Overtaken(), store).vectors[digest] is other


def test_a_crash_keeps_the_slices_before_it_and_the_rest_is_cut_alike(texts):
    whole, crashed = ScriptedEncoder(), ScriptedEncoder(fail_at=1)
    embed_texts(texts, whole, MemoryStore())
    store = MemoryStore()
    with pytest.raises(RuntimeError, match="power cut"):
        embed_texts(texts, crashed, store)
    resumed = ScriptedEncoder()
    result = embed_texts(texts, resumed, store)
    assert (result.encoded, result.reused) == (3, 2)
    assert crashed.asked + resumed.asked == whole.asked


def test_slices_are_cut_longest_first_whatever_the_order_of_arrival(texts):
    forth, back = ScriptedEncoder(), ScriptedEncoder()
    embed_texts(texts, forth, MemoryStore())
    embed_texts(dict(reversed(texts.items())), back, MemoryStore())
    assert forth.asked == back.asked
    assert [len(text) for asked in forth.asked for text in asked] == sorted(map(len, texts.values()), reverse=True)


def test_a_vector_that_is_not_finite_is_not_stored_and_comes_back_as_zeros(texts):
    store = MemoryStore()
    digest, text = next(iter(texts.items()))
    result = embed_texts(texts, ScriptedEncoder(broken=(text,)), store)
    assert not result.vectors[digest].any()
    assert all(digest not in put for put in store.puts)
    assert len(store.held) == 2 * (len(texts) - 1)


def test_an_encoder_that_loses_rows_is_caught(texts):
    with pytest.raises(ValueError, match=r"returned \(1, 1024\) for 2 texts"):
        embed_texts(texts, ScriptedEncoder(wrong_shape=True), MemoryStore())


def test_progress_counts_texts(texts):
    seen = []
    embed_texts(texts, HashingEncoder(), MemoryStore(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_no_texts_cost_nothing():
    encoder = ScriptedEncoder()
    result = embed_texts({}, encoder, MemoryStore())
    assert (dict(result.vectors), result.encoded, result.reused, encoder.asked) == ({}, 0, 0, [])

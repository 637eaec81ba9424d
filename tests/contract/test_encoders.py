"""What every encoder promises (consensus_server.ports.Encoder), held against each that ships."""

from functools import partial

import numpy as np
import pytest

from consensus_server.backends.encoders import EmbeddingsApi, fit_lsa, load_encoder
from consensus_server.backends.store import open_store
from tests.support.embedding_server import DIMENSION, MODEL, embedding_server
from tests.support.tiny_encoder import write_tiny_encoder

TEXTS = [
    "The capital of France is Paris.",
    "A cat sleeps on the warm stove, and nobody dares to move it.",
    "Bees make honey. " * 90,
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "short",
    "עברית נכתבת מימין לשמאל",
    "!",
]
EMPTY = ["", " \n\t ", "\u200b\u200d\ufeff"]


KINDS = ["hashing", "all-MiniLM-L6-v2", "multilingual", "lsa", "endpoint"]


@pytest.fixture(scope="module", params=KINDS)
def loading(request, tmp_path_factory):
    """A function that loads the encoder, as a server does when it starts."""
    if request.param == "multilingual":
        folder = write_tiny_encoder(tmp_path_factory.mktemp("tiny"))
        yield partial(load_encoder, str(folder), threads=1, prefix="query: ", tokens=40)
    elif request.param == "lsa":
        folder = tmp_path_factory.mktemp("lsa") / "fitted"
        fit_lsa([*TEXTS, *(f"{text} {number}" for number in range(5) for text in TEXTS)], folder, dimension=16)
        yield partial(load_encoder, str(folder))
    elif request.param == "endpoint":
        store = open_store(f"sqlite:///{tmp_path_factory.mktemp('endpoint') / 'vectors.sqlite'}")
        with embedding_server() as server:
            endpoint = EmbeddingsApi(server.url, DIMENSION)
            yield partial(load_encoder, f"openai:{MODEL}", api=endpoint, store=store.embeddings)
        store.close()
    else:
        yield partial(load_encoder, request.param, threads=1)


@pytest.fixture(scope="module")
def encoder(loading):
    return loading()


def test_vectors_are_float32_rows_of_unit_length(encoder):
    vectors = encoder.encode_with_openings(TEXTS)[0]
    assert vectors.shape == (len(TEXTS), encoder.identity.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_openings_are_the_vectors_of_first_windows(encoder):
    long = " ".join(f"{noun} number {i} stands here." for i, noun in enumerate(["cat", "stove", "bee", "law"] * 60))
    vectors, openings = encoder.encode_with_openings([*TEXTS, long, "", long + " And more follows."])
    assert vectors[: len(TEXTS)].tobytes() == encoder.encode_with_openings(TEXTS)[0].tobytes()
    np.testing.assert_allclose(openings[:2], vectors[:2], atol=1e-6)  # they fit whole
    np.testing.assert_allclose(openings[-1], openings[-3], atol=1e-6)  # unlike only beyond the window
    assert openings[-3] @ vectors[-3] < 0.9999
    assert not openings[-2].any()
    assert encoder.identity.of_openings.digest != encoder.identity.digest


def test_order_leaves_no_trace_in_the_bytes(encoder):
    order = np.random.default_rng(3).permutation(len(TEXTS))
    shuffled = encoder.encode_with_openings([TEXTS[at] for at in order])[0]
    assert shuffled.tobytes() == encoder.encode_with_openings(TEXTS)[0][order].tobytes()


def test_duplicates_get_equal_vectors_and_change_nothing_for_others(encoder):
    plain = encoder.encode_with_openings(TEXTS)[0]
    doubled = encoder.encode_with_openings([TEXTS[2], *TEXTS, TEXTS[2], TEXTS[0]])[0]
    assert doubled[1:-2].tobytes() == plain.tobytes()
    assert doubled[0].tobytes() == doubled[-2].tobytes() == plain[2].tobytes()


def test_a_text_without_content_gives_zeros(encoder):
    vectors = encoder.encode_with_openings([*EMPTY, "word"])[0]
    assert not vectors[:-1].any()
    assert vectors[-1].any()


def test_no_texts_give_no_rows(encoder):
    assert encoder.encode_with_openings([])[0].shape == (0, encoder.identity.dimension)


def test_a_megabyte_of_text_is_embedded(encoder):
    vector = encoder.encode_with_openings(["All work and no play makes a dull boy. " * 26_000])[0][0]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("mark", ["\u200b", "\u200e", "\u202b", "\u2066"])
def test_invisible_marks_are_embedded_without_complaint(encoder, mark):
    marked = encoder.encode_with_openings([f"{mark}Paris{mark} is the capital{mark}.", "Paris is the capital."])[0]
    assert np.isfinite(marked).all()
    assert marked[0] @ marked[1] > 0.9


def test_the_identity_is_stable_and_says_whether_meaning_is_known(encoder, loading):
    again = loading()
    assert again.identity == encoder.identity
    assert again.identity.digest == encoder.identity.digest
    assert encoder.stand_in == ("STAND-IN" in encoder.identity.name)


def test_encoders_are_told_apart_by_their_identity(encoder):
    other = load_encoder("all-MiniLM-L6-v2" if encoder.stand_in else "hashing", threads=1)
    assert other.identity.digest != encoder.identity.digest

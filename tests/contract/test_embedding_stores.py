"""What every store of vectors promises (consensus_server.ports.EmbeddingStore), held against each database."""

import threading

import numpy as np
import pytest

from consensus_server.backends.store import SqlEmbeddingStore
from tests.support.databases import DATABASES, empty_engine

ODD_VALUES = np.array([-0.0, 1e-45, 3.4e38, 1 / 3, np.pi], dtype=np.float32)


@pytest.fixture(params=DATABASES)
def embeddings(request, tmp_path):
    engine = empty_engine(request.param, tmp_path)
    yield SqlEmbeddingStore(engine)
    engine.dispose()


def test_a_vector_comes_back_bit_for_bit(embeddings):
    embeddings.put("e", {"a": ODD_VALUES})
    (found,) = embeddings.get("e", ["a"]).values()
    assert found.dtype == np.float32
    assert found.tobytes() == ODD_VALUES.tobytes()
    found[0] = 1  # the caller's own copy


def test_missing_ones_are_left_out(embeddings):
    embeddings.put("e", {"a": ODD_VALUES})
    assert list(embeddings.get("e", ["b", "a", "c"])) == ["a"]
    assert embeddings.get("e", []) == {}
    embeddings.put("e", {})


def test_encoders_do_not_share_vectors(embeddings):
    embeddings.put("e", {"a": ODD_VALUES})
    embeddings.put("f", {"a": -ODD_VALUES[:3]})
    assert embeddings.get("e", ["a"])["a"].shape == (5,)
    assert embeddings.get("f", ["a"])["a"].tobytes() == (-ODD_VALUES[:3]).tobytes()
    assert embeddings.get("g", ["a"]) == {}


def test_the_first_vector_stays(embeddings):
    embeddings.put("e", {"a": ODD_VALUES})
    embeddings.put("e", {"a": -ODD_VALUES, "b": ODD_VALUES})
    assert embeddings.get("e", ["a"])["a"].tobytes() == ODD_VALUES.tobytes()
    assert len(embeddings.get("e", ["a", "b"])) == 2


def test_any_number_at_once(embeddings):
    many = {f"{i:064x}": np.full(2, i, dtype=np.float32) for i in range(5000)}
    embeddings.put("e", many)
    found = embeddings.get("e", (key for key in many))
    assert found.keys() == many.keys()
    assert all(found[key][0] == many[key][0] for key in many)


def test_a_vector_of_another_byte_order_or_precision_is_kept_as_float32(embeddings):
    embeddings.put("e", {"a": ODD_VALUES.astype(">f4"), "b": ODD_VALUES[3:].astype(np.float64)})
    found = embeddings.get("e", ["a", "b"])
    assert found["a"].tobytes() == ODD_VALUES.tobytes()
    assert found["b"].tobytes() == ODD_VALUES[3:].tobytes()


def test_writers_at_the_same_time_agree_on_one_vector(embeddings):
    def write(value):
        embeddings.put("e", {f"{i}": np.full(3, value, dtype=np.float32) for i in range(200)})

    threads = [threading.Thread(target=write, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = embeddings.get("e", [f"{i}" for i in range(200)])
    assert len(found) == 200
    assert all(len(set(vector.tolist())) == 1 for vector in found.values())

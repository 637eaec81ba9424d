import zlib

import pytest

from consensus_server.backends.encoders import HashingEncoder


def closeness(one, other):
    vectors = HashingEncoder().encode_with_openings([one, other])[0]
    return float(vectors[0] @ vectors[1])


def test_it_says_loudly_what_it_is():
    encoder = HashingEncoder()
    assert encoder.stand_in
    assert "STAND-IN" in encoder.identity.name


def test_shared_words_bring_texts_closer_than_other_words():
    same = closeness("The capital of France is Paris.", "Paris is the capital of France.")
    other = closeness("The capital of France is Paris.", "Bees make honey in their hive.")
    assert same > 0.9
    assert other < 0.5


def test_case_and_white_space_do_not_count():
    assert closeness("The  Capital\nof France", "the capital of france") == pytest.approx(1, abs=1e-6)


def test_vectors_stay_the_same_across_versions():
    vector = HashingEncoder().encode_with_openings(["Paris"])[0][0]
    features = ["paris", "# pa", "#par", "#ari", "#ris", "#is "]
    assert set(vector.nonzero()[0].tolist()) == {zlib.crc32(feature.encode()) % 1024 for feature in features}
    assert vector[zlib.crc32(b"paris") % 1024] == pytest.approx(4 * vector[zlib.crc32(b"#par") % 1024])

"""What every store of features promises (consensus_server.ports.FeatureStore), held against each database."""

import threading

import pytest

from consensus_server.backends.store import SqlFeatureStore
from tests.support.databases import DATABASES, empty_engine

VERSION = "f" * 64


@pytest.fixture(params=DATABASES)
def features(request, tmp_path):
    engine = empty_engine(request.param, tmp_path)
    yield SqlFeatureStore(engine)
    engine.dispose()


def test_a_value_comes_back_as_it_was_and_missing_ones_are_left_out(features):
    features.put("nli", VERSION, {"a": "widerspr\u00fcchlich \N{GREEK SMALL LETTER ALPHA}\n", "b": ""})
    assert features.get("nli", VERSION, ["b", "a", "c"]) == {
        "a": "widerspr\u00fcchlich \N{GREEK SMALL LETTER ALPHA}\n",
        "b": "",
    }
    assert features.get("nli", VERSION, []) == {}
    features.put("nli", VERSION, {})


def test_neither_kinds_nor_versions_share_values(features):
    features.put("nli", VERSION, {"a": "one"})
    features.put("nli", "e" * 64, {"a": "another"})
    features.put("judge", VERSION, {"a": "a third"})
    assert features.get("nli", VERSION, ["a"]) == {"a": "one"}
    assert features.get("nli", "e" * 64, ["a"]) == {"a": "another"}
    assert features.get("judge", "e" * 64, ["a"]) == {}


def test_the_first_value_stays(features):
    features.put("nli", VERSION, {"a": "first"})
    features.put("nli", VERSION, {"a": "second", "b": "first"})
    assert features.get("nli", VERSION, ["a", "b"]) == {"a": "first", "b": "first"}


def test_any_number_at_once(features):
    many = {f"{i:064x}": str(i) for i in range(3000)}
    features.put("nli", VERSION, many)
    assert features.get("nli", VERSION, (key for key in many)) == many


def test_writers_at_the_same_time_agree_on_one_value(features):
    def write(value):
        features.put("nli", VERSION, {f"{i}": value for i in range(200)})

    threads = [threading.Thread(target=write, args=(f"value {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = features.get("nli", VERSION, [f"{i}" for i in range(200)])
    assert len(found) == 200
    assert len(set(found.values())) == 1

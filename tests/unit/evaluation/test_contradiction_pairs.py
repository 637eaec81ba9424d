"""Judged pairs of answers: how they are read, and what is measured of them."""

import json

import pytest

from client_kit.errors import FaultyFile
from consensus_server.backends.encoders import HashingEncoder
from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation.contradictions import measure_pairs, read_pairs

PAIRS = [
    {"kind": "dose", "a": "Give 5 mg of it.", "b": "Give 50 mg of it.", "label": "contradict"},
    {"kind": "dose", "a": "Give 5 mg of it.", "b": "Give 5 mg of it, please.", "label": "same"},
    {"a": "The lesion is benign.", "b": "The lesion is malignant.", "label": "contradict"},
]


@pytest.fixture
def write(tmp_path):
    def put(*rows):
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return put


def test_each_label_has_a_row_of_all_and_one_of_each_kind(write, store):
    rows = measure_pairs(read_pairs(write(*PAIRS)), Policy(distance_short=1.9), HashingEncoder(), store)
    assert [(row.label, row.kind, row.pairs) for row in rows] == [
        ("contradict", "all", 2), ("contradict", "dose", 1), ("same", "all", 1), ("same", "dose", 1),
    ]  # fmt: skip
    assert [(row.found, row.together_without, row.together) for row in rows] == [
        (1, 1, 0),
        (1, 1, 0),
        (0, 1, 1),
        (0, 1, 1),
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"a": "x", "b": "y"}, "line 1: label is missing"),
        ({"a": "x", "b": "y", "label": "maybe"}, "line 1: label is 'maybe'; it is contradict or same"),
        ({"a": "x", "label": "same"}, "line 1: b is missing"),
    ],
)
def test_a_row_that_is_no_pair_is_named_with_its_line(write, row, told):
    with pytest.raises(FaultyFile, match=told):
        read_pairs(write(row))


def test_a_file_without_pairs_says_what_it_needs(write):
    with pytest.raises(FaultyFile, match=r"has no pairs; it needs lines with a, b and label"):
        read_pairs(write())

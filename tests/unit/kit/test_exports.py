"""Pseudo-labels in the formats of others."""

import json
import os

import pytest

from client_kit.errors import ExportError
from client_kit.exports import ExportFormat, export_labels, to_dataset, training_rows, write_whole
from client_kit.wire import Prompt

from .conftest import label

PROMPTS = [
    Prompt(prompt_id="b", prompt="Two?"),
    Prompt(prompt_id="a", prompt="Eins?"),
    Prompt(prompt_id="c", prompt="?"),
]
LABELS = [label("a", "Ja, größer.", 0.9), label("b", "No.", 0.4), label("c", None)]


@pytest.fixture
def written(tmp_path):
    def write(kind, **options):
        file = tmp_path / "out" / "labels"
        count = export_labels(file, PROMPTS, LABELS, format=kind, **options)
        assert [item.name for item in file.parent.iterdir()] == ["labels"]
        return count, file.read_text(encoding="utf-8")

    return write


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_rows_go_by_prompt_and_leave_abstentions_out():
    assert training_rows(PROMPTS, LABELS) == [
        {"prompt_id": "b", "prompt": "Two?", "completion": "No.", "confidence": 0.4},
        {"prompt_id": "a", "prompt": "Eins?", "completion": "Ja, größer.", "confidence": 0.9},
    ]


def test_trl(written):
    count, text = written("trl")
    assert (count, rows(text)) == (2, training_rows(PROMPTS, LABELS))
    assert "größer" in text


def test_openai_has_messages_and_nothing_else(written):
    _, text = written(ExportFormat.OPENAI)
    assert rows(text)[0] == {"messages": [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "No."}]}


def test_alpaca_is_one_array(written):
    _, text = written("alpaca")
    assert json.loads(text)[1] == {
        "instruction": "Eins?", "input": "", "output": "Ja, größer.", "prompt_id": "a", "confidence": 0.9
    }  # fmt: skip


def test_jsonl_keeps_the_whole_label(written):
    row = rows(written("jsonl")[1])[0]
    assert row["prompt"] == "Two?"
    assert {"text", "digest", "confidence", "support", "share"} <= row.keys()


def test_labels_below_a_confidence_are_left_out(written):
    assert [row["prompt_id"] for row in rows(written("trl", minimum_confidence=0.5)[1])] == ["a"]


def test_nothing_to_write_leaves_the_file_alone(tmp_path):
    file = tmp_path / "labels"
    file.write_text("before")
    with pytest.raises(ExportError, match="left as it was"):
        export_labels(file, PROMPTS, LABELS, format="trl", minimum_confidence=0.95)
    assert file.read_text() == "before"


def test_labels_of_other_prompts_are_refused():
    with pytest.raises(ExportError, match=r"1 pseudo-labels belong to no prompt given, the first to z"):
        training_rows(PROMPTS, [*LABELS, label("z", "x")])


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(ExportError, match="trl, openai, alpaca, jsonl"):
        export_labels(tmp_path / "x", PROMPTS, LABELS, format="parquet")


def test_a_failed_write_leaves_neither_half_a_file_nor_a_new_one(tmp_path, monkeypatch):
    file = tmp_path / "labels"
    file.write_text("before")

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "after")
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("labels", "before")]


def test_a_dataset_for_trl_in_both_forms():
    assert to_dataset(PROMPTS, LABELS).to_list() == training_rows(PROMPTS, LABELS)
    first = to_dataset(PROMPTS, LABELS, conversational=True)[0]
    assert first["prompt"] == [{"role": "user", "content": "Two?"}]
    assert first["completion"] == [{"role": "assistant", "content": "No."}]
    with pytest.raises(ExportError, match="abstention"):
        to_dataset(PROMPTS, [label("a", None)])

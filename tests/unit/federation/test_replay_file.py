import gzip
import json

import numpy as np
import pytest

from client_kit.errors import ConfigurationError
from client_kit.federation.replay_file import draw_models, named_models, read_answer_file, wire_names, wire_prompt_ids
from client_kit.wire import Answer, ParticipantCreate

ROW = {"prompt_id": "p1", "prompt": "Why?", "model": "m1", "output": "Because."}


def write(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def test_rows_become_prompts_outputs_and_preferences(tmp_path):
    rows = [
        ROW | {"preference": 0.25, "subset": "ignored"},
        ROW | {"model": "m2", "output": "", "preference": -1},
        ROW | {"prompt_id": "p2", "prompt": "How?", "preference": None},
    ]
    answers = read_answer_file(write(tmp_path / "a.jsonl", rows))
    assert answers.prompts == {"p1": "Why?", "p2": "How?"}
    assert answers.outputs == {"m1": {"p1": "Because.", "p2": "Because."}, "m2": {"p1": ""}}
    assert answers.preferences == {("p1", "m1"): 0.25}


@pytest.mark.parametrize("name", ["a.jsonl.gz", "without-suffix"])
def test_gzip_is_read_with_and_without_its_suffix(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(json.dumps(ROW).encode()))
    answers = read_answer_file(path)
    assert answers.prompts == {"p1": "Why?"}
    assert not answers.judged


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROW), encoding="utf-8-sig")
    assert read_answer_file(path).prompts == {"p1": "Why?"}


def test_a_repeated_row_counts_once(tmp_path):
    assert read_answer_file(write(tmp_path / "a.jsonl", [ROW, ROW])).outputs == {"m1": {"p1": "Because."}}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{nonsense"], r"line 1: is not JSON"),
        ([ROW, "", "[1]"], r"line 3: is a list; each line must be a JSON object"),
        ([ROW, {"prompt_id": "p", "prompt": "?", "model": "m"}], r"line 2: output is missing"),
        ([ROW | {"output": None}], r"line 1: output is None; it must be a text"),
        ([ROW | {"model": ""}], r"line 1: model is empty"),
        ([ROW | {"output": "a\x00b"}], r"line 1: output holds a NUL"),
        (['{"prompt_id":"p","prompt":"?","model":"m","output":"\\ud800"}'], r"line 1: output has half of a character"),
        ([ROW, ROW | {"output": "Other."}], r"line 2: 'm1' has another answer to prompt 'p1'"),
        ([ROW, ROW | {"model": "m2", "prompt": "Else?"}], r"line 2: prompt_id 'p1' stood before with another prompt"),
        ([ROW | {"preference": 3}], r"line 1: preference is 3"),
        ([ROW | {"preference": True}], r"line 1: preference is True"),
        ([ROW | {"preference": float("nan")}], r"line 1: preference is nan"),
        ([], r"has no answers"),
        (["", "  "], r"has no answers"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, rows, message):
    with pytest.raises(ConfigurationError, match=message):
        read_answer_file(write(tmp_path / "a.jsonl", rows))


def test_invalid_utf8_is_named_by_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n" + b'{"prompt_id": "\xff"}\n')
    with pytest.raises(ConfigurationError, match=r"line 2: is not UTF-8"):
        read_answer_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot read .*none\.jsonl: No such file"):
        read_answer_file(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-12], lambda whole: b"no gzip at all", lambda whole: b"\x1f\x8b" + b"x" * 40]
)
def test_broken_gzip_is_told(tmp_path, damage):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(damage(gzip.compress(json.dumps(ROW).encode() * 50)))
    with pytest.raises(ConfigurationError, match=r"a\.jsonl\.gz cannot be read: it is damaged or no gzip file"):
        read_answer_file(path)


@pytest.mark.parametrize(("count", "seed"), [(3, 0), (8, 7), (12, 1)])
def test_the_draw_is_panel_0_of_the_bench(count, seed):
    models = [f"model-{number}" for number in range(12)]
    bench = np.random.default_rng([seed, count, 0]).choice(sorted(models), count, replace=False)
    assert draw_models(models[::-1], count, seed) == sorted(bench.tolist())


def test_the_draw_does_not_change_between_versions():
    assert draw_models("abcdefgh", 3, 7) == ["e", "g", "h"]


@pytest.mark.parametrize("count", [0, 4])
def test_more_models_than_there_are_cannot_be_drawn(count):
    with pytest.raises(ConfigurationError, match=f"asks for {count} models; the file has 3"):
        draw_models("abc", count, 0)


def test_models_are_asked_for_by_name():
    assert named_models(["a", "b", "c"], ["c", "a", "c"]) == ["a", "c"]
    with pytest.raises(ConfigurationError, match=r"no answers of 'd'; it has a, b, c"):
        named_models(["a", "b", "c"], ["a", "d"])


NAMES = ["alpaca-7b", "GPT-4/Turbo", "gpt-4/turbo", "模型", "x" * 80, "-", "claude 2.1"]


def test_names_fit_the_wire_and_stay_apart():
    names = wire_names(NAMES)
    assert names["alpaca-7b"] == "alpaca-7b"
    assert names["GPT-4/Turbo"].startswith("gpt-4-turbo-")
    assert len(set(names.values())) == len(NAMES)
    for name in names.values():
        ParticipantCreate(participant=name)


def test_prompt_ids_fit_the_wire_and_stay_apart():
    ids = wire_prompt_ids([*NAMES, "ae-001-f2bf2038", "a b", "a-b"])
    assert ids["ae-001-f2bf2038"] == "ae-001-f2bf2038"
    assert len(set(ids.values())) == len(NAMES) + 3
    for prompt_id in ids.values():
        Answer(prompt_id=prompt_id, text="")

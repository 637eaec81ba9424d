"""Files that people and other tools bring: every reader refuses what it would misread, and reads what is certain."""

import gzip
import json

import pytest

from client_kit.answer_files import read_model_answers
from client_kit.cli.submit import read_answers
from client_kit.comparison import own
from client_kit.errors import ConfigurationError, FaultyFile, PromptSetError
from client_kit.federation.replay_file import read_answer_file
from client_kit.federation.site import read_known_answers, read_questions
from client_kit.generation.given_answers import read_given_answers
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.input_files import MAX_TOLD, read_file, read_json, read_rows
from client_kit.overlap import read_private_prompts
from client_kit.prompts import load_prompt_set, write_prompt_set
from client_kit.settings_files import read_secret
from client_kit.training.dataset import load_examples
from client_kit.wire import FinishReason, Prompt
from consensus_server.cli.encoders import read_texts
from consensus_server.evaluation.answer_files import read_judged_answers
from consensus_server.evaluation.contradictions import read_pairs

ANSWER = {"prompt_id": "p", "prompt": "Why?", "model": "m", "output": "So.", "preference": 0.5}
READERS = {
    "private data": (load_examples, {"prompt": "Why?", "completion": "So."}),
    "messages": (
        load_examples,
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    ),
    "overlap": (read_private_prompts, {"prompt": "Why?"}),
    "known answers": (read_known_answers, {"prompt_id": "p", "answer": "So."}),
    "questions": (read_questions, {"prompt_id": "p", "prompt": "Why?"}),
    "replay": (read_answer_file, ANSWER),
    "evaluate-labels": (read_judged_answers, ANSWER),
    "pairs": (read_pairs, {"a": "x", "b": "y", "label": "same"}),
    "own": (own._read, {"prompt": "Why?", "completion": "So."}),
    "submit": (read_answers, {"prompt_id": "p", "text": "So."}),
    "script": (ScriptedGenerator.from_file, {"prompt_id": "p", "text": "So."}),
    "encoder": (lambda file: read_texts(file, "text"), {"text": "So."}),
}


@pytest.fixture(params=READERS)
def reader(request):
    return READERS[request.param]


def rows(path, *lines):
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines), "utf-8")
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gzip"])
def test_a_file_whose_encoding_is_certain_is_read(tmp_path, reader, encoding):
    read, row = reader
    file = tmp_path / "rows.jsonl"
    text = json.dumps(row | {"topic": "Grüße\u2028von\x85fern"}, ensure_ascii=False) + "\r\n"
    file.write_bytes(gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding))
    assert read(file)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{{"note": "\\ud83d", {rest}', r"line 3: note has half of a character, '\\ud83d' at 0"),
        ('{{"note": [{{"deep": "\\ud83d"}}], {rest}', r"line 3: deep has half of a character"),
        ('{{"note": 1, "note": 1, {rest}', "line 3: the key 'note' stands twice"),
        ('{{"note": {{"x": 1, "x": 2}}, {rest}', "line 3: the key 'x' stands twice"),
        ('{{"note": "é", {rest}', r"line 3: is not UTF-8 \(byte \d+\); save it as UTF-8"),
        ("[" * 100_000, "line 3: is not JSON"),
        ("1", "line 3: is a int; each line must be a JSON object"),
    ],
)
def test_what_would_be_misread_is_refused_with_file_and_line(tmp_path, reader, line, told):
    read, row = reader
    whole = json.dumps(row)
    file = tmp_path / "rows.jsonl"
    text = f"{whole}\n\n{line.format(rest=whole[1:]) if '{' in line else line}\n"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(FaultyFile, match=rf"rows\.jsonl {told}"):
        read(file)


def test_the_first_twenty_faults_are_told_at_once(tmp_path, reader):
    read, row = reader
    file = rows(tmp_path / "rows.jsonl", row, *["{"] * MAX_TOLD, row, "{")
    with pytest.raises(FaultyFile) as caught:
        read(file)
    told = str(caught.value).split("\n  ")
    assert told[0].endswith("rows.jsonl has faults:")
    assert [line.partition(":")[0] for line in told[1:]] == [*(f"line {n}" for n in range(2, MAX_TOLD + 2)), "and more"]


def test_damaged_gzip_and_absent_files_are_told(tmp_path):
    for content in (gzip.compress(b"text" * 99)[:20], b"\x1f\x8b" + b"x" * 40):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(FaultyFile, match="cannot be read: it is damaged or no gzip file"):
            read_file(tmp_path / "a")
    with pytest.raises(FaultyFile, match=r"cannot read .*absent: No such file.* Give a JSON file"):
        read_json(tmp_path / "absent")


def test_a_document_is_named_where_its_json_is_faulty(tmp_path):
    with pytest.raises(FaultyFile, match=r"a\.json: the key 'x' stands twice"):
        read_json(rows(tmp_path / "a.json", '{"x": 1, "x": 2}'))
    assert read_rows(rows(tmp_path / "b.jsonl", "", {"x": 1}), dict) == [{"x": 1}]


def test_a_prompt_set_with_a_repeated_key_is_refused(tmp_path):
    folder = tmp_path / "set"
    prompts = [Prompt(prompt_id="p", prompt="Why?")]
    write_prompt_set(folder, prompts, name="s", version="1.0", description="d", licence="CC0-1.0", language="en")
    for name, key in (("prompts.jsonl", "prompt"), ("manifest.json", "name")):
        file = folder / name
        before = file.read_text()
        file.write_text(f'{{"{key}": "x",' + before.lstrip()[1:])
        with pytest.raises(PromptSetError, match=f"the key '{key}' stands twice"):
            load_prompt_set(folder)
        file.write_text(before)
    (folder / "prompts.jsonl").write_text(before, encoding="utf-16")
    with pytest.raises(PromptSetError, match="is UTF-16; save the file as UTF-8"):
        load_prompt_set(folder)


def test_a_token_that_a_windows_shell_wrote_is_read(tmp_path):
    (tmp_path / "token").write_text("secret\r\n", encoding="utf-16")
    assert read_secret(None, tmp_path / "token", what="the token") == "secret"


# Answers


def test_answers_as_other_tools_write_them_are_read(tmp_path):
    file = rows(
        tmp_path / "answers.jsonl",
        {"prompt_id": 7, "text": "a", "finish_reason": None, "usage": None, "custom_id": "x"},
        {"prompt_id": "q", "text": "b", "finish_reason": "eos_token", "usage": {"prompt_tokens": 1.5}, "sample": None},
        {"prompt_id": "r", "text": "c", "finish_reason": "max_tokens", "logprobs": []},
        {"prompt_id": "s", "text": "d", "finish_reason": float("nan"), "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    )  # fmt: skip
    given = read_given_answers(file)
    assert given.ignored == ("custom_id", "logprobs")
    assert [answer.prompt_id for answer in given.answers] == ["7", "q", "r", "s"]
    assert [answer.finish_reason for answer in given.answers] == [
        FinishReason.UNKNOWN, FinishReason.STOP, FinishReason.LENGTH, FinishReason.UNKNOWN,
    ]  # fmt: skip
    assert [answer.completion_tokens for answer in given.answers] == [None, None, None, 4]


def test_columns_that_are_not_looked_at_are_noted_once(tmp_path, capsys):
    read_answers(rows(tmp_path / "answers.jsonl", *[{"prompt_id": f"p{n}", "text": "a", "extra": n} for n in range(3)]))
    assert capsys.readouterr().err.count("these columns are not looked at: extra") == 1


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt_id": True, "text": "a"}, "prompt_id is True; it must be a text"),
        ({"prompt_id": 1.0, "text": "a"}, r"prompt_id is 1\.0; it must be a text"),
        ({"prompt_id": "a b", "text": "a"}, "prompt_id: must have letters"),
        ({"prompt_id": "p"}, "text: Field required"),
        ({"prompt_id": "p", "text": None}, "text: Input should be a valid string"),
        ({"prompt_id": "p", "text": "a", "sample": 64}, "sample: Input should be less than 64"),
    ],
)
def test_an_answer_that_cannot_be_sent_is_named_by_line(tmp_path, row, told):
    with pytest.raises(FaultyFile, match=f"line 1: {told}"):
        read_answers(rows(tmp_path / "answers.jsonl", row))


@pytest.mark.parametrize("read", [read_answer_file, read_judged_answers])
def test_one_reader_takes_answer_files_for_replay_and_for_evaluation(tmp_path, read):
    numbered = ANSWER | {"prompt_id": 1}
    assert read(rows(tmp_path / "a.jsonl", numbered, numbered))
    with pytest.raises(FaultyFile, match="line 2: 'm' has another answer to prompt '1' before"):
        read(rows(tmp_path / "b.jsonl", numbered, numbered | {"output": "No."}))
    with pytest.raises(FaultyFile, match="line 2: prompt_id '1' stood before with another prompt"):
        read(rows(tmp_path / "c.jsonl", numbered, numbered | {"model": "n", "prompt": "How?"}))
    with pytest.raises(FaultyFile, match="line 1: output is missing; each line needs prompt_id, prompt, model, output"):
        read(rows(tmp_path / "d.jsonl", {name: ANSWER[name] for name in ("prompt_id", "prompt", "model")}))
    assert [each.prompt_id for each in read_model_answers(tmp_path / "a.jsonl").answers] == ["1"]


def test_an_answer_longer_than_any_federation_takes_is_left_out_by_name(tmp_path):
    long = ANSWER | {"model": "n", "output": "x" * 100_001}
    answers = read_answer_file(rows(tmp_path / "a.jsonl", ANSWER, long))
    assert answers.too_long == (("p", "n"),)
    assert answers.outputs == {"m": {"p": "So."}, "n": {}}
    assert isinstance(FaultyFile("x"), ConfigurationError)


def test_a_number_beyond_all_floats_is_a_fault_like_any_other(tmp_path):
    file = rows(tmp_path / "a.jsonl", json.dumps(ANSWER).replace("0.5", "1" + "0" * 400))
    with pytest.raises(FaultyFile, match="line 1: preference is"):
        read_answer_file(file)

import json

import pytest
from typer.testing import CliRunner

from client_kit import __version__
from client_kit.cli import app
from client_kit.cli.application import exit_code
from client_kit.cli.submit import read_answers
from client_kit.command_line import Exit
from client_kit.errors import (
    ConfigurationError,
    ConsensusError,
    FaultyFile,
    Forbidden,
    InternalFault,
    PromptSetError,
    RoundNotOpen,
    UnknownRound,
    Unreachable,
    UnusableData,
    WaitTimeout,
)

COMMANDS = (
    "prompts",
    "status",
    "rounds",
    "card",
    "why",
    "map",
    "submit",
    "withdraw",
    "erase",
    "labels",
    "generate",
    "join",
    "federate",
    "demo",
    "replay",
    "redeem",
    "doctor",
    "schema",
)


def consensus(*arguments, **environment):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"CONSENSUS_SERVER": None, **environment})


def rows(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_every_command_explains_itself_with_an_example():
    assert consensus("--version").output.strip() == __version__
    assert all(command in consensus("--help").output for command in COMMANDS)
    for command in COMMANDS[1:]:
        assert "Example: consensus" in " ".join(consensus(command, "--help").output.split())
    for command in ("list", "rotate", "revoke"):
        assert "Example: consensus token" in " ".join(consensus("token", command, "--help").output.split())
    for command in ("list", "show", "fetch", "validate", "overlap", "build"):
        assert "Example: consensus prompts" in " ".join(consensus("prompts", command, "--help").output.split())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConsensusError("x"), Exit.FAILED),
        (ConfigurationError("x"), Exit.USAGE),
        (FaultyFile("x"), Exit.BAD_FILE),
        (UnusableData("x"), Exit.BAD_FILE),
        (PromptSetError("x"), Exit.BAD_FILE),
        (UnknownRound("x"), Exit.UNKNOWN),
        (Unreachable("x"), Exit.NO_SERVER),
        (WaitTimeout("x"), Exit.FAILED),
        (InternalFault("x"), Exit.NO_SERVER),
        (RoundNotOpen("x"), Exit.FAILED),
        (Forbidden("x"), Exit.FAILED),
    ],
)
def test_exit_codes_follow_the_error(error, code):
    assert exit_code(error) is code


def test_an_error_is_one_message_without_a_traceback(tmp_path):
    result = consensus("join", tmp_path / "absent.yaml")
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith("Error: cannot read")
    assert "Traceback" not in result.output
    as_json = consensus("join", tmp_path / "absent.yaml", "--json")
    assert json.loads(as_json.stderr)["exit_code"] == Exit.USAGE
    assert as_json.stdout == ""


def test_prompt_sets_are_listed_shown_and_validated():
    listed = json.loads(consensus("prompts", "list", "--json").stdout)
    assert "general" in {manifest["name"] for manifest in listed}
    shown = json.loads(consensus("prompts", "show", "general", "--limit", 2, "--json").stdout)
    assert len(shown["prompts"]) == 2
    assert json.loads(consensus("prompts", "validate", "general", "--json").stdout)["valid"] is True
    assert consensus("prompts", "validate", "no-such-set").exit_code == Exit.BAD_FILE


def test_a_set_is_built_each_text_once_and_never_twice(tmp_path):
    source = rows(tmp_path / "q.jsonl", {"question": "Why?", "kind": "a"}, {"question": "How?"}, {"question": "Why? "})
    options = ("--name", "mine", "--licence", "CC0-1.0", "--description", "Mine.", "--field", "question", "--json")
    built = consensus("prompts", "build", source, tmp_path / "mine" / "1.0", *options)
    assert json.loads(built.stdout)["prompt_count"] == 2
    assert json.loads(consensus("prompts", "validate", tmp_path / "mine" / "1.0", "--json").stdout)["faults"] == []
    again = consensus("prompts", "build", source, tmp_path / "mine" / "1.0", *options)
    assert again.exit_code == Exit.BAD_FILE


def test_a_set_is_built_with_what_asks_the_same(tmp_path):
    source = rows(tmp_path / "q.jsonl", {"prompt": "Why?", "fact": 7}, {"prompt": "For what reason?", "fact": 7})
    options = ("--name", "mine", "--licence", "CC0-1.0", "--description", "Mine.", "--question-field", "fact", "--json")
    consensus("prompts", "build", source, tmp_path / "mine" / "1.0", *options)
    shown = json.loads(consensus("prompts", "show", tmp_path / "mine" / "1.0", "--json").stdout)
    assert [prompt["question"] for prompt in shown["prompts"]] == ["7", "7"]


def test_a_set_is_built_from_lines_that_hold_separators_of_their_own(tmp_path):
    source = tmp_path / "q.jsonl"
    source.write_text('{"prompt": "One\u2028two?"}\n{"prompt": "Why?"}\n', encoding="utf-8")
    options = ("--name", "mine", "--licence", "CC0-1.0", "--description", "Mine.", "--json")
    built = consensus("prompts", "build", source, tmp_path / "mine" / "1.0", *options)
    assert json.loads(built.stdout)["prompt_count"] == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("mine", "x" * 200_000, "line 1: prompt: "), ("my set", "Why?", "line 1: prompt_id: ")],
)
def test_texts_that_no_prompt_can_hold_are_named_by_line(tmp_path, name, text, message):
    source = rows(tmp_path / "q.jsonl", {"prompt": text})
    options = ("--name", name, "--licence", "CC0-1.0", "--description", "Mine.")
    failed = consensus("prompts", "build", source, tmp_path / "mine" / "1.0", *options)
    assert failed.exit_code == Exit.USAGE
    assert message in failed.stderr
    assert not (tmp_path / "mine").exists()


def test_overlap_with_private_data_is_found_and_ends_with_1(tmp_path):
    prompt = json.loads(consensus("prompts", "show", "general", "--limit", 1, "--json").stdout)["prompts"][0]
    private = rows(
        tmp_path / "private.jsonl", {"prompt": "Nothing of the kind stands here at all."}, {"prompt": prompt["prompt"]}
    )
    result = consensus("prompts", "overlap", "general", private, "--json")
    assert result.exit_code == Exit.FAILED
    assert [pair["row"] for pair in json.loads(result.stdout)["overlaps"]] == [2]


@pytest.mark.parametrize("subject", ["participant", "federation", "plan", "answer", "prompt", "manifest"])
def test_schemas_describe_their_fields(subject):
    schema = json.loads(consensus("schema", subject).stdout)
    assert schema["properties"]


def test_the_doctor_knows_versions_and_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("client_kit.cli.doctor.EXTRAS", {"train": ("torch", "no-such-library")})
    checks = {check["subject"]: check for check in json.loads(consensus("doctor", "--json").stdout)}
    assert checks["semantic-consensus"]["found"] == __version__
    assert checks["extra train"]["verdict"] == "absent"
    assert "no-such-library" in checks["extra train"]["found"]
    assert checks["server"]["verdict"] == "absent"


@pytest.mark.parametrize("line", ['{"prompt_id": "p"}', "no json", '{"prompt_id": "p", "text": 1}'])
def test_a_faulty_answer_is_named_by_line(tmp_path, line):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"prompt_id": "p", "text": "t"}\n' + line + "\n")
    with pytest.raises(ConfigurationError, match=r"answers\.jsonl line 2: "):
        read_answers(file)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b'{"prompt_id": "p", "text": "\xff"}', "line 1: is not UTF-8"),
        (b"\x1f\x8b\x08\x00", "no gzip file"),
        (b"[1]", "must be a JSON object"),
        (b"\n", "has no answers; it needs one JSON object per line"),
    ],
)
def test_a_file_that_holds_no_answers_says_what_is_asked_for(tmp_path, content, named):
    file = tmp_path / "answers.jsonl"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=named):
        read_answers(file)


def test_answers_with_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"prompt_id": "p", "text": "t"}\r\n{"prompt_id": "q", "text": "u"}\r\n')
    assert [answer.text for answer in read_answers(file)] == ["t", "u"]


def test_a_file_system_that_refuses_is_one_message(tmp_path):
    source = rows(tmp_path / "q.jsonl", {"prompt": "Why?"})
    options = ("--name", "mine", "--licence", "CC0-1.0", "--description", "Mine.")
    failed = consensus("prompts", "build", source, source / "mine", *options, "--json")
    assert failed.exit_code == Exit.FAILED
    assert "q.jsonl: File exists" in json.loads(failed.stderr)["error"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--epsilon", "3"], "--delta"),
        (["--delta", "0.1"], "--epsilon"),
        (["--epsilon", "-3", "--delta", "0.1"], "--epsilon"),
        (["--epsilon", "3", "--delta", "1"], "--delta"),
    ],
)
def test_half_a_statement_about_privacy_is_refused_before_anything_is_sent(tmp_path, options, named):
    answers = rows(tmp_path / "answers.jsonl", {"prompt_id": "p", "text": "t"})
    result = consensus("submit", answers, "--server", "http://127.0.0.1:1", *options)
    assert result.exit_code == Exit.USAGE
    assert f"{named}: Input should be" in " ".join(result.stderr.split())


def test_a_missing_token_is_told_before_anything_is_sent(tmp_path):
    answers = rows(tmp_path / "answers.jsonl", {"prompt_id": "p", "text": "t"})
    result = consensus("submit", answers, "--server", "http://127.0.0.1:1", CONSENSUS_TOKEN="")
    assert result.exit_code == Exit.USAGE
    assert "the environment variable CONSENSUS_TOKEN" in result.stderr

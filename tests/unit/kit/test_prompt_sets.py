"""Prompt sets on disk."""

import json

import pytest

from client_kit import prompts as module
from client_kit.errors import PromptSetError
from client_kit.prompts import (
    available_prompt_sets,
    find_prompt_set,
    load_prompt_set,
    prompt_set_schemas,
    validate_prompt_set,
    write_prompt_set,
)
from client_kit.wire import Equivalence, Prompt, prompt_set_digest

PROMPTS = [Prompt(prompt_id="b", prompt="Zwei?", topic="t"), Prompt(prompt_id="a", prompt="One?")]
FACTS = {"name": "mine", "description": "d", "licence": "CC0-1.0", "language": "en"}


@pytest.fixture
def folder(tmp_path):
    write_prompt_set(tmp_path / "mine" / "1.0", PROMPTS, version="1.0", **FACTS)
    return tmp_path / "mine" / "1.0"


def test_what_is_written_is_what_is_loaded(folder):
    loaded = load_prompt_set(folder)
    assert list(loaded.prompts) == PROMPTS
    assert loaded.manifest.digest == prompt_set_digest(PROMPTS)
    assert loaded.manifest.topics == {"t": 1}
    assert loaded.manifest.equivalence is Equivalence.SEMANTIC
    assert loaded.upload().prompts == PROMPTS
    assert sorted(item.name for item in folder.parent.iterdir()) == ["1.0"]


def test_a_version_never_changes(folder):
    with pytest.raises(PromptSetError, match="never changes"):
        write_prompt_set(folder, PROMPTS[:1], version="1.0", **FACTS)
    assert len(load_prompt_set(folder).prompts) == 2


@pytest.mark.parametrize(
    ("rows", "facts", "fault"),
    [
        ([PROMPTS[0], PROMPTS[0]], {}, "line 2: prompt_id b stands already in line 1"),
        ([], {}, "prompt_count"),
        (PROMPTS, {"name": "Not A Name"}, "name"),
    ],
)
def test_a_faulty_set_is_not_written(tmp_path, rows, facts, fault):
    with pytest.raises(PromptSetError, match=fault):
        write_prompt_set(tmp_path / "x", rows, version="1.0", **FACTS | facts)
    assert list(tmp_path.iterdir()) == []


def test_names_find_versions_and_the_newest_is_the_default(tmp_path, monkeypatch):
    for version in ("1.9", "1.10", "1.2"):
        write_prompt_set(tmp_path / "mine" / version, PROMPTS, version=version, **FACTS)
    monkeypatch.setattr(module, "_HOMES", (tmp_path / "absent", tmp_path))
    assert find_prompt_set("mine").name == "1.10"
    assert find_prompt_set("mine@1.2").name == "1.2"
    assert find_prompt_set(tmp_path / "mine").name == "1.10"
    assert available_prompt_sets() == ["mine@1.10", "mine@1.2", "mine@1.9"]
    with pytest.raises(PromptSetError, match=r"'mine@3'.*mine@1.10"):
        find_prompt_set("mine@3")


def test_the_package_goes_before_the_checkout(tmp_path, monkeypatch):
    for home in ("package", "checkout"):
        write_prompt_set(tmp_path / home / "mine" / "1.0", PROMPTS, version="1.0", **FACTS)
    monkeypatch.setattr(module, "_HOMES", (tmp_path / "package", tmp_path / "checkout"))
    assert find_prompt_set("mine") == tmp_path / "package" / "mine" / "1.0"


def test_every_set_that_comes_along_is_valid():
    names = available_prompt_sets()
    assert "general@1.0" in names
    assert [fault for name in names for fault in validate_prompt_set(find_prompt_set(name))] == []


def test_all_faults_are_found_at_once_with_their_lines(folder):
    lines = [
        b'{"prompt_id": "a", "prompt": "x"}',
        b"",
        b'{"prompt_id": "a", "prompt": "y"}',
        b'{"prompt_id": "c", "promt": "z"}',
        b"no json",
        b'{"prompt_id": "d", "prompt": "\xff"}',
    ]
    (folder / "prompts.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    faults = validate_prompt_set(folder)
    assert [fault.split(":")[0] for fault in faults] == [
        f"prompts.jsonl line {number}" for number in (2, 4, 4, 5, 6, 3)
    ]
    assert any("promt" in fault for fault in faults)
    with pytest.raises(PromptSetError) as caught:
        load_prompt_set(folder)
    assert caught.value.faults == tuple(faults)


@pytest.mark.parametrize(("field", "value"), [("digest", "0" * 64), ("prompt_count", 3), ("topics", {"t": 2})])
def test_a_manifest_that_does_not_match_names_both_values(folder, field, value):
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    (fault,) = validate_prompt_set(folder)
    assert fault.startswith(f"manifest.json: {field} is {value}")


def test_one_changed_character_is_noticed(folder):
    file = folder / "prompts.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("Zwei?", "Zwei!"), encoding="utf-8")
    assert "digest" in validate_prompt_set(folder)[0]


def test_a_byte_order_mark_is_named(folder):
    file = folder / "prompts.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert "byte order mark" in validate_prompt_set(folder)[0]


@pytest.mark.parametrize("name", ["manifest.json", "prompts.jsonl"])
def test_what_is_not_utf8_is_called_so(folder, name):
    file = folder / name
    file.write_bytes(file.read_bytes().replace(b"Zwei", b"Zw\xe9i") + (b"\xff" if name == "manifest.json" else b""))
    (fault,) = (each for each in validate_prompt_set(folder) if "UTF-8" in each)
    assert fault.startswith(name)
    assert "is not UTF-8 (byte " in fault
    assert not any("JSON" in each for each in validate_prompt_set(folder))


def test_missing_files_are_named(folder):
    (folder / "manifest.json").unlink()
    (fault,) = validate_prompt_set(folder)
    assert fault.startswith("manifest.json: cannot be read")


def test_the_published_schemas_are_those_of_the_models():
    for name, schema in prompt_set_schemas().items():
        file = module._HOMES[1] / "schema" / f"{name}.schema.json"
        assert json.loads(file.read_text(encoding="utf-8")) == schema


def test_wordings_of_one_question_are_compared_in_one_way(tmp_path):
    wordings = [
        Prompt(prompt_id="a", prompt="How many?", question="q"),
        Prompt(prompt_id="b", prompt="What number?", question="q", equivalence=Equivalence.FINAL_ANSWER),
    ]
    fault = "question q: b and a ask it and have different equivalences"
    facts = {"name": "q", "version": "1.0", "description": "d", "licence": "CC0-1.0", "language": "en"}
    with pytest.raises(PromptSetError, match=fault):
        write_prompt_set(tmp_path / "q", wordings, **facts)
    write_prompt_set(tmp_path / "q", wordings[:1], **facts)
    lines = "".join(prompt.model_dump_json(exclude_none=True) + "\n" for prompt in wordings)
    (tmp_path / "q" / "prompts.jsonl").write_text(lines)
    assert fault in " ".join(validate_prompt_set(tmp_path / "q"))


def test_sets_that_say_nothing_of_questions_keep_their_digest():
    prompt = Prompt(prompt_id="a", prompt="How many?")
    assert prompt_set_digest([prompt]) == prompt_set_digest([prompt.model_copy(update={"question": None})])
    assert prompt_set_digest([prompt]) != prompt_set_digest([prompt.model_copy(update={"question": "q"})])

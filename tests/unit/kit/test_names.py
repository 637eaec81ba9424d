"""A name that is refused is refused in words; programs still read the pattern in the schema."""

import pytest
from pydantic import TypeAdapter, ValidationError

from client_kit.errors import ConfigurationError
from client_kit.federation.configuration import FederationSettings
from client_kit.settings_files import load_settings
from client_kit.wire.limits import Digest, Name, PromptId
from client_kit.wire.prompt_sets import Manifest

GOOD = {Name: ["a", "clinic-1", "0.a_b", "x" * 63], PromptId: ["a/B:1", "x" * 128], Digest: ["0af" + "9" * 61]}
BAD = {
    Name: ["", "Clinic", "a b", "-a", "ä", "x" * 64, "a\n"],
    PromptId: ["", "/a", "a b", "é", "x" * 129, "a\n"],
    Digest: ["", "0AF" + "9" * 61, "9" * 63, "9" * 64 + "\n"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in GOOD.items() for text in texts])
def test_good_names_pass(kind, text):
    assert TypeAdapter(kind).validate_python(text) == text


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts])
def test_bad_names_are_refused_in_words(kind, text):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(text)
    (fault,) = caught.value.errors()
    assert fault["type"] == "string_pattern_mismatch"
    assert fault["msg"].startswith("must ")
    assert not set("^$[]{}\\") & set(fault["msg"])


@pytest.mark.parametrize("kind", [Name, PromptId, Digest])
def test_programs_read_the_pattern(kind):
    schema = TypeAdapter(kind).json_schema()
    assert schema["type"] == "string"
    assert schema["pattern"].startswith("^")


def test_a_settings_file_says_the_rule_in_words(tmp_path):
    file = tmp_path / "federation.yaml"
    file.write_text("federation: St. Mary\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"federation: must have lower-case letters, digits"):
        load_settings(file, FederationSettings)


def test_versions_too():
    fault = next(each for each in _faults(Manifest, {"version": "v1"}) if each["loc"] == ("version",))
    assert fault["msg"] == "must be numbers with dots between, like 1.0"


def _faults(model, content):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(content)
    return caught.value.errors()

"""Schemas of answers: which are taken, and where a value does not fit."""

import time

import pytest

from consensus_server.core.answer_schemas import AnswerSchema, Misfit, UnusableSchema
from consensus_server.core.consensus.meaning.json_values import parsed

CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "(a+)+$"},
        "people": {"type": "integer"},
        "share": {"multipleOf": 0.1, "enum": [0.1, 0.3, "none"]},
        "a/b": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/word"}},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"word": {"type": "string"}},
}

FIT = {
    '{"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}': None,
    '{"name": "a", "people": 2.0, "share": 0.3, "a/b": ["x", "y"]}': None,
    '{"name": "a", "people": 1e400}': None,
    "[1]": Misfit("", "type"),
    "{}": Misfit("", "required"),
    '{"name": "a", "mayor": 1}': Misfit("", "additionalProperties"),
    '{"name": null}': Misfit("/name", "type"),
    '{"name": "a", "people": 2.5}': Misfit("/people", "type"),
    '{"name": "a", "share": 0.25}': Misfit("/share", "multipleOf"),
    '{"name": "a", "share": 0.2}': Misfit("/share", "enum"),
    '{"name": "a", "a/b": ["x", 1]}': Misfit("/a~1b/1", "type"),
    '{"name": "a", "a/b": ["x", "x"]}': Misfit("/a~1b", "uniqueItems"),
}


@pytest.mark.parametrize("text", FIT)
def test_where_a_value_does_not_fit_is_told(text):
    schema = AnswerSchema(CITY)
    assert schema.misfit(parsed(text)) == FIT[text]
    assert schema.unchecked == ["pattern"], "it could take for ever"


def test_a_value_too_large_to_be_checked_does_not_fit():
    many = AnswerSchema({"items": {"allOf": [{}] * 510}})
    began = time.monotonic()
    assert many.misfit([1] * 4_000) == Misfit("", "size")
    assert time.monotonic() - began < 2


def doubled(levels):
    """A schema of a few lines, each of which refers twice to the next."""
    definitions = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": definitions | {f"d{levels}": {}}}


def nested(levels):
    schema = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


REFUSED = {
    "a circle": ({"$ref": "#"}, "refers to itself"),
    "a tree": ({"properties": {"children": {"items": {"$ref": "#"}}}}, "refers to itself"),
    "a circle of two": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}},
        "refers to itself",
    ),
    "another place": ({"$ref": "https://example.org/schema.json"}, "nothing is fetched"),
    "a file": ({"items": {"$ref": "file:///etc/passwd"}}, "nothing is fetched"),
    "nothing": ({"$ref": "#/$defs/gone"}, "refers to nothing"),
    "no reference": ({"$ref": 7}, "is no place"),
    "another base": ({"items": {"$id": "https://example.org/", "$ref": "#/x"}}, r"\$id is not supported"),
    "another base in an older draft": (
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "items": {"id": "https://example.org/", "allOf": [{"$ref": "#/x"}]},
            "x": {},
        },
        "id is not supported",
    ),
    "patterns of names": ({"patternProperties": {"(a+)+$": {}}}, "patternProperties is not supported"),
    "a type of none": ({"type": "strin"}, r"no JSON schema: \$.type"),
    "no schema": ({"properties": []}, "no JSON schema"),
    "depth": (nested(70), "nested more than 64"),
    "more depth": (nested(200), "nested more than 100"),
    "multiplying": (doubled(20), "more than 1,000 schemas"),
    "size": ({"properties": {f"p{i}": {} for i in range(3_000)}}, "more than 1,000 schemas"),
    "more size": ({"enum": list(range(6_000))}, "more than 5,000 parts"),
    "long": ({"description": "x" * 200_000}, "more than 100,000 characters"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_take_for_ever_or_fetch_or_is_no_schema_is_refused_at_once(what):
    schema, why = REFUSED[what]
    began = time.monotonic()
    with pytest.raises(UnusableSchema, match=why):
        AnswerSchema(schema)
    assert time.monotonic() - began < 3


TAKEN = {
    "names that are keywords": {"properties": {"$ref": {"type": "string"}, "patternProperties": {}}},
    "data that looks like a schema": {"const": {"$ref": "gone"}, "default": {"type": "strin"}},
    "an older draft": {
        "$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"type": "string"}},
        "properties": {"q": {"$ref": "#/definitions/a"}},
    },
    "its own address": {"$id": "https://example.org/s", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "integer"}}},
    "anything": {},
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_harmless_is_taken(what):
    AnswerSchema(TAKEN[what]).misfit([{"q": "x"}])

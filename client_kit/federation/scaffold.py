"""Settings files to begin with: every field with its meaning, those that must be set with a value to replace.

Made from the settings' own fields and descriptions, so that a file cannot say what the settings do not.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from client_kit.federation.configuration import FederationSettings
from client_kit.settings import ParticipantSettings

WIDTH = 110

GENERATORS: Mapping[str, Mapping[str, Any]] = {
    "transformers": {"model": "./base-model"},
    "vllm": {"model": "./base-model"},
    "vllm_server": {"model": "./base-model"},
    "openai": {"model": "some-model", "base_url": "http://127.0.0.1:11434/v1"},
    "scripted": {"answers": "answers.jsonl"},
}
"""What a kind of generator must be told."""

TRAINERS: Mapping[str, Mapping[str, Any]] = {
    "sft": {"steps": 200},
    "dpo": {"steps": 200},
    "dp": {"epsilon": 4.0, "delta": 0.0001, "planned_steps": 800, "steps": 200},
    "none": {},
}
"""What a kind of trainer must be told."""


def participant_file(generator: str, trainer: str) -> str:
    """A `participant.yaml`, commented."""
    values = {
        "server": "http://127.0.0.1:8000", "federation": "clinics", "token_file": "participant.token",
        "work": "work", "rounds": 3, **_site(generator, trainer),
    }  # fmt: skip
    return _file("One participant of one federation", "participant", ParticipantSettings, values)


def federation_file(generator: str, trainer: str) -> str:
    """A `federation.yaml`, commented: two participants on this machine."""
    sites = [{"participant": name, **_site(generator, trainer)} for name in ("anna", "bert")]
    values = {"federation": "clinics", "work": "work", "rounds": 3, "prompt_set": "general", "participants": sites}
    return _file("A whole federation on this machine", "federation", FederationSettings, values)


def _site(generator: str, trainer: str) -> dict[str, Any]:
    private = {} if trainer == "none" else {"private": "private.jsonl"}
    return {
        "generator": {"kind": generator, **GENERATORS[generator]},
        "trainer": {"kind": trainer, **TRAINERS[trainer]},
        **private,
    }


def _file(what: str, subject: str, model: type[BaseModel], values: Mapping[str, Any]) -> str:
    head = (
        f"# {what}. Lines that begin with # and a name show a default: remove the # to change it.",
        "# Relative paths count from this file's folder. For completion and checks in an editor:",
        f"#   consensus schema {subject} > {subject}.schema.json",
        f"# yaml-language-server: $schema={subject}.schema.json",
    )
    return "\n".join([*head, "", *_lines(model, values, "")]) + "\n"


def _lines(model: type[BaseModel], values: Mapping[str, Any], indent: str) -> Iterator[str]:
    """The fields of a model: first those that are set, then the others in the model's order."""
    fields = model.model_fields
    for name in [*values, *(name for name in fields if name not in values)]:
        yield from _comment(fields[name], indent)
        if name in values:
            yield from _set(name, fields[name], values[name], indent)
        elif isinstance(default := fields[name].default, BaseModel):
            yield f"{indent}#{name}:"
            yield from (f"{indent}#  {line}" for line in _lines(type(default), default.model_dump(mode="json"), ""))
        else:
            yield f"{indent}#{name}: {_default(fields[name])}"


def _set(name: str, field: FieldInfo, value: Any, indent: str) -> Iterator[str]:  # noqa: ANN401  any JSON value
    inner = indent + "  "
    if isinstance(value, Mapping):
        yield f"{indent}{name}:"
        yield from _lines(_model(field.annotation, value), value, inner)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield f"{indent}{name}:"
        for number, item in enumerate(value):
            lines = _lines(_model(field.annotation, item), item, inner + "  ")
            # What a field means is said once.
            first, *rest = lines if number == 0 else (line for line in lines if not line.lstrip().startswith("#"))
            yield f"{inner}- {first.strip()}"
            yield from rest
    else:
        yield f"{indent}{name}: {_scalar(value)}"


def _comment(field: FieldInfo, indent: str) -> Iterator[str]:
    text = " ".join((field.description or "").split())
    for line in textwrap.wrap(text, WIDTH - len(indent), break_on_hyphens=False):
        yield f"{indent}# {line}"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "# required" if field.is_required() else "{}"
    return _scalar(field.default)


def _scalar(value: Any) -> str:  # noqa: ANN401  any JSON value
    return (
        yaml.safe_dump(json.loads(json.dumps(value)), default_flow_style=True, width=10_000)
        .replace("\n...", "")
        .strip()
    )


def _model(annotation: Any, value: Mapping[str, Any]) -> type[BaseModel]:  # noqa: ANN401  any annotation
    """The settings class within an annotation that has the value's fields; of a union, the one of its `kind`."""
    found = [model for model in _models(annotation) if value.keys() <= model.model_fields.keys()]
    fitting = [
        model
        for model in found
        if "kind" not in value or value["kind"] in get_args(model.model_fields["kind"].annotation)
    ]
    return fitting[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401  any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)

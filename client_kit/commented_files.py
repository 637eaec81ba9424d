"""Settings files to begin with: every field with its meaning, those that must be set with a value to replace.

Made from the settings' own fields and descriptions, so that a file cannot say what the settings do not.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

WIDTH = 110


def commented_file(
    what: str, model: type[BaseModel], values: Mapping[str, Any], *, schema_command: str, schema_file: str
) -> str:
    """A YAML file of these values; a field that they do not name is a comment with its default.

    what: the file's first words. schema_command: prints the JSON schema of such files.
    """
    head = (
        f"# {what}. Lines that begin with # and a name show a default: remove the # to change it.",
        "# Relative paths count from this file's folder. For completion and checks in an editor:",
        f"#   {schema_command} > {schema_file}",
        f"# yaml-language-server: $schema={schema_file}",
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
    if isinstance(value, Mapping) and get_origin(field.annotation) is dict:
        yield f"{indent}{name}:"
        for number, (key, item) in enumerate(value.items()):
            yield f"{inner}{key}:"
            yield from _explained_once(number, _lines(_model(field.annotation, item), item, inner + "  "))
    elif isinstance(value, Mapping):
        yield f"{indent}{name}:"
        yield from _lines(_model(field.annotation, value), value, inner)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield f"{indent}{name}:"
        for number, item in enumerate(value):
            first, *rest = _explained_once(number, _lines(_model(field.annotation, item), item, inner + "  "))
            yield f"{inner}- {first.strip()}"
            yield from rest
    else:
        yield f"{indent}{name}: {_scalar(value)}"


def _explained_once(number: int, lines: Iterator[str]) -> Iterator[str]:
    """Of several alike, what a field means is said with the first."""
    return lines if number == 0 else (line for line in lines if not line.lstrip().startswith("#"))


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

"""Settings files: YAML whose errors name file, line and field, and secrets that are named, never written down.

Server and kit read theirs alike.
"""

import os
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from client_kit.errors import ConfigurationError

SettingsT = TypeVar("SettingsT", bound=BaseModel)


def read_secret(
    variable: str | None,
    file: Path | None,
    *,
    what: str,
    named_by: str = "token_env or token_file",
    issued_by: str = "the operator of the server issues it",
) -> str:
    """A secret from an environment variable or a file, without surrounding white space.

    named_by: the settings that name a source. issued_by: where whoever lacks it gets it. Raises ConfigurationError,
    which names the source and never the secret.
    """
    if variable is not None:
        secret, source = os.environ.get(variable, ""), f"the environment variable {variable}"
    elif file is not None:
        secret, source = _content(file, what), str(file)
    else:
        raise ConfigurationError(f"{what} has no source: set {named_by}")
    if not secret.strip():
        raise ConfigurationError(f"{what} is not in {source}: put it there; {issued_by}")
    return secret.strip()


def _content(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig") if file.is_file() else ""
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what} is not in {file}: {file.name} is no text. Name the right file") from error


def load_settings(path: Path, kind: type[SettingsT], *, fields_told_by: str = "") -> SettingsT:
    """Read and check a settings file. Raises ConfigurationError that names file, line and field of every fault.

    fields_told_by: the whole command that prints the fields and their meaning.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error}. Give the path of a YAML file in UTF-8") from error
    except (ValueError, yaml.YAMLError) as error:  # a date that cannot be, bytes that are no UTF-8
        raise ConfigurationError(f"cannot read {path}: it is no YAML in UTF-8: {error}") from error
    try:
        return kind.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        faults = [_fault(path, root, dict(fault)) for fault in error.errors(include_url=False)]
        more = [f"Fields and their meaning: {fields_told_by}"] if fields_told_by else []
        raise ConfigurationError("\n".join([*faults, *more])) from error


def _fault(path: Path, root: yaml.Node | None, fault: dict[str, Any]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    line, field = _locate(root, fault["loc"])
    if not field:  # a fault of the whole file may begin with the dotted name of the field that it is about
        line, _ = _locate(root, tuple(message.partition(":")[0].split(".")))
    return f"{path}, line {line}: {field + ': ' if field else ''}{message}"


def _locate(node: yaml.Node | None, location: tuple[str | int, ...]) -> tuple[int, str]:
    """Line (from 1) of the deepest part of `location` that the file has, and the field's dotted name."""
    line, names = 1, []
    for step in location:
        found = _child(node, step)
        if found is None and isinstance(node, yaml.MappingNode) and step in _tags(node):
            continue  # the value of a discriminator, which pydantic puts into the location
        names.append(str(step))
        if found is None:
            break
        line, node = found
    return line, ".".join(names)


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def _tags(node: yaml.MappingNode) -> set[str]:
    return {value.value for key, value in node.value if key.value == "kind"}

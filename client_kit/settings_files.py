"""Settings files: YAML whose errors name file, line and field, and secrets that are named, never written down.

Server and kit read theirs alike.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from client_kit.errors import ConfigurationError, FaultyFile
from client_kit.input_files import MAX_TOLD, read_file, refuse_halves

_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_NOT_TAKEN = frozenset({_TEXT, "tag:yaml.org,2002:null"})
_TEXT_ASKED = frozenset({"string_type", "path_type", "enum", "literal_error"})

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
        return read_file(file) if file.is_file() else ""
    except FaultyFile as error:
        raise ConfigurationError(f"{what} is not in {file}: {file.name} is no text. Name the right file") from error


def load_settings(path: Path, kind: type[SettingsT], *, fields_told_by: str = "") -> SettingsT:
    """Read and check a settings file. Raises ConfigurationError that names file, line and field of every fault.

    fields_told_by: the whole command that prints the fields and their meaning.
    """
    root, content = _parsed(path)
    context = {"folder": path.absolute().parent}
    try:
        try:
            return kind.model_validate(content, context=context)
        except ValidationError as error:
            if not _take_as_written(root, content, error):
                raise
            return kind.model_validate(content, context=context)
    except ValidationError as error:
        faults = [_fault(path, root, dict(fault)) for fault in error.errors(include_url=False)]
        more = [f"Fields and their meaning: {fields_told_by}"] if fields_told_by else []
        raise ConfigurationError("\n".join([*faults, *more])) from error


def _parsed(path: Path) -> tuple[yaml.Node | None, Any]:
    """The nodes of a YAML file, which know their lines, and what they hold. Keys are taken as they are written."""
    loader = None
    try:
        loader = yaml.SafeLoader(read_file(path, "Give the path of a YAML file in UTF-8"))
        root = loader.get_single_node()
        if root is None:
            return None, None
        _refuse_faults(path, root)
        _name_by_text(root)
        return root, loader.construct_document(root)
    except FaultyFile as error:
        raise ConfigurationError(str(error)) from error
    except (ValueError, yaml.YAMLError) as error:  # a date that cannot be, a character that YAML has not
        raise ConfigurationError(f"cannot read {path}: it is no YAML in UTF-8: {error}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _refuse_faults(path: Path, root: yaml.Node) -> None:
    """What YAML would pass over: keys that stand twice, and halves of characters. Raises FaultyFile."""
    faults: list[tuple[int, str]] = []
    for node in _nodes(root):
        if isinstance(node, yaml.MappingNode):
            faults += _repeated_keys(node)
        elif isinstance(node, yaml.ScalarNode):
            try:
                refuse_halves(node.value, "the text")
            except ValueError as error:
                faults.append((node.start_mark.line + 1, str(error)))
    if faults:
        raise FaultyFile("\n".join(f"{path}, line {line}: {fault}" for line, fault in sorted(faults)[:MAX_TOLD]))


def _repeated_keys(node: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        line = key.start_mark.line + 1
        if key.value in first:
            yield line, f"{key.value!r} stands already in line {first[key.value]}; keep one of them"
        first.setdefault(key.value, line)


def _name_by_text(root: yaml.Node) -> None:
    """Make a text of each key, so that `no: ...` and `1: ...` name what they say."""
    mappings = (node for node in _nodes(root) if isinstance(node, yaml.MappingNode))
    for key in (key for node in mappings for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        if key.tag != _MERGE:
            key.tag = _TEXT


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Each node once: an alias may lead back to a node above it."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _take_as_written(root: yaml.Node | None, content: Any, error: ValidationError) -> bool:  # noqa: ANN401 - any YAML
    """Where a text is asked for, make `no`, `on`, `1` or a date in `content` what is written. Whether there was one."""
    asked = [fault["loc"] for fault in error.errors() if fault["type"] in _TEXT_ASKED]
    return sum(_take_one(root, content, location) for location in asked) > 0


def _take_one(node: yaml.Node | None, held: Any, location: tuple[str | int, ...]) -> bool:  # noqa: ANN401 - any YAML
    for step in location:
        found = _child(node, step)
        if found is None:
            continue  # the value of a discriminator
        node = found[1]
        if isinstance(node, yaml.ScalarNode) and node.style is None and node.tag not in _NOT_TAKEN:
            held[step] = node.value
            return True
        held = held[step]
    return False


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

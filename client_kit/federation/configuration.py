"""The two settings files of the kit: one participant (`consensus join`), and a whole federation (`consensus federate`).

Both are YAML. Unknown fields are refused, relative paths are taken from the file's own folder, and every error names
file, line and field.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from client_kit.errors import ConfigurationError
from client_kit.settings import FolderOrName, LocalPath, ParticipantSettings, Settings, SiteSettings
from client_kit.wire import AnswerPolicy, ConsensusPolicy
from client_kit.wire.limits import Name


class ServerSettings(Settings):
    """A server that runs already, and the token of its operator."""

    url: str
    token_env: str | None = None
    token_file: LocalPath | None = None


class NamedSite(SiteSettings):
    """A participant of a federation that runs on this machine."""

    participant: Name


class FederationSettings(Settings):
    """A whole federation on one machine: `consensus federate federation.yaml`."""

    federation: Name
    work: LocalPath
    """Folder for the server's database, tokens, journals, checkpoints, logs and results; a second run resumes."""
    rounds: Annotated[int, Field(ge=1)]
    prompt_set: FolderOrName
    """Name of a packaged prompt set, or its folder (`./prompts/mine`)."""
    participants: Annotated[list[NamedSite], Field(min_length=1)]
    server: ServerSettings | None = None
    """Not set: a server is started on this machine, and stopped at the end."""
    encoder: str | None = None
    """Encoder of the server that is started; the server's default when not set."""
    policy: ConsensusPolicy = ConsensusPolicy()
    answers: AnswerPolicy = AnswerPolicy()
    quorum: Annotated[int, Field(ge=1)] = 2
    round_seconds: Annotated[float, Field(gt=0)] = 86_400.0
    compute_slots: Annotated[int, Field(ge=1)] | None = None
    """Participants that train or generate at the same time; the number of cores when not set."""

    @model_validator(mode="after")
    def _participants_differ(self) -> Self:
        names = [site.participant for site in self.participants]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"participants need names of their own; twice: {', '.join(sorted(twice))}")
        return self

    @model_validator(mode="after")
    def _quorum_within_reach(self) -> Self:
        """On a server of its own nobody else can come, and a round would wait for its deadline in vain."""
        count = len(self.participants)
        if self.server is None and self.quorum > count:
            there_are = "there is 1 participant" if count == 1 else f"there are {count} participants"
            raise ValueError(f"quorum is {self.quorum}, and {there_are}; set a quorum that they can reach")
        return self


def participant_token(settings: ParticipantSettings) -> str:
    """The participant's token. Raises ConfigurationError when its source is missing or empty."""
    return read_secret(settings.token_env, settings.token_file, what="the participant's token")


def operator_token(settings: ServerSettings) -> str:
    """The operator's token. Raises ConfigurationError when its source is missing or empty."""
    return read_secret(settings.token_env, settings.token_file, what="the operator's token")


def read_secret(variable: str | None, file: Path | None, *, what: str) -> str:
    """A secret from an environment variable or a file, without surrounding white space."""
    if variable is not None:
        secret, source = os.environ.get(variable, ""), f"the environment variable {variable}"
    elif file is not None:
        secret, source = _content(file, what), str(file)
    else:
        raise ConfigurationError(f"{what} has no source: set token_env or token_file")
    if not secret.strip():
        raise ConfigurationError(f"{what} is not in {source}: put it there; the operator of the server issues it")
    return secret.strip()


def _content(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig") if file.is_file() else ""
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what} is not in {file}: {file.name} is no text. Name the right file") from error


SettingsT = TypeVar("SettingsT", bound=Settings)


def load_settings(path: Path, kind: type[SettingsT]) -> SettingsT:
    """Read and check a settings file. Raises ConfigurationError that names file, line and field of every fault."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}. Give the path of a YAML file in UTF-8") from error
    try:
        return kind.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        faults = [_fault(path, root, dict(fault)) for fault in error.errors(include_url=False)]
        raise ConfigurationError("\n".join([*faults, "Fields and their meaning: consensus schema"])) from error


def _fault(path: Path, root: yaml.Node | None, fault: dict[str, Any]) -> str:
    line, field = _locate(root, fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
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

"""`consensus init`: a settings file to begin with."""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from client_kit.command_line import say
from client_kit.errors import ConfigurationError
from client_kit.federation.configuration import FederationSettings
from client_kit.federation.scaffold import GENERATORS, TRAINERS, federation_file, participant_file
from client_kit.settings import TRAINABLE, ParticipantSettings, Settings
from client_kit.settings_files import load_settings


class Subject(StrEnum):
    """What a settings file is for."""

    PARTICIPANT = "participant"
    FEDERATION = "federation"


_MAKERS = {Subject.PARTICIPANT: participant_file, Subject.FEDERATION: federation_file}
_MODELS: dict[Subject, type[Settings]] = {
    Subject.PARTICIPANT: ParticipantSettings,
    Subject.FEDERATION: FederationSettings,
}


def init(
    subject: Annotated[Subject, typer.Argument(help="What the file is for.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; by default participant.yaml or federation.yaml.")
    ] = None,
    generator: Annotated[str, typer.Option(help=f"Where answers come from: {', '.join(GENERATORS)}.")] = "transformers",
    trainer: Annotated[
        str | None, typer.Option(help=f"Trainer: {', '.join(TRAINERS)}; by default sft for a model that runs here.")
    ] = None,
) -> None:
    """Write a commented settings file, with every field and its meaning. An existing file is left alone.

    Example: consensus init participant --generator vllm_server
    """
    file = out or Path(f"{subject.value}.yaml")
    if file.exists():
        raise ConfigurationError(f"{file} already exists; name another file with --out, or remove it")
    trained = trainer or ("sft" if generator in TRAINABLE else "none")
    content = _MAKERS[subject](_known(generator, GENERATORS, "--generator"), _known(trained, TRAINERS, "--trainer"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    try:
        load_settings(file, _MODELS[subject], fields_told_by=f"consensus schema {subject}")
    except ConfigurationError:
        file.unlink()
        raise
    command = "join" if subject is Subject.PARTICIPANT else "federate"
    say(f"{file} is written. Fill in your own values, then: consensus {command} {file}")


def _known(name: str, known: Collection[str], option: str) -> str:
    if name not in known:
        raise ConfigurationError(f"{option} {name} is not known; take one of {', '.join(known)}")
    return name

"""`consensus init`: a settings file to begin with."""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from client_kit.command_line import say
from client_kit.comparison.plan import Plan
from client_kit.comparison.scaffold import TASKS, plan_file
from client_kit.errors import ConfigurationError
from client_kit.federation.configuration import FederationSettings
from client_kit.federation.scaffold import GENERATORS, TRAINERS, federation_file, participant_file
from client_kit.settings import TRAINABLE, ParticipantSettings
from client_kit.settings_files import load_settings


class Subject(StrEnum):
    """What a settings file is for."""

    PARTICIPANT = "participant"
    FEDERATION = "federation"
    PLAN = "plan"


_MODELS: dict[Subject, type[BaseModel]] = {
    Subject.PARTICIPANT: ParticipantSettings,
    Subject.FEDERATION: FederationSettings,
    Subject.PLAN: Plan,
}
_THEN = {
    Subject.PARTICIPANT: "consensus join {file}",
    Subject.FEDERATION: "consensus federate {file}",
    Subject.PLAN: "consensus compare {file} --out comparison",
}


def init(
    subject: Annotated[Subject, typer.Argument(help="What the file is for.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; by default SUBJECT.yaml.")] = None,
    generator: Annotated[str, typer.Option(help=f"Where answers come from: {', '.join(GENERATORS)}.")] = "transformers",
    trainer: Annotated[
        str | None, typer.Option(help=f"Trainer: {', '.join(TRAINERS)}; by default sft for a model that runs here.")
    ] = None,
    task: Annotated[str, typer.Option(help=f"Of a plan: {', '.join(TASKS)}.")] = "facts",
) -> None:
    """Write a commented settings file, with every field and its meaning. An existing file is left alone.

    `participant` is for join, `federation` for federate, `plan` for compare. A panels file: consensus-server panel init.

    Example: consensus init participant --generator vllm_server
    """
    file = out or Path(f"{subject.value}.yaml")
    if file.exists():
        raise ConfigurationError(f"{file} already exists; name another file with --out, or remove it")
    content = _content(subject, generator, trainer, task)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    try:
        load_settings(file, _MODELS[subject], fields_told_by=f"consensus schema {subject}")
    except ConfigurationError:
        file.unlink()
        raise
    say(f"{file} is written. Fill in your own values, then: {_THEN[subject].format(file=file)}")


def _content(subject: Subject, generator: str, trainer: str | None, task: str) -> str:
    if subject is Subject.PLAN:
        return plan_file(_known(task, TASKS, "--task"))
    make = participant_file if subject is Subject.PARTICIPANT else federation_file
    trained = trainer or ("sft" if generator in TRAINABLE else "none")
    return make(_known(generator, GENERATORS, "--generator"), _known(trained, TRAINERS, "--trainer"))


def _known(name: str, known: Collection[str], option: str) -> str:
    if name not in known:
        raise ConfigurationError(f"{option} {name} is not known; take one of {', '.join(known)}")
    return name

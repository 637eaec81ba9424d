"""`consensus schema`: the fields of settings files and prompt sets."""

from enum import StrEnum
from typing import Annotated

import typer
from pydantic import BaseModel

from client_kit.command_line import print_json
from client_kit.comparison.plan import Plan
from client_kit.federation.configuration import FederationSettings
from client_kit.prompts import prompt_set_schemas
from client_kit.settings import ParticipantSettings
from client_kit.wire import Answer


class Subject(StrEnum):
    """What has a schema."""

    PARTICIPANT = "participant"
    FEDERATION = "federation"
    PLAN = "plan"
    ANSWER = "answer"
    PROMPT = "prompt"
    MANIFEST = "manifest"


_MODELS: dict[Subject, type[BaseModel]] = {
    Subject.PARTICIPANT: ParticipantSettings,
    Subject.FEDERATION: FederationSettings,
    Subject.PLAN: Plan,
    Subject.ANSWER: Answer,
}


def schema(subject: Annotated[Subject, typer.Argument(help="What to describe.")]) -> None:
    """Print the JSON schema of a file: fields, meaning, ranges, defaults. Editors complete and check with it.

    Example: consensus schema participant > participant.schema.json
    """
    model = _MODELS.get(subject)
    print_json(prompt_set_schemas()[subject.value] if model is None else model.model_json_schema())

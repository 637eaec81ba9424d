"""The two settings files of the kit: one participant (`consensus join`), and a whole federation (`consensus federate`).

Both are YAML. Unknown fields are refused, relative paths are taken from the file's own folder, and every error names
file, line and field.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from client_kit.settings import FolderOrName, LocalPath, ParticipantSettings, Settings, SiteSettings
from client_kit.settings_files import read_secret
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
    requires_training_rights: bool = False
    """Only answers of sites with `training_rights` count."""
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

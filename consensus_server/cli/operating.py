"""What every operator's command needs: settings from options, the use cases, and errors in words."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from client_kit import wire
from client_kit.command_line import CommandFailed, Exit
from client_kit.errors import ConfigurationError, FaultyFile, MissingExtra
from client_kit.remedies import Surface, remedy_for
from consensus_server.backends.encoders import EncoderError
from consensus_server.core.errors import ComparisonFailed, DomainError, StoreUnavailable
from consensus_server.http_api.problems import CATALOG
from consensus_server.settings import Settings, SettingsError, load_settings
from consensus_server.wiring import Server, build_server

DataDirOption = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the server's data.", metavar="DIR")]
DatabaseOption = Annotated[
    str | None, typer.Option("--database-url", help="SQLAlchemy URL, in place of the file in the data folder.")
]
EncoderOption = Annotated[
    str | None, typer.Option("--encoder", help="Encoder to pin: the one that the server runs.", metavar="NAME")
]


@contextmanager
def operating(data_dir: Path | None, database_url: str | None, *, encoder: str | None = None) -> Iterator[Server]:
    """The parts of a server over the database that the options name. Raises CommandFailed."""
    settings = settings_from(data_dir=data_dir, database_url=database_url, encoder=encoder)
    _require_database(settings)
    # Whoever reaches the database is its operator: no token is asked for, and nobody gets this one.
    server = build_server(settings, secrets.token_urlsafe())
    try:
        yield server
    finally:
        server.close()


def on_server(command: Callable[..., None]) -> Callable[..., None]:
    """A command over the data of a server, which is its first argument; the options say where the data lies.

    They stand before --json, which every command has as its last.
    """

    def run(*, data_dir: DataDirOption = None, database_url: DatabaseOption = None, **own: object) -> None:
        with operating(data_dir, database_url) as server:
            command(server, **own)

    *where, _ = signature(run).parameters.values()
    _, *own, as_json = signature(command).parameters.values()
    update_wrapper(run, command)
    run.__signature__ = Signature([*own, *where, as_json])  # type: ignore[attr-defined]  # what typer reads
    return run


def settings_from(**options: object) -> Settings:
    """Settings of this process. Raises SettingsError."""
    return load_settings(os.environ, **options)


def _require_database(settings: Settings) -> None:
    """A misspelt folder must not become a new, empty server."""
    if not settings.database_url and not settings.database_file.exists():
        raise CommandFailed(
            f"There is no server data in {settings.data_dir}.",
            Exit.USAGE,
            remedy="Name the folder with --data-dir or CONSENSUS_DATA_DIR, or create one: "
            f"consensus-server database upgrade --data-dir {settings.data_dir}",
        )


def failure_of(error: Exception) -> CommandFailed | None:
    """What the service and its backends raise, as a failure of the command; None for anything else."""
    if isinstance(error, FaultyFile):
        return CommandFailed(str(error), Exit.BAD_FILE)
    if isinstance(error, SettingsError | ConfigurationError | MissingExtra):
        return CommandFailed(str(error), Exit.USAGE)
    if isinstance(error, SQLAlchemyError | StoreUnavailable):
        return _unusable(error)
    if isinstance(error, DomainError):
        return _domain_failure(error)
    if isinstance(error, EncoderError | ComparisonFailed):
        return CommandFailed(str(error), Exit.FAILED)
    return None


def _unusable(error: SQLAlchemyError | StoreUnavailable) -> CommandFailed:
    cause = error.reason if isinstance(error, StoreUnavailable) else str(error.__cause__ or error).splitlines()[0]
    return CommandFailed(
        f"The database cannot be used: {cause}",
        Exit.FAILED,
        remedy="Check --data-dir or --database-url, and that this user may write there.",
    )


def _domain_failure(error: DomainError) -> CommandFailed:
    entry = CATALOG[error.code]
    named = [f"{fault.where}: {fault.message}" for fault in error.faults]
    faults = "".join(f"\n  {fault}" for fault in named if fault not in error.detail)
    exit_code = Exit.UNKNOWN if entry.status == 404 else Exit.FAILED  # noqa: PLR2004 - HTTP's own number
    remedy = remedy_for(error.code, Surface.OPERATOR, sent=error.remedy)
    return CommandFailed(error.detail + faults, exit_code, remedy=remedy, problem=error.code)


def checked_name(name: str) -> None:
    """Refuse a name that the API would refuse. Raises CommandFailed."""
    try:
        wire.ParticipantCreate(participant=name)
    except ValidationError as error:
        rule = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise CommandFailed(f"{name!r} cannot be a name: it {rule}.", Exit.USAGE) from None

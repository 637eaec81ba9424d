"""What the command line prints, and how it ends."""

import json
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from client_kit.errors import (
    ConfigurationError,
    ConsensusError,
    NotFound,
    ProblemError,
    PromptSetError,
    ServerFault,
    ServiceError,
)


class Exit(IntEnum):
    """How a command ends; `consensus --help` shows the same table."""

    DONE = 0
    FAILED = 1
    """Refused by a rule of the service, or failed: a check, a model, a training, a participant."""
    USAGE = 2
    """An option, an argument or a settings file cannot be used."""
    UNKNOWN = 3
    """A federation, participant, round or prompt set of that name does not exist."""
    BAD_FILE = 4
    """A prompt set on disk cannot be used."""
    NO_SERVER = 6
    """The server does not answer, answers something else, or is not ready."""
    INTERRUPTED = 130


EXIT_TABLE = """Exit codes: 0 done; 1 refused or failed (also a check); 2 wrong option, argument or settings file; 3 unknown
federation, participant, round or prompt set; 4 unusable prompt set; 6 no server, or none that is ready; 130 interrupted."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")]

console = Console()
errors = Console(stderr=True)


def exit_code(error: ConsensusError) -> Exit:
    """How a command ends that met this error."""
    if isinstance(error, PromptSetError):
        return Exit.BAD_FILE
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    if isinstance(error, NotFound):
        return Exit.UNKNOWN
    if isinstance(error, ServerFault) or (isinstance(error, ServiceError) and not isinstance(error, ProblemError)):
        return Exit.NO_SERVER
    return Exit.FAILED


def explain(error: ConsensusError, *, as_json: bool) -> Exit:
    """Print an error as cause and remedy, without a traceback; a program gets JSON on standard error."""
    code = exit_code(error)
    if as_json:
        problem = error.received_code if isinstance(error, ProblemError) else ""
        body = {"error": str(error), "kind": type(error).__name__, "code": problem, "exit_code": int(code)}
        sys.stderr.write(json.dumps(body, ensure_ascii=False) + "\n")
    else:
        errors.print("Error:", style="bold red", end=" ")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
    return code


def print_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """One JSON document on standard output."""
    text = value.model_dump_json(indent=2) if isinstance(value, BaseModel) else json.dumps(value, indent=2)
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """A table for people, or one line that says why there is none."""
    if not rows:
        say(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row))
    console.print(table)


def say(text: str) -> None:
    """One line for people."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)

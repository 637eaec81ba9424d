"""What the command line prints, and how it ends."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table


class Exit(IntEnum):
    """How a command ends; `consensus-server --help` shows the same table."""

    DONE = 0
    REFUSED = 1
    """Refused by a rule of the service, or failed; the message says why."""
    USAGE = 2
    """The command line or a setting cannot be used."""
    UNKNOWN = 3
    """A federation, participant, round or prompt set of that name does not exist."""
    BAD_FILE = 4
    """An input file or folder cannot be used."""
    NO_PORT = 5
    """The address cannot be listened on."""
    INTERRUPTED = 130


EXIT_TABLE = """Exit codes: 0 done; 1 refused or failed; 2 wrong option, argument or setting; 3 unknown federation,
participant, round or prompt set; 4 unusable input file; 5 address cannot be listened on; 130 interrupted."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")]

console = Console()
errors = Console(stderr=True)


class CommandFailed(Exception):  # noqa: N818 - reads as what happened
    """Ends a command with a message for a person and an exit code."""

    def __init__(self, message: str, code: Exit, *, remedy: str = "", problem: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy
        self.problem = problem
        """Code of the problem, as the HTTP API names it."""


@contextmanager
def failures_explained(*, as_json: bool) -> Iterator[None]:
    """Turn a failure into one message and an exit code; a program gets JSON on standard error."""
    try:
        yield
    except CommandFailed as failure:
        _explain(failure, as_json=as_json)


def _explain(failure: CommandFailed, *, as_json: bool) -> NoReturn:
    if as_json:
        body = {
            "error": str(failure),
            "code": failure.problem,
            "remedy": failure.remedy,
            "exit_code": int(failure.code),
        }
        sys.stderr.write(json.dumps(body) + "\n")
    else:
        errors.print("Error:", style="bold red", end=" ")
        errors.print(str(failure), markup=False, highlight=False, soft_wrap=True)
        if failure.remedy:
            errors.print(failure.remedy, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(failure.code)


def print_json(value: BaseModel | dict[str, Any]) -> None:
    """One JSON document on standard output."""
    text = value.model_dump_json(indent=2) if isinstance(value, BaseModel) else json.dumps(value, indent=2)
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """A table for people, or one line that says why there is none."""
    if not rows:
        console.print(empty, markup=False)
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


def note(text: str) -> None:
    """One line for people, beside what standard output is for."""
    errors.print(text, markup=False, highlight=False, soft_wrap=True)


def print_value(value: str) -> None:
    """One bare value on standard output, fit to be redirected into a file."""
    sys.stdout.write(value + "\n")

"""What the command lines `consensus` and `consensus-server` share: how they print, how they fail, and how they end."""

import errno
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import typer
from rich.console import Console
from typer.core import TyperGroup

from client_kit._version import __version__
from client_kit.late_commands import Late, LateCommands
from client_kit.variables import unknown_variables

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.table import Table

_OWN = ("client_kit", "consensus_server")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What the system says where nothing more can be written; the error of a write names no file."""

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # its module is private and moves between versions
"""What the library raises for a wrong command line."""


class Exit(IntEnum):
    """How a command ends. The help of both programs prints this table."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "done"
    FAILED = 1, "refused or failed"
    USAGE = 2, "wrong option, argument or setting"
    UNKNOWN = 3, "unknown federation, participant, round or prompt set"
    BAD_FILE = 4, "unusable prompt set, input file or folder"
    NO_PORT = 5, "address cannot be listened on"
    NO_SERVER = 6, "no server, or none that is ready"
    INTERRUPTED = 130, "interrupted"


EXIT_TABLE = f"Exit codes: {'; '.join(f'{code:d} {code.meaning}' for code in Exit)}."

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it without a question.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the value of an option
    if wanted:
        say(__version__)
        raise typer.Exit


def _be_quiet(wanted: bool) -> None:  # noqa: FBT001 - as above
    errors.quiet = wanted


def program_options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    _quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", callback=_be_quiet, help="Results and errors only: no progress, no notes."),
    ] = False,
) -> None:
    """Options of the program itself: the callback of both."""


HELP_NAMES: Mapping[str, Any] = {"help_option_names": ["-h", "--help"]}

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


class Commands(TyperGroup):
    """Ends every command that fails with one message and an exit code, never with a traceback.

    With --json in the command line the message is JSON on standard error.
    """

    interrupted: ClassVar[str] = "Interrupted."
    """Printed after Ctrl-C."""
    late: ClassVar[Mapping[str, Late]] = {}
    """The commands by name, in the order of the help page."""
    extra: ClassVar[str] = "all"
    """Of the distribution: has every library that a command of this program may need."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 (as the library has it)
        super().__init__(**attributes)
        self.commands = LateCommands(self.late)  # type: ignore[assignment]  # nobody adds to it
        self._listing = False

    def list_commands(self, _: Any) -> list[str]:  # noqa: ANN401 (a private type of the library)
        """Names alone."""
        return list(self.late)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 (as above)
        """The command; while a list of commands is made, only what that shows of it."""
        if self._listing:
            return LateCommands(self.late).named(cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (as above)
        """The help page."""
        with self._only_listing():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:  # noqa: ANN401 (as above)
        """Names and options that begin so."""
        with self._only_listing():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _only_listing(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False

    @staticmethod
    def begin() -> None:
        """What the program does before any of its commands; its errors are told like theirs."""

    @staticmethod
    def failure_of(error: Exception) -> CommandFailed | None:
        """The failure that an error of the program's own means; None for a bug, which keeps its traceback."""
        raise NotImplementedError

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (a private type of the library)
        """Read the command line, and remember whether it asks for JSON."""
        ctx.meta["as_json"] = "--json" in args
        with self._failures_explained(as_json=ctx.meta["as_json"]):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (as the library has it)
        """Run the command."""
        for line in () if ctx.meta["as_json"] else unknown_variables(os.environ):
            note(line)
        with self._failures_explained(as_json=ctx.meta["as_json"]), _log_held_back(ctx.meta["as_json"]):
            self.begin()
            return super().invoke(ctx)

    @contextmanager
    def _failures_explained(self, *, as_json: bool) -> Iterator[None]:
        try:
            yield
        except (typer.Exit, typer.Abort):
            raise  # no failure
        except KeyboardInterrupt:
            note(self.interrupted)
            raise typer.Exit(Exit.INTERRUPTED) from None
        except Exception as error:
            if isinstance(error, UsageError) and not as_json:
                raise  # the library prints it, with the command's usage
            failed = _failure_of_any_program(error) or self._missing_library(error) or self.failure_of(error)
            if failed is None:
                raise
            _explain(failed, type(error).__name__, as_json=as_json)
            raise typer.Exit(failed.code) from error

    def _missing_library(self, error: Exception) -> CommandFailed | None:
        """A library that is not installed; a module of our own that is missing is a bug."""
        if not isinstance(error, ModuleNotFoundError) or (error.name or "").startswith(_OWN):
            return None
        hint = f"pip install 'semantic-consensus[{self.extra}]'"
        return CommandFailed(f"{error.name} is not installed.", Exit.FAILED, remedy=f"It comes with an extra: {hint}")


@contextmanager
def _log_held_back(as_json: bool) -> Iterator[None]:  # noqa: FBT001 (there is only one)
    """Keep lines for people off standard error, where the message of a failure is to be read by a machine."""
    log = logging.getLogger("client_kit._transport")
    before = log.level
    log.setLevel(logging.ERROR if as_json else before)
    try:
        yield
    finally:
        log.setLevel(before)


def _failure_of_any_program(error: Exception) -> CommandFailed | None:
    if isinstance(error, CommandFailed):
        return error
    if isinstance(error, UsageError):
        return CommandFailed(error.format_message(), Exit.USAGE)  # type: ignore[attr-defined]  # see UsageError
    if isinstance(error, OSError) and (
        error.filename is not None or error.errno in _FULL
    ):  # not a closed pipe or socket
        what = f"{error.filename}: {error.strerror}." if error.filename is not None else f"{error.strerror}."
        return CommandFailed(what, Exit.FAILED, remedy="Check the path, its permissions and the disk.")
    return None


def _explain(failed: CommandFailed, kind: str, *, as_json: bool) -> None:
    errors.quiet = False
    if as_json:
        body = {"error": str(failed), "kind": kind, "code": failed.problem, "remedy": failed.remedy}
        sys.stderr.write(json.dumps({**body, "exit_code": int(failed.code)}, ensure_ascii=False) + "\n")
        return
    errors.print("Error:", style="bold red", end=" ")
    note(str(failed))
    if failed.remedy:
        note(failed.remedy)


def print_json(value: "BaseModel | dict[str, Any] | list[Any]") -> None:
    """One JSON document on standard output."""
    text = json.dumps(value, indent=2) if isinstance(value, dict | list) else value.model_dump_json(indent=2)
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """A table for people, or one line that says why there is none."""
    if not rows:
        say(empty)
    else:
        console.print(table_of(columns, rows))


def table_of(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> "Table":
    """The table itself, for any console."""
    from rich.table import Table  # noqa: PLC0415 - a help page needs none

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row))
    return table


def say(text: str) -> None:
    """One line for people on standard output."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """One line for people on standard error, which leaves standard output to the command's result.

    Where it cannot be written (a log on a full disk, a reader that has gone) it is lost: a server starts all the same.
    """
    with suppress(OSError):
        errors.print(text, markup=False, highlight=False, soft_wrap=True)


def print_value(value: str) -> None:
    """One bare value on standard output, fit to be redirected into a file."""
    sys.stdout.write(value + "\n")


def require_yes(question: str, *, yes: bool) -> None:
    """Ask a person. Raises CommandFailed where none is there to answer, and typer.Abort where the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed("Nothing was erased: nobody is there to be asked.", Exit.USAGE, remedy="Add --yes.")
    typer.confirm(question, abort=True)

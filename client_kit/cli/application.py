"""The commands of `consensus`, and what becomes of their errors."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from client_kit._version import __version__
from client_kit.cli import (
    compare,
    cost,
    demo,
    doctor,
    federate,
    generate,
    init,
    join,
    labels,
    prompts,
    rejections,
    replay,
    schema,
    submit,
)
from client_kit.cli.output import EXIT_TABLE, Exit, errors, explain, say
from client_kit.errors import ConfigurationError, ConsensusError

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # its module is private and moves between versions
"""What the library raises for a wrong command line."""


class Commands(TyperGroup):
    """Ends every command that fails with one message and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (a private type of the library)
        """Remember whether a program is listening: its errors come as JSON."""
        ctx.meta["as_json"] = "--json" in args
        with _usage_explained(as_json=ctx.meta["as_json"]):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (as the library has it)
        """Run the command."""
        try:
            with _usage_explained(as_json=ctx.meta["as_json"]):
                return super().invoke(ctx)
        except ConsensusError as error:
            raise typer.Exit(explain(error, as_json=ctx.meta["as_json"])) from error
        except OSError as error:
            if error.filename is None:  # a pipe that closed, a socket: not about a file that somebody named
                raise
            failed = ConsensusError(f"{error.filename}: {error.strerror}. Check the path, its rights and the disk")
            raise typer.Exit(explain(failed, as_json=ctx.meta["as_json"])) from error
        except KeyboardInterrupt:
            errors.print("Interrupted. What is done is kept: the same command goes on from there.")
            raise typer.Exit(Exit.INTERRUPTED) from None


@contextmanager
def _usage_explained(*, as_json: bool) -> Iterator[None]:
    """A wrong command line as JSON for a program; a person gets what the library writes."""
    try:
        yield
    except UsageError as error:
        if not as_json:
            raise
        message = error.format_message()  # type: ignore[attr-defined]  # see UsageError
        raise typer.Exit(explain(ConfigurationError(message), as_json=True)) from error


app = typer.Typer(
    name="consensus",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Take part in federations of language models that learn from what most of them mean.",
    epilog=EXIT_TABLE,
)


def _version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Options of the program itself."""


app.add_typer(prompts.app, name="prompts")
app.command("init")(init.init)
app.command("submit")(submit.submit)
app.command("labels")(labels.labels)
app.command("rejections")(rejections.rejections)
app.command("appeal")(rejections.appeal)
app.command("reliability")(rejections.reliability)
app.command("generate")(generate.generate)
app.command("join")(join.join)
app.command("federate")(federate.federate)
app.command("demo")(demo.demo)
app.command("compare")(compare.compare)
app.command("cost")(cost.cost_of)
app.command("replay")(replay.replay)
app.command("doctor")(doctor.doctor)
app.command("schema")(schema.schema)


def run() -> None:
    """Run the command line. Asked to end (SIGTERM), it stops its processes in order, as on Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()

"""The commands of `consensus`, and what becomes of their errors."""

import signal
from typing import Annotated

import typer

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
from client_kit.command_line import EXIT_TABLE, CommandFailed, Commands, Exit, say
from client_kit.errors import (
    ConfigurationError,
    ConsensusError,
    FaultyFile,
    NotFound,
    ProblemError,
    PromptSetError,
    ServerFault,
    ServiceError,
)


class KitCommands(Commands):
    """Errors of the kit end a command with the exit code of their kind."""

    interrupted = "Interrupted. What is done is kept: run the same command again to go on from there."

    @staticmethod
    def failure_of(error: Exception) -> CommandFailed | None:
        """The kit's own errors; nothing else is expected."""
        if not isinstance(error, ConsensusError):
            return None
        problem = error.received_code if isinstance(error, ProblemError) else ""
        return CommandFailed(str(error), exit_code(error), problem=problem)


def exit_code(error: ConsensusError) -> Exit:
    """How a command ends that met this error."""
    if isinstance(error, PromptSetError | FaultyFile):
        return Exit.BAD_FILE
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    if isinstance(error, NotFound):
        return Exit.UNKNOWN
    if isinstance(error, ServerFault) or (isinstance(error, ServiceError) and not isinstance(error, ProblemError)):
        return Exit.NO_SERVER
    return Exit.FAILED


app = typer.Typer(
    name="consensus",
    cls=KitCommands,
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

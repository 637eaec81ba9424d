"""The commands of `consensus`, and what becomes of their errors."""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import typer

from client_kit import tracing
from client_kit.command_line import EXIT_TABLE, HELP_NAMES, CommandFailed, Commands, Exit, program_options
from client_kit.errors import (
    ConfigurationError,
    ConsensusError,
    FaultyFile,
    NotFound,
    ProblemError,
    PromptSetError,
    ServerFault,
    ServiceError,
    WaitTimeout,
)
from client_kit.late_commands import Late
from client_kit.remedies import Surface

_AGAIN_SECONDS = 0.05


class KitCommands(Commands):
    """Errors of the kit end a command with the exit code of their kind."""

    interrupted = "Interrupted. What is done is kept: run the same command again to go on from there."
    late: ClassVar[Mapping[str, Late]] = {
        "prompts": Late("client_kit.cli.prompts"),
        "init": Late("client_kit.cli.init", "init"),
        "submit": Late("client_kit.cli.submit", "submit"),
        "withdraw": Late("client_kit.cli.submit", "withdraw"),
        "erase": Late("client_kit.cli.erase", "erase"),
        "labels": Late("client_kit.cli.labels", "labels"),
        "redeem": Late("client_kit.cli.redeem", "redeem"),
        "token": Late("client_kit.cli.tokens"),
        "bundle": Late("client_kit.cli.bundles", "bundle"),
        "verify-round": Late("client_kit.cli.bundles", "verify_round"),
        "key": Late("client_kit.cli.keys"),
        "login": Late("client_kit.cli.login", "login"),
        "status": Late("client_kit.cli.looking", "status"),
        "rounds": Late("client_kit.cli.looking", "rounds"),
        "card": Late("client_kit.cli.looking", "card"),
        "why": Late("client_kit.cli.looking", "why"),
        "map": Late("client_kit.cli.looking", "map_"),
        "rejections": Late("client_kit.cli.rejections", "rejections"),
        "appeal": Late("client_kit.cli.rejections", "appeal"),
        "reliability": Late("client_kit.cli.rejections", "reliability"),
        "generate": Late("client_kit.cli.generate", "generate"),
        "join": Late("client_kit.cli.join", "join"),
        "approve": Late("client_kit.cli.approve", "approve"),
        "egress": Late("client_kit.cli.egress"),
        "federate": Late("client_kit.cli.federate", "federate"),
        "demo": Late("client_kit.cli.demo", "demo"),
        "compare": Late("client_kit.cli.compare", "compare"),
        "cost": Late("client_kit.cli.cost", "cost_of"),
        "replay": Late("client_kit.cli.replay", "replay"),
        "doctor": Late("client_kit.cli.doctor", "doctor"),
        "schema": Late("client_kit.cli.schema", "schema"),
    }

    @staticmethod
    def begin() -> None:
        """Draw traces, and record what is sent, where the environment asks for it."""
        tracing.configure("consensus")
        if named := os.environ.get("CONSENSUS_EGRESS"):
            from client_kit import egress  # noqa: PLC0415 - a help page needs none of it

            egress.begin(Path(named))

    @staticmethod
    def failure_of(error: Exception) -> CommandFailed | None:
        """The kit's own errors; nothing else is expected."""
        if not isinstance(error, ConsensusError):
            return None
        problem = error.received_code if isinstance(error, ProblemError) else ""
        message, remedy = error.told(Surface.PARTICIPANT)
        return CommandFailed(message, exit_code(error), remedy=remedy, problem=problem)


def exit_code(error: ConsensusError) -> Exit:
    """How a command ends that met this error."""
    if isinstance(error, PromptSetError | FaultyFile):
        return Exit.BAD_FILE
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    if isinstance(error, NotFound):
        return Exit.UNKNOWN
    if isinstance(error, WaitTimeout):
        return Exit.FAILED
    if isinstance(error, ServerFault) or (isinstance(error, ServiceError) and not isinstance(error, ProblemError)):
        return Exit.NO_SERVER
    return Exit.FAILED


app = typer.Typer(
    name="consensus",
    cls=KitCommands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings=dict(HELP_NAMES),
    help="Take part in federations of language models that learn from what most of them mean.",
    epilog=EXIT_TABLE,
)
app.callback()(program_options)


def run() -> None:
    """Run the command line. Asked to end (SIGTERM), it stops its processes in order, as on Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _ask_again
    app()


def _ask_again(swallowed: "sys.UnraisableHookArgs") -> None:
    """Python drops what is raised in a destructor or a library's callback: an interrupt that met one there comes again."""
    if swallowed.exc_type is KeyboardInterrupt:
        # By another thread and a moment later: raised in here it would be dropped again.
        threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM)).start()
    else:
        sys.__unraisablehook__(swallowed)

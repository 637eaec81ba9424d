"""The commands of `consensus-server`, put together."""

from collections.abc import Mapping
from typing import ClassVar

import typer

from client_kit import tracing
from client_kit.command_line import EXIT_TABLE, HELP_NAMES, CommandFailed, Commands, program_options
from client_kit.late_commands import Late

_ABOUT_ROUNDS = ("consensus_server.cli.cards", "consensus_server.cli.standings", "consensus_server.cli.inspecting")


class ServerCommands(Commands):
    """Errors of the service and its backends end a command with the exit code of their kind."""

    extra = "server"
    late: ClassVar[Mapping[str, Late]] = {
        "serve": Late("consensus_server.cli.serving", "serve"),
        "worker": Late("consensus_server.cli.serving", "worker"),
        "evaluate-labels": Late("consensus_server.cli.evaluating", "evaluate_labels"),
        "make-questions": Late("consensus_server.cli.evaluating", "make_questions"),
        "evaluate-contradictions": Late("consensus_server.cli.contradictions", "evaluate"),
        "federation": Late("consensus_server.cli.federations"),
        "participant": Late("consensus_server.cli.participants"),
        "invitation": Late("consensus_server.cli.invitations"),
        "operator": Late("consensus_server.cli.operators"),
        "round": Late("consensus_server.cli.rounds", also=_ABOUT_ROUNDS),
        "appeal": Late("consensus_server.cli.standings"),
        "prompt-set": Late("consensus_server.cli.prompt_sets"),
        "verify-round": Late("consensus_server.cli.verifying", "verify_round"),
        "encoder": Late("consensus_server.cli.encoders"),
        "panel": Late("consensus_server.cli.panels", also=("consensus_server.cli.panel_memories",)),
        "audit": Late("consensus_server.cli.audits"),
        "database": Late("consensus_server.cli.databases"),
    }

    @staticmethod
    def begin() -> None:
        """Draw traces, where the environment asks for them."""
        tracing.configure("consensus-server")

    @staticmethod
    def failure_of(error: Exception) -> CommandFailed | None:
        """What the service and its backends raise."""
        from consensus_server.cli.operating import failure_of  # noqa: PLC0415 - a help page needs no service

        return failure_of(error)


app = typer.Typer(
    name="consensus-server",
    cls=ServerCommands,
    help="The consensus service: answers in, pseudo-labels out.\n\n"
    "Settings come from variables CONSENSUS_*; options go first.",
    epilog=EXIT_TABLE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=dict(HELP_NAMES),
)
app.callback()(program_options)

"""The commands of `consensus-server`, put together."""

import typer

from client_kit.command_line import EXIT_TABLE, Commands
from consensus_server.cli import (
    cards,
    contradictions,
    databases,
    encoders,
    evaluating,
    federations,
    inspecting,
    panels,
    participants,
    prompt_sets,
    rounds,
    serving,
    standings,
)
from consensus_server.cli.operating import failure_of


class ServerCommands(Commands):
    """Errors of the service and its backends end a command with the exit code of their kind."""

    failure_of = staticmethod(failure_of)


app = typer.Typer(
    name="consensus-server",
    cls=ServerCommands,
    help="The consensus service: answers in, pseudo-labels out.\n\n"
    "Settings come from variables CONSENSUS_*; options go first.",
    epilog=EXIT_TABLE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
serving.register(app)
evaluating.register(app)
contradictions.register(app)
app.add_typer(federations.app, name="federation")
app.add_typer(participants.app, name="participant")
cards.register(rounds.app)
standings.register(rounds.app)
inspecting.register(rounds.app)
app.add_typer(rounds.app, name="round")
app.add_typer(standings.app, name="appeal")
app.add_typer(prompt_sets.app, name="prompt-set")
app.add_typer(encoders.app, name="encoder")
app.add_typer(panels.app, name="panel")
app.add_typer(databases.app, name="database")

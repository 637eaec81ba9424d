"""The commands of `consensus-server`, put together."""

import typer

from consensus_server.cli import (
    databases,
    encoders,
    evaluating,
    federations,
    inspecting,
    participants,
    prompt_sets,
    rounds,
    serving,
    standings,
)
from consensus_server.cli.output import EXIT_TABLE

app = typer.Typer(
    name="consensus-server",
    help="The consensus service: answers in, pseudo-labels out.\n\n"
    "Settings come from variables CONSENSUS_*; options go first.",
    epilog=EXIT_TABLE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
serving.register(app)
evaluating.register(app)
app.add_typer(federations.app, name="federation")
app.add_typer(participants.app, name="participant")
standings.register(rounds.app)
inspecting.register(rounds.app)
app.add_typer(rounds.app, name="round")
app.add_typer(standings.app, name="appeal")
app.add_typer(prompt_sets.app, name="prompt-set")
app.add_typer(encoders.app, name="encoder")
app.add_typer(databases.app, name="database")

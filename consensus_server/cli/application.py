"""The commands of `consensus-server`, put together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from consensus_server.cli import (
    cards,
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
from consensus_server.cli.output import EXIT_TABLE, CommandFailed, Exit, failures_explained

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # its module is private and moves between versions
"""What the library raises for a wrong command line."""


class Commands(TyperGroup):
    """Tells a program in JSON what is wrong with its command line; a person gets what the library writes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (a private type of the library)
        """Remember whether a program is listening."""
        ctx.meta["as_json"] = "--json" in args
        with _usage_explained(as_json=ctx.meta["as_json"]):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (as the library has it)
        """Run the command."""
        with _usage_explained(as_json=ctx.meta["as_json"]):
            return super().invoke(ctx)


@contextmanager
def _usage_explained(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        if not as_json:
            raise
        message = error.format_message()  # type: ignore[attr-defined]  # see UsageError
        with failures_explained(as_json=True):
            raise CommandFailed(message, Exit.USAGE) from error


app = typer.Typer(
    name="consensus-server",
    cls=Commands,
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
cards.register(rounds.app)
standings.register(rounds.app)
inspecting.register(rounds.app)
app.add_typer(rounds.app, name="round")
app.add_typer(standings.app, name="appeal")
app.add_typer(prompt_sets.app, name="prompt-set")
app.add_typer(encoders.app, name="encoder")
app.add_typer(panels.app, name="panel")
app.add_typer(databases.app, name="database")

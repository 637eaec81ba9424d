"""`consensus-server database`: the schema."""

import secrets

import typer

from client_kit.command_line import JsonOption, print_json, say
from consensus_server.cli.operating import DatabaseOption, DataDirOption, settings_from
from consensus_server.wiring import build_server

app = typer.Typer(help="Look after the database.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look after the database."""  # makes `upgrade` a subcommand, although it is the only one


@app.command(epilog="Example: consensus-server database upgrade --data-dir consensus-data")
def upgrade(
    *, data_dir: DataDirOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Bring the database to the newest schema; a new one is made. `serve` does the same when it starts."""
    settings = settings_from(data_dir=data_dir, database_url=database_url)
    build_server(settings, secrets.token_urlsafe()).close()
    if as_json:
        print_json({"schema": "newest"})
    else:
        say("The database has the newest schema.")

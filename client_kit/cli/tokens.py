"""`consensus token`: this participant's own tokens."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit import wire
from client_kit.cli.connection import FederationOption, ServerOption, TokenFileOption, connect
from client_kit.client import ConsensusClient
from client_kit.command_line import JsonOption, print_json, say
from client_kit.settings_files import read_secret
from client_kit.showing import show_token_table
from client_kit.token_files import place_for

app = typer.Typer(help="Look at your tokens, rotate them, revoke them.", no_args_is_help=True)

OwnFile = Annotated[
    Path, typer.Option("--token-file", help="File with the token; the new one takes its place.", metavar="FILE")
]
GraceOption = Annotated[
    float, typer.Option(help="Hours for which the old token still holds, for what runs with it.", min=0, max=8784)
]


@app.command("list")
def list_(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Your tokens: what each is for, until when, and when it was last used.

    Example: consensus token list --server http://127.0.0.1:8000 --token-file anna.token
    """
    with connect(server, token_file, federation) as client:
        found = client.tokens()
    if as_json:
        print_json(wire.TokenList(items=found))
    else:
        show_token_table(found)


@app.command()
def rotate(
    *,
    server: ServerOption,
    token_file: OwnFile,
    federation: FederationOption = None,
    grace_hours: GraceOption = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Get a new token, write it over the old one in its file, and let the old one end.

    The old one ends only when the new one is in the file: interrupted, run it again.

    Example: consensus token rotate --server http://127.0.0.1:8000 --token-file anna.token --grace-hours 24
    """
    with connect(server, token_file, federation) as client, place_for(token_file) as place:
        old = _calling(client, token_file)
        issued = client.new_token(wish=wire.TokenWish(keep=True))
        if place is not None:
            place.take(issued.token)
    with connect(server, token_file, federation) as client:
        client.revoke_token(old, grace_seconds=grace_hours * 3600)
    if as_json:
        print_json({"token_file": str(token_file), "replaced": old, "grace_seconds": grace_hours * 3600})
    else:
        ends = f"in {grace_hours:g} hours" if grace_hours else "now"
        say(f"The new token is in {token_file}. The old one, {old}, ends {ends}.")


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="Id of the token, as the list has it.", metavar="TOKEN")],
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """End one of your tokens at once.

    Example: consensus token revoke 3f1c0a52b7de --server http://127.0.0.1:8000 --token-file anna.token
    """
    with connect(server, token_file, federation) as client:
        client.revoke_token(token_id)
    if as_json:
        print_json({"revoked": token_id})
    else:
        say(f"The token {token_id} has ended.")


def _calling(client: ConsensusClient, file: Path) -> str:
    """Id of the token in the file."""
    digest = wire.content_digest(read_secret(None, file, what="the token"))
    return next(each.id for each in client.tokens() if digest.startswith(each.id))

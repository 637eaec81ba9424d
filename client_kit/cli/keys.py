"""`consensus key`: the key that signs this participant's seals."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit import wire
from client_kit.cli.connection import FederationOption, ServerOption, TokenFileOption, connect
from client_kit.command_line import JsonOption, print_json, print_table, say
from client_kit.signing import new_key, read_key

app = typer.Typer(help="Make, register and look at the key that signs your seals.", no_args_is_help=True)

KeyArgument = Annotated[Path, typer.Argument(help="File of the key, in PEM.", metavar="FILE")]


@app.command()
def new(file: KeyArgument, *, as_json: JsonOption = False) -> None:
    """Make a signing key (Ed25519) in a new file, which only you can read. Keep a copy: nobody can make it again.

    Example: consensus key new anna.key
    """
    _say_key(new_key(file).public, as_json=as_json)


@app.command()
def show(file: KeyArgument, *, as_json: JsonOption = False) -> None:
    """The public half of a key: what the operator sees.

    Example: consensus key show anna.key
    """
    _say_key(read_key(file).public, as_json=as_json)


@app.command()
def register(
    file: KeyArgument,
    *,
    server: ServerOption,
    replaces: Annotated[
        Path | None, typer.Option("--replaces", help="File of the key that signs so far.", metavar="FILE")
    ] = None,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a key sign your seals from now on. The one that it replaces must endorse it.

    Example: consensus key register anna.key --server http://127.0.0.1:8000 --token-file anna.token
    """
    key, before = read_key(file), None if replaces is None else read_key(replaces)
    with connect(server, token_file, federation) as client:
        kept = client.register_key(key, replaces=before)
    if as_json:
        print_json(kept)
    else:
        say(f"{kept.key} signs your seals from now on. Tell the operator so by another way than this server.")


@app.command("list")
def list_(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Your keys: which signs, and from when to when those before it did.

    Example: consensus key list --server http://127.0.0.1:8000 --token-file anna.token
    """
    with connect(server, token_file, federation) as client:
        found = client.signing_keys()
    if as_json:
        print_json(wire.SigningKeyList(items=found))
        return
    rows = [(each.key, each.registered_at, each.ended_at) for each in found]
    print_table(("key", "registered", "ended"), rows, empty="You have registered no key.")


def _say_key(public: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": public})
    else:
        say(public)

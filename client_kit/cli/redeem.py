"""`consensus redeem`: an invitation becomes a token."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from client_kit.cli.connection import ServerOption
from client_kit.client import ConsensusClient
from client_kit.command_line import JsonOption, print_json, say
from client_kit.errors import ConfigurationError
from client_kit.signing import read_key
from client_kit.token_files import place_for, require_new


def redeem(
    *,
    server: ServerOption,
    token_file: Annotated[
        Path, typer.Option("--token-file", help="New file for the token, which only you can read.", metavar="FILE")
    ],
    name: Annotated[str | None, typer.Option("--name", help="The name to take, where the invitation has none.")] = None,
    federation: Annotated[
        str | None,
        typer.Option("--federation", envvar="CONSENSUS_FEDERATION", help="Federation that you expect to join."),
    ] = None,
    bind_certificate: Annotated[
        bool,
        typer.Option(
            "--bind-certificate", help="The token is of use with your client certificate alone (docs/networks.md)."
        ),
    ] = False,
    signing_key: Annotated[
        Path | None,
        typer.Option(
            "--signing-key", help="File of the key that is to sign your seals: it is registered.", metavar="FILE"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Join a federation with the code of an invitation, which is read from standard input. It can be used once.

    Example: consensus redeem --server http://127.0.0.1:8000 --token-file anna.token
    """
    require_new(token_file, "Each token has a file of its own.")
    key = None if signing_key is None else read_key(signing_key)
    code = _code()
    with place_for(token_file) as place, ConsensusClient(server) as client:
        issued = client.redeem(code, participant=name, federation=federation, bind_certificate=bind_certificate)
        if place is not None:
            place.take(issued.token)
    if key is not None:
        with ConsensusClient(server, issued.token) as client:
            client.register_key(key)
    joined = issued.participant
    if as_json:
        print_json({"participant": joined.model_dump(mode="json"), "token_file": str(token_file)})
    else:
        say(f"You are {joined.participant} ({joined.role}). Your token is in {token_file}; nobody else has seen it.")


def _code() -> str:
    """Never an argument: lists of processes and histories of shells would have it."""
    asked = sys.stdin.isatty()
    code = (typer.prompt("Invitation", hide_input=True) if asked else sys.stdin.readline()).strip()
    if not code:
        raise ConfigurationError("no invitation was given; put its code on standard input")
    return str(code)

"""Options that say which server, as whom, and in which federation."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit.client import ConsensusClient
from client_kit.settings_files import read_secret
from client_kit.signing import read_key

ServerOption = Annotated[str, typer.Option("--server", envvar="CONSENSUS_SERVER", help="URL of the consensus server.")]
FederationOption = Annotated[
    str | None,
    typer.Option("--federation", envvar="CONSENSUS_FEDERATION", help="Federation; by default that of the token."),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="File with the token; by default it is taken from CONSENSUS_TOKEN."),
]
SigningKeyOption = Annotated[
    Path | None,
    typer.Option("--signing-key", help="File of your registered signing key; it signs the seal.", metavar="FILE"),
]
RoundOption = Annotated[int | None, typer.Option("--round", min=1, help="Number of the round; by default the newest.")]


def connect(
    server: str, token_file: Path | None, federation: str | None, signing_key: Path | None = None
) -> ConsensusClient:
    """A client as the options say. Raises ConfigurationError without a token."""
    key = None if signing_key is None else read_key(signing_key)
    return ConsensusClient(server, _token(token_file), federation=federation, signing_key=key)


def _token(file: Path | None) -> str:
    return read_secret(None if file else "CONSENSUS_TOKEN", file, what="the token")

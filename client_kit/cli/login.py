"""`consensus login`: a token of an identity provider, for servers that take its word."""

import json
from pathlib import Path
from typing import Annotated

import typer

from client_kit.command_line import JsonOption, note, print_json, say
from client_kit.device_login import Client, SignedIn, renew, sign_in
from client_kit.errors import ConfigurationError
from client_kit.input_files import read_file
from client_kit.token_files import place_for

DEFAULT_SCOPE = "openid offline_access"


def login(
    *,
    token_file: Annotated[
        Path, typer.Option("--token-file", help="File for the token, which only you can read.", metavar="FILE")
    ],
    issuer: Annotated[
        str | None, typer.Option("--issuer", envvar="CONSENSUS_ISSUER", help="Address of the identity provider.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option("--client-id", envvar="CONSENSUS_CLIENT_ID", help="This application's id there.")
    ] = None,
    scope: Annotated[str, typer.Option("--scope", help="What to ask for, with spaces between.")] = DEFAULT_SCOPE,
    audience: Annotated[str, typer.Option("--audience", help="What the token is to be for, where it asks.")] = "",
    id_token: Annotated[
        bool, typer.Option("--id-token", help="Take the ID token, where access tokens are for the provider only.")
    ] = False,
    again: Annotated[bool, typer.Option("--renew", help="Renew the token in the file, without a browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign in at an identity provider, with a browser anywhere, and keep the token in a file.

    Beside it, FILE.refresh keeps what --renew needs, also readable by you alone.

    Example: consensus login --issuer https://id.example.org --client-id consensus --token-file ada.token
    """
    kept = token_file.with_name(f"{token_file.name}.refresh")
    with place_for(kept) as for_renewal, place_for(token_file) as place:
        if again:
            client, refresh = _kept(kept)
            signed = renew(client, refresh)
        else:
            client = Client(*_named(issuer, client_id), scope, audience, id_token)
            signed = sign_in(client, _show)
        if for_renewal is not None and signed.refresh_token is not None:
            for_renewal.take(_written(client, signed))  # first: the one before may hold no longer
        if place is not None:
            place.take(signed.token)
    renewable = signed.refresh_token is not None
    if as_json:
        print_json({"token_file": str(token_file), "renewable": renewable})
    else:
        say(
            f"The token is in {token_file}; {'--renew renews it' if renewable else 'it cannot be renewed: sign in again'}."
        )


def _show(address: str, code: str) -> None:
    note(f"Open {address} in a browser, on any machine, and enter the code {code}. Ctrl-C ends the wait.")


def _named(issuer: str | None, client_id: str | None) -> tuple[str, str]:
    if not issuer or not client_id:
        raise ConfigurationError(
            "name the provider: --issuer and --client-id, or CONSENSUS_ISSUER and CONSENSUS_CLIENT_ID"
        )
    return issuer, client_id


def _written(client: Client, signed: SignedIn) -> str:
    return json.dumps(
        {
            "issuer": client.issuer,
            "client_id": client.client_id,
            "id_token": client.id_token,
            "refresh_token": signed.refresh_token,
        }
    )


def _kept(file: Path) -> tuple[Client, str]:
    if not Path(file).exists():
        raise ConfigurationError(f"{file} is not there, so nothing can be renewed; sign in without --renew")
    try:
        kept = json.loads(read_file(file))
        return Client(kept["issuer"], kept["client_id"], id_token=kept["id_token"]), str(kept["refresh_token"])
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{file} is damaged; sign in without --renew") from None

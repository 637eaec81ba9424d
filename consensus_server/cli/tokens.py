"""What the commands about tokens of participants and of operators share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import note, print_json, print_value, say
from client_kit.showing import show_token_table
from client_kit.token_files import Place
from client_kit.vocabulary import Role, Scope
from consensus_server.core.tokens import Token
from consensus_server.http_api import translate
from consensus_server.service.tokens import Revocation, TokenWish

DAY_SECONDS = 24 * 3600.0
HOUR_SECONDS = 3600.0

ScopeOption = Annotated[
    list[Scope] | None,
    typer.Option("--scope", help="What the token is for; several may be named. By default all of the role."),
]
LifetimeOption = Annotated[
    float | None,
    typer.Option(help="Days after which the token ends; by default when it is revoked.", min=1e-4, max=3660),
]
GraceOption = Annotated[float, typer.Option(help="Hours for which what is replaced still holds.", min=0, max=8784)]
KeepOption = Annotated[bool, typer.Option("--keep", help="The tokens before it hold on.")]
TokenIdArgument = Annotated[str, typer.Argument(help="Id of the token, as the list has it.", metavar="TOKEN")]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", help="File for the token, which only you can read; by default standard output.", metavar="FILE"
    ),
]


def token_wish(
    scopes: Sequence[Scope] | None, lifetime_days: float | None, grace_hours: float = 0.0, *, keep: bool = False
) -> TokenWish:
    """What the options ask of a new token."""
    return TokenWish(
        scopes=frozenset(scopes) if scopes else None,
        lifetime_seconds=None if lifetime_days is None else lifetime_days * DAY_SECONDS,
        grace_seconds=grace_hours * HOUR_SECONDS,
        keep=keep,
    )


def hand_out(
    kind: str,
    name: str,
    shown: wire.ParticipantToken | wire.OperatorToken,
    place: Place | None,
    *,
    role: Role | None = None,
    as_json: bool,
) -> None:
    """Give a new token into its file or to standard output, this once. kind: `participant` or `operator`."""
    if place is not None:
        place.take(shown.token)
    if as_json:
        print_json(shown if place is None else {kind: name, "token_file": str(place.file)})
    elif place is not None:
        say(f"The token of {name} is in {place.file}; it cannot be shown again.")
    else:
        note(f"Token of {name}{f' ({role})' if role else ''}; it cannot be shown again:")
        print_value(shown.token)


def revocation(token_id: str, grace_hours: float) -> Revocation:
    """What the arguments ask to end."""
    return Revocation(token_id, grace_hours * HOUR_SECONDS)


def show_tokens(found: Sequence[Token], *, as_json: bool) -> None:
    """A table, or JSON."""
    items = [translate.token(each) for each in found]
    if as_json:
        print_json(wire.TokenList(items=items))
        return
    show_token_table(items)


def say_revoked(token_id: str, grace_hours: float, *, as_json: bool) -> None:
    """What became of a token."""
    if as_json:
        print_json({"revoked": token_id, "grace_seconds": grace_hours * HOUR_SECONDS})
    else:
        say(f"The token {token_id} ends {f'in {grace_hours:g} hours' if grace_hours else 'now'}.")

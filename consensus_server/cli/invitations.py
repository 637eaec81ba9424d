"""`consensus-server invitation`: who has a code joins with it, once, and the operator never sees the token."""

from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import JsonOption, note, print_json, print_table, print_value, say
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import checked_name, on_server
from consensus_server.cli.tokens import DAY_SECONDS, LifetimeOption, ScopeOption, token_wish
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

app = typer.Typer(help="Invite participants, who fetch their tokens themselves.", no_args_is_help=True)


@app.command(epilog="Example: consensus-server invitation add clinics --participant anna --valid-days 3")
@on_server
def add(
    server: Server,
    federation: NameArgument,
    *,
    participant: Annotated[
        str | None, typer.Option(help="Name with which to join; by default who joins chooses one.")
    ] = None,
    role: Annotated[wire.Role, typer.Option(help="What the token will allow.")] = wire.Role.PARTICIPANT,
    valid_days: Annotated[
        float, typer.Option(help="Days for which the invitation can be used.", min=1e-4, max=366)
    ] = 7.0,
    scope: ScopeOption = None,
    lifetime_days: LifetimeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an invitation. Its code goes to standard output, this once: send it to whom it is for by a way that others cannot read."""
    if participant is not None:
        checked_name(participant)
    made = server.use_cases.invitations.add(
        SERVER_OPERATOR, federation, participant=participant, role=role, valid_seconds=valid_days * DAY_SECONDS,
        wish=token_wish(scope, lifetime_days),
    )  # fmt: skip
    invitation = translate.to_wire(wire.Invitation, made.invitation)
    if as_json:
        print_json(wire.InvitationCode(invitation=invitation, code=made.code))
        return
    note(
        f"Invitation to {federation} until {invitation.expires_at:%Y-%m-%d %H:%M} UTC, to be used once: consensus redeem"
    )
    print_value(made.code)


@app.command("list", epilog="Example: consensus-server invitation list clinics")
@on_server
def list_(server: Server, federation: NameArgument, *, as_json: JsonOption = False) -> None:
    """All invitations to a federation, with who joined with each."""
    found = server.use_cases.invitations.all(SERVER_OPERATOR, federation)
    items = [translate.to_wire(wire.Invitation, each) for each in found]
    if as_json:
        print_json(wire.InvitationList(items=items))
        return
    rows = [(each.id, each.role, each.participant, each.expires_at, each.used_by, each.used_at) for each in items]
    columns = ("invitation", "role", "for", "expires", "joined", "at")
    print_table(columns, rows, empty=f"{federation} has no invitations.")


@app.command(epilog="Example: consensus-server invitation withdraw clinics 3f1c0a52b7de")
@on_server
def withdraw(
    server: Server,
    federation: NameArgument,
    invitation: Annotated[str, typer.Argument(help="Id of the invitation, as the list has it.", metavar="INVITATION")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Let nobody join with an invitation any more."""
    server.use_cases.invitations.withdraw(SERVER_OPERATOR, federation, invitation)
    if as_json:
        print_json({"withdrawn": invitation})
    else:
        say(f"Nobody can join {federation} with the invitation {invitation} any more.")

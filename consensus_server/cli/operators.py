"""`consensus-server operator`: operators of the server by name, each with tokens of its own."""

from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import JsonOption, print_json, print_table, say
from client_kit.token_files import place_for, require_new
from consensus_server.cli.operating import checked_name, on_server
from consensus_server.cli.tokens import (
    GraceOption,
    KeepOption,
    LifetimeOption,
    ScopeOption,
    TokenFileOption,
    TokenIdArgument,
    hand_out,
    revocation,
    say_revoked,
    show_tokens,
    token_wish,
)
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server

app = typer.Typer(help="Name operators of the server and issue their tokens.", no_args_is_help=True)

OperatorArgument = Annotated[str, typer.Argument(help="Name of the operator.", metavar="OPERATOR")]


@app.command(epilog="Example: consensus-server operator add alice --token-file alice.token --lifetime-days 90")
@on_server
def add(
    server: Server,
    operator: OperatorArgument,
    *,
    scope: ScopeOption = None,
    lifetime_days: LifetimeOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an operator of the server. Its token goes to standard output or into a new file, this once."""
    checked_name(operator)
    require_new(token_file, "For a new token of an operator that is there: consensus-server operator token")
    with place_for(token_file) as place:
        issued = server.use_cases.operators.add(SERVER_OPERATOR, operator, token_wish(scope, lifetime_days))
        hand_out("operator", issued.operator.name, translate.operator_token(issued), place, as_json=as_json)


@app.command("list", epilog="Example: consensus-server operator list")
@on_server
def list_(server: Server, *, as_json: JsonOption = False) -> None:
    """Operators of the server that have names; whoever has the token of the settings is one too."""
    items = [translate.operator(each) for each in server.use_cases.operators.all(SERVER_OPERATOR)]
    if as_json:
        print_json(wire.OperatorList(items=items))
        return
    rows = [(each.operator, each.created_at) for each in items]
    print_table(("operator", "added"), rows, empty="No operator has a name yet.")


@app.command(epilog="Example: consensus-server operator token alice --token-file alice.token --grace-hours 24")
@on_server
def token(
    server: Server,
    operator: OperatorArgument,
    *,
    scope: ScopeOption = None,
    lifetime_days: LifetimeOption = None,
    grace_hours: GraceOption = 0.0,
    keep: KeepOption = False,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a new token, on standard output or in place of a file's content; the old ones end at once, or after a grace."""
    wish = token_wish(scope, lifetime_days, grace_hours, keep=keep)
    with place_for(token_file) as place:
        issued = server.use_cases.operators.renew_token(SERVER_OPERATOR, operator, wish)
        hand_out("operator", issued.operator.name, translate.operator_token(issued), place, as_json=as_json)


@app.command(epilog="Example: consensus-server operator tokens alice")
@on_server
def tokens(server: Server, operator: OperatorArgument, *, as_json: JsonOption = False) -> None:
    """The tokens of an operator: what each is for, until when, and when it was last used."""
    show_tokens(server.use_cases.operators.tokens(SERVER_OPERATOR, operator), as_json=as_json)


@app.command(epilog="Example: consensus-server operator revoke alice 3f1c0a52b7de")
@on_server
def revoke(
    server: Server,
    operator: OperatorArgument,
    token_id: TokenIdArgument,
    *,
    grace_hours: GraceOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """End one token, at once or after a grace."""
    server.use_cases.operators.revoke_token(SERVER_OPERATOR, operator, revocation(token_id, grace_hours))
    say_revoked(token_id, grace_hours, as_json=as_json)


@app.command(epilog="Example: consensus-server operator remove alice")
@on_server
def remove(server: Server, operator: OperatorArgument, *, as_json: JsonOption = False) -> None:
    """Forget an operator; its tokens end at once."""
    server.use_cases.operators.remove(SERVER_OPERATOR, operator)
    if as_json:
        print_json({"removed": operator})
    else:
        say(f"{operator} is no operator of the server any more.")

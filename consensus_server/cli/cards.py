"""`consensus-server round card`: what made a published round, for people."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit import wire
from client_kit.command_line import JsonOption, print_json, say
from client_kit.showing import milder_policy, show_card
from client_kit.storage import for_its_owner
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import on_server
from consensus_server.cli.rounds import NumberArgument, last_published
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server


def register(rounds: typer.Typer) -> None:
    """Add the commands about one round."""
    rounds.command(epilog="Example: consensus-server round card clinics 3 --json")(card)
    rounds.command(epilog="Example: consensus-server round bundle clinics 3 --out round-3.zip")(bundle)


@on_server
def card(
    server: Server, federation: NameArgument, number: NumberArgument = None, *, as_json: JsonOption = False
) -> None:
    """What made a published round: counts, policy, encoder, bytes, and what participants state about privacy."""
    chosen = last_published(server, federation, number)
    found = translate.to_wire(wire.RoundCard, server.use_cases.pseudo_labels.card(SERVER_OPERATOR, federation, chosen))
    if as_json:
        print_json(found)
        return
    show_card(found)
    if hint := milder_policy(found.counts, federation, chosen):
        say(hint)


@on_server
def bundle(
    server: Server,
    federation: NameArgument,
    number: NumberArgument = None,
    *,
    out: Annotated[Path, typer.Option("--out", help="New file, which only you can read.", metavar="FILE")],
    as_json: JsonOption = False,
) -> None:
    """Write everything of a published round into one file, with the texts of all participants, for `verify-round`."""
    chosen = last_published(server, federation, number)
    with open(out, "xb", opener=for_its_owner) as stream:
        server.use_cases.bundles.write(SERVER_OPERATOR, federation, chosen, stream)
    if as_json:
        print_json({"round": chosen, "file": str(out), "bytes": out.stat().st_size})
    else:
        say(f"Round {chosen} of {federation} is in {out}. Check it: consensus-server verify-round {out}")

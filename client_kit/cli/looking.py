"""`consensus status|rounds|card|why|map`: what a participant may see of its federation and its rounds."""

from pathlib import Path
from typing import Annotated

import typer

from client_kit import wire
from client_kit.cli.connection import FederationOption, RoundOption, ServerOption, TokenFileOption, connect
from client_kit.client import ConsensusClient
from client_kit.command_line import JsonOption, print_json, say
from client_kit.errors import UnknownRound
from client_kit.showing import require_page, show_card, show_map, show_round, show_rounds, show_why, write_map
from client_kit.wire import RoundState

PromptArgument = Annotated[str, typer.Argument(help="Id of the prompt.", metavar="PROMPT")]
PublishedOption = Annotated[
    int | None, typer.Option("--round", min=1, help="Number of the round; by default the last published.")
]


def status(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: RoundOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who you are, and how far the round is.

    Example: consensus status --server http://127.0.0.1:8000 --token-file token
    """
    with connect(server, token_file, federation) as client:
        who = client.identity()
        found = client.current_round() if number is None else client.round(number)
    if as_json:
        print_json({"identity": who.model_dump(mode="json"), "round": found.model_dump(mode="json")})
        return
    say(f"You are {who.participant or 'the operator of the server'} ({who.role}).")
    show_round(found)


def rounds(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """All rounds of the federation, with the reason where one failed.

    Example: consensus rounds --server http://127.0.0.1:8000 --token-file token
    """
    with connect(server, token_file, federation) as client:
        name, found = client.federation().federation, client.rounds()
    if as_json:
        print_json(wire.RoundList(items=found))
    else:
        show_rounds(found, name)


def card(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: PublishedOption = None,
    as_json: JsonOption = False,
) -> None:
    """What made a published round: counts, reasons of abstentions, policy, encoder, bytes, and what participants state.

    Example: consensus card --server http://127.0.0.1:8000 --token-file token --round 3
    """
    with connect(server, token_file, federation) as client:
        found = client.card(number or last_published(client))
    if as_json:
        print_json(found)
        return
    show_card(found)


def why(
    prompt: PromptArgument,
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: PublishedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why a prompt has its pseudo-label, or none: its clusters, and what became of your answers.

    Example: consensus why general-0001 --server http://127.0.0.1:8000 --token-file token
    """
    with connect(server, token_file, federation) as client:
        found = client.explanation(number or last_published(client), prompt)
    if as_json:
        print_json(found)
    else:
        show_why(found)


def map_(
    prompt: PromptArgument,
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: PublishedOption = None,
    method: Annotated[str, typer.Option(help="pca, or umap where the server has that extra.")] = "pca",
    out: Annotated[Path | None, typer.Option(help="HTML file to write; needs the extra `report`.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The answers to a prompt in two dimensions, yours by name: a table, JSON or a plot.

    Example: consensus map general-0001 --server http://127.0.0.1:8000 --token-file token --out map.html
    """
    require_page(out)
    with connect(server, token_file, federation) as client:
        chosen = number or last_published(client)
        found = client.map(chosen, prompt, method=method)
        if out is not None:
            title = f"{client.federation().federation}, round {chosen}, {prompt}"
            contests = client.explanation(chosen, prompt).contests
    if out is not None:
        write_map(found, out, title, contests)
    if as_json:
        print_json(found)
    elif out is None:
        show_map(found)
    else:
        say(f"The map of {len(found.points)} answers is in {out}.")


def last_published(client: ConsensusClient) -> int:
    """Number of the last published round. Raises UnknownRound."""
    published = _published(client)
    if not published:
        raise UnknownRound("No round is published yet.")
    return published[-1]


def _published(client: ConsensusClient) -> list[int]:
    return [each.number for each in client.rounds() if each.state is RoundState.PUBLISHED]

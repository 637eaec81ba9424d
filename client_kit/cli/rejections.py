"""`consensus rejections`, `consensus appeal`, `consensus reliability`: how this participant came out of a round."""

from typing import Annotated

import typer

from client_kit.cli.connection import FederationOption, RoundOption, ServerOption, TokenFileOption, connect
from client_kit.cli.looking import last_published
from client_kit.command_line import JsonOption, print_json, print_table, say


def rejections(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: RoundOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answers of yours that a published round kept out, with the reason for each.

    Example: consensus rejections --server http://127.0.0.1:8000 --token-file token --round 3
    """
    with connect(server, token_file, federation) as client:
        found = client.rejections(number or last_published(client))
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    rows = [(each.prompt_id, each.sample, each.gate, each.reason) for each in found]
    print_table(("Prompt", "Sample", "Gate", "Reason"), rows, empty="No answer was kept out.")


def reliability(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: RoundOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far a published round trusted you, and the reputation from earlier rounds with which you began.

    Example: consensus reliability --server http://127.0.0.1:8000 --token-file token
    """
    with connect(server, token_file, federation) as client:
        found = client.reliability(number or last_published(client))
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    rows = [
        (
            each.participant,
            f"{each.mean:+.2f}" if each.prompts else "-",
            each.prompts,
            each.refused,
            "newcomer" if each.newcomer else f"{each.prior_mean:+.2f}",
            f"{each.reliability:+.2f}",
            f"{each.weight:.2f}" if each.prompts else "-",
        )
        for each in found
    ]
    columns = ("Participant", "Mean", "Prompts", "Rejected", "Reputation", "Reliability", "Weight")
    print_table(columns, rows, empty="The federation trusts all participants alike.")


def appeal(
    gate: Annotated[
        str | None, typer.Argument(help="Gate that rejected your answers; leave it out to list your appeals.")
    ] = None,
    text: Annotated[str | None, typer.Argument(help="Why it was wrong; the operator reads it.")] = None,
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: RoundOption = None,
    as_json: JsonOption = False,
) -> None:
    """Appeal against a gate, or list your appeals with the operator's decisions.

    Example: consensus appeal repetitive "Our answers quote the same guideline." --server http://127.0.0.1:8000
    """
    with connect(server, token_file, federation) as client:
        if gate is None:
            items = client.appeals()
        else:
            items = [client.appeal(number or last_published(client), gate, text or typer.prompt("Why"))]
    if as_json:
        print_json([each.model_dump(mode="json") for each in items])
        return
    if gate is not None:
        say(f"Appeal {items[0].number} against {gate} in round {items[0].round} is made; the operator decides.")
        return
    rows = [(each.number, each.round, each.gate, each.outcome or "open", each.note) for each in items]
    print_table(("Appeal", "Round", "Gate", "Outcome", "Note"), rows, empty="You have made no appeal.")

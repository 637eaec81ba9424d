"""`consensus generate`: the answers of the next round in a file, for a person to read before anybody else does."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from client_kit import wiring
from client_kit._quiet import quiet_libraries
from client_kit.cli.join import (
    EstimateOption,
    LimitOption,
    LimitTokensOption,
    Screen,
    SettingsArgument,
    bars,
    limited,
    participant_settings,
    show_estimate,
)
from client_kit.cli.lost import show_lost
from client_kit.command_line import JsonOption, print_json, say
from client_kit.federation.joining import Generated, estimate_round
from client_kit.federation.joining import generate as generate_answers


def generate(
    settings: SettingsArgument,
    *,
    out: Annotated[Path | None, typer.Option(help="JSONL file; by default in the work folder.")] = None,
    limit: LimitOption = None,
    limit_tokens: LimitTokensOption = None,
    estimate: EstimateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train and answer for the next round, write the answers to a file, and send none of them.

    `consensus join` with the same settings submits exactly these, and generates none again. Interrupted, the same command
    goes on where it was.

    Example: consensus generate participant.yaml --out answers.jsonl --limit 5
    """
    quiet_libraries()
    chosen = limited(participant_settings(settings), limit, limit_tokens)
    if estimate:
        show_estimate(estimate_round(chosen), as_json=as_json)
    elif as_json:
        found = generate_answers(chosen, wiring, out)
        print_json({**asdict(found), "file": str(found.file)})
    else:
        with bars() as shown:
            found = generate_answers(chosen, wiring, out, Screen(shown))
        _show(found)


def _show(found: Generated) -> None:
    say(f"Round {found.round}: {found.answers} answers in {found.file}. Nothing was sent.")
    show_lost(found.lost)
    say("Read them; `consensus join` submits them.")

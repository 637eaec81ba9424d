"""`consensus labels`: fetch pseudo-labels."""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from client_kit.cli.connection import FederationOption, RoundOption, ServerOption, TokenFileOption, connect
from client_kit.client import ConsensusClient
from client_kit.command_line import JsonOption, note, print_json, say
from client_kit.errors import ExportError, WaitTimeout
from client_kit.exports import ExportFormat, export_labels
from client_kit.stages import show_progress, shown
from client_kit.vocabulary import abstained
from client_kit.wire import RoundState

_LOOK_SECONDS = 2.0
"""Between two looks at a round that is waited for."""


def labels(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: RoundOption = None,
    wait_seconds: Annotated[
        float, typer.Option("--wait", min=0, help="Wait this long for publication, in seconds.")
    ] = 0.0,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; by default standard output.")] = None,
    form: Annotated[ExportFormat, typer.Option("--format", help="For which trainer.")] = ExportFormat.JSONL,
    minimum_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out labels with lower confidence.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Fetch the pseudo-labels of a published round, ready to train on. `--json` prints a summary of a written file.

    Example: consensus labels --server http://127.0.0.1:8000 --token-file token --format trl --out labels.jsonl
    """
    with connect(server, token_file, federation) as client:
        chosen = number or client.current_round().number
        if wait_seconds:
            _wait(client, chosen, wait_seconds)
        found, prompts = client.pseudo_labels(chosen), client.prompts()
    counts = Counter(str(label.abstention) for label in found if label.abstention is not None)
    why = f"; without a label: {abstained(counts)}" if counts else ""
    if erased := sum(label.erased is True for label in found):
        why += f"; text erased since: {erased}"
    if not any(label.text is not None and label.confidence >= minimum_confidence for label in found):
        least = f" with a confidence of {minimum_confidence:g} or more" if minimum_confidence else ""
        raise ExportError(f"Round {chosen} has no pseudo-label{least}, so nothing is written{why}.")
    with tempfile.TemporaryDirectory() as folder:
        file = out or Path(folder, "labels")
        count = export_labels(file, prompts, found, format=form, minimum_confidence=minimum_confidence)
        if out is None:
            sys.stdout.write(file.read_text(encoding="utf-8"))
    summary = {
        "round": chosen,
        "labels": count,
        "prompts": len(found),
        "abstentions": counts,
        "erased": erased,
        "file": str(out),
    }
    told = f"{count} pseudo-labels of round {chosen}"
    if out is None:
        note(f"{told} ({len(found)} prompts{why}).")
    elif as_json:
        print_json(summary)
    else:
        say(f"{told} in {out} ({len(found)} prompts{why}).")


def _wait(client: ConsensusClient, number: int, seconds: float) -> None:
    """Until the round is published, showing how far it is. Raises WaitTimeout."""
    until = time.monotonic() + seconds
    with shown() as observe:
        while True:
            left = until - time.monotonic()
            try:
                client.wait_for(number, RoundState.PUBLISHED, min(left, _LOOK_SECONDS))
            except WaitTimeout:
                if left <= _LOOK_SECONDS:
                    raise
                show_progress(observe, client.round(number))
            else:
                return

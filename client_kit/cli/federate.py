"""`consensus federate`: a whole federation on this machine."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from client_kit.cli.board import Board
from client_kit.command_line import Exit, JsonOption, print_json, print_table, say
from client_kit.federation.configuration import FederationSettings
from client_kit.federation.runner import SERVER_FOLDER, FederationOutcome, run_federation
from client_kit.settings_files import load_settings
from client_kit.showing import milder_policy, show_alarms
from client_kit.vocabulary import Grade, abstained


def federate(
    settings: Annotated[Path, typer.Argument(help="YAML file; its fields: consensus schema federation.")],
    as_json: JsonOption = False,
) -> None:
    """Start a server and every participant as processes here, run all rounds, and show what went over the wire.

    Interrupted, the same command goes on where it was. Exit code 1 when a participant or every round failed.

    Example: consensus federate federation.yaml
    """
    chosen = load_settings(settings, FederationSettings, fields_told_by="consensus schema federation")
    with Board(silent=as_json) as board:
        outcome = run_federation(chosen, board)
    if as_json:
        print_json(_summary(outcome))
    else:
        _show(outcome, None if chosen.server else chosen.work / SERVER_FOLDER)
    if not outcome.cards:
        raise typer.Exit(Exit.FAILED)


def _summary(outcome: FederationOutcome) -> dict[str, Any]:
    return {
        "federation": outcome.federation.federation,
        "rounds": {number: card.model_dump(mode="json") for number, card in outcome.cards.items()},
        "failures": outcome.failures,
        "traffic": {number: [row.model_dump() for row in rows] for number, rows in outcome.traffic.items()},
        "work": {name: str(folder) for name, folder in asdict(outcome)["work"].items()},
        "seconds": round(outcome.seconds, 1),
    }


def _show(outcome: FederationOutcome, own: Path | None) -> None:
    """own: data folder of the server that ran here."""
    rows = [
        (
            number,
            card.counts.labels,
            card.counts.grades.get(Grade.CORROBORATED, ""),
            sum(card.counts.abstentions.values()),
            f"{card.timings.total_seconds:.1f} s",
        )
        for number, card in outcome.cards.items()
    ]
    columns = ("Round", "Pseudo-labels", "Corroborated", "Abstentions", "Aggregation")
    print_table(columns, rows, empty="No round was published.")
    for number, card in outcome.cards.items():
        if card.counts.abstentions:
            say(f"Round {number}, without a label: {abstained(card.counts.abstentions)}.")
        data = "" if own is None else f" --data-dir {own}"
        if hint := milder_policy(card.counts, card.federation, number, data):
            say(hint)
        show_alarms(card)
    for number, card in outcome.cards.items():
        if card.privacy is not None:
            say(f"Privacy, round {number}: {card.privacy.in_words()}")
    for number, reason in outcome.failures.items():
        say(f"Round {number} failed: {reason}")
    sent = {
        name: [row for rows in outcome.traffic.values() for row in rows if row.participant == name]
        for name in outcome.work
    }
    traffic = [
        (name, f"{sum(r.received_bytes for r in rows):,}", f"{sum(r.sent_bytes for r in rows):,}", outcome.work[name])
        for name, rows in sent.items()
    ]
    print_table(("Participant", "Bytes sent", "Bytes received", "Work folder"), traffic, empty="")

"""`consensus submit`: send answers that exist already."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.progress import track

from client_kit.cli.connection import (
    FederationOption,
    RoundOption,
    ServerOption,
    SigningKeyOption,
    TokenFileOption,
    connect,
)
from client_kit.cli.lost import show_lost
from client_kit.command_line import JsonOption, errors, note, print_json, say
from client_kit.errors import ConfigurationError
from client_kit.generation.base import Generation
from client_kit.generation.cleaning import clean_all
from client_kit.generation.given_answers import read_given_answers
from client_kit.input_files import not_looked_at
from client_kit.wire import PrivacyStatement

FEW = 0.9
"""A file that answers a smaller share of the prompts may be the wrong one."""


def submit(
    answers: Annotated[
        Path, typer.Argument(help="JSONL (or .gz): prompt_id and text; sample, finish_reason, usage if known.")
    ],
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: RoundOption = None,
    seal: Annotated[bool, typer.Option(help="Declare the submission complete; it counts only then.")] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace answers that are stored with a different text.")
    ] = False,
    training_rights: Annotated[
        bool, typer.Option("--training-rights", help="I state that others may train on these answers.")
    ] = False,
    epsilon: Annotated[
        float | None,
        typer.Option(help="I state: all trainings of my model so far are (epsilon, delta)-private for each record."),
    ] = None,
    delta: Annotated[float | None, typer.Option(help="The delta that belongs to --epsilon.")] = None,
    taught_through: Annotated[
        int,
        typer.Option(
            min=0, help="I state: the newest round whose pseudo-labels the model that answered was trained on; 0: none."
        ),
    ] = 0,
    signing_key: SigningKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit answers from a file, cleaned as the federation agreed. A repetition sends what is missing.

    Example: consensus submit answers.jsonl --server http://127.0.0.1:8000 --token-file token
    """
    privacy = _privacy(epsilon, delta)
    given = read_answers(answers)
    with connect(server, token_file, federation, signing_key) as client:
        agreed = client.federation()
        cleaned = clean_all(given, agreed.answers, agreed.max_answer_chars)
        kept, dropped = cleaned.answers, cleaned.counts
        if not kept:  # a seal cannot be undone: nothing must not become the submission by mistake
            reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
            raise ConfigurationError(
                f"no answer in {answers} is left to send ({reasons}); nothing was sent or sealed. Provide other answers"
            )
        prompts = client.prompt_set(agreed.prompt_set).prompt_count
        covered = len({answer.prompt_id for answer in kept})
        chosen = number or client.current_round().number
        submission = client.submit(chosen, track(kept, "Sending", console=errors, disable=as_json), replace=replace)
        receipt = (
            client.seal(
                chosen, submission, training_rights=training_rights, privacy=privacy, taught_through=taught_through
            )
            if seal
            else None
        )
    outcome = {
        "federation": agreed.federation, "round": chosen, "answers": submission.count, "stored": submission.stored,
        "unchanged": submission.unchanged, "replaced": submission.replaced, "dropped": dropped,
        "dropped_prompts": cleaned.dropped, "shortened_prompts": cleaned.shortened,
        "digest": submission.digest, "sealed": receipt is not None,
        "late": receipt is not None and receipt.late, "prompts_covered": covered, "prompts": prompts,
    }  # fmt: skip
    if as_json:
        print_json(outcome)
        return
    say(f"Round {chosen} of {agreed.federation}: {submission.count} answers stored, {submission.stored} of them new.")
    if covered < FEW * prompts:
        say(f"  The file answers {covered} of the {prompts} prompts; the others get no answer of yours.")
    show_lost(cleaned.lost)
    say(
        ("Sealed, late: the submission counts in the next round." if receipt.late else "Sealed: the submission counts.")
        if receipt
        else "Not sealed: it counts only after `consensus submit` without --no-seal."
    )


def withdraw(
    *,
    server: ServerOption,
    federation: FederationOption = None,
    token_file: TokenFileOption = None,
    number: RoundOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back all answers of yours that a round holds, before they are sealed.

    Example: consensus withdraw --server http://127.0.0.1:8000 --token-file token
    """
    with connect(server, token_file, federation) as client:
        chosen = number or client.current_round().number
        count = client.withdraw(chosen).withdrawn
    if as_json:
        print_json({"round": chosen, "withdrawn": count})
        return
    say(f"Round {chosen}: {count} answers withdrawn; it holds none of yours. Send others: consensus submit.")


def _privacy(epsilon: float | None, delta: float | None) -> PrivacyStatement | None:
    """What the options state. Raises ConfigurationError."""
    if epsilon is None and delta is None:
        return None
    try:
        return PrivacyStatement.model_validate({"epsilon": epsilon, "delta": delta})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise ConfigurationError(
            f"--{fault['loc'][0]}: {fault['msg']}; a statement has both, epsilon and delta"
        ) from None


def read_answers(file: Path) -> list[Generation]:
    """Answers of a JSONL file; columns that are not looked at are noted once. Raises FaultyFile."""
    given = read_given_answers(file)
    if ignored := not_looked_at(file, given.ignored):
        note(ignored)
    return list(given.answers)

"""`consensus submit`: send answers that exist already."""

import codecs
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.progress import track

from client_kit.cli.connection import FederationOption, RoundOption, ServerOption, TokenFileOption, connect
from client_kit.command_line import JsonOption, errors, print_json, say
from client_kit.errors import ConfigurationError
from client_kit.generation.base import Generation
from client_kit.generation.cleaning import Dropped, clean
from client_kit.wire import Answer, Federation, PrivacyStatement

FEW = 0.9
"""A file that answers a smaller share of the prompts may be the wrong one."""
_ASKED = "a file of answers has one JSON object per line, with prompt_id and text"


def submit(
    answers: Annotated[
        Path, typer.Argument(help="JSONL with prompt_id and text; sample, finish_reason and usage if known.")
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
    as_json: JsonOption = False,
) -> None:
    """Submit answers from a file, cleaned as the federation agreed. A repetition sends what is missing.

    Example: consensus submit answers.jsonl --server http://127.0.0.1:8000 --token-file token
    """
    privacy = _privacy(epsilon, delta)
    given = read_answers(answers)
    with connect(server, token_file, federation) as client:
        agreed = client.federation()
        kept, dropped = clean_answers(given, agreed)
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
        "digest": submission.digest, "sealed": receipt is not None, "prompts_covered": covered, "prompts": prompts,
    }  # fmt: skip
    if as_json:
        print_json(outcome)
        return
    say(f"Round {chosen} of {agreed.federation}: {submission.count} answers stored, {submission.stored} of them new.")
    if covered < FEW * prompts:
        say(f"  The file answers {covered} of the {prompts} prompts; the others get no answer of yours.")
    for reason, count in dropped.items():
        say(f"  {count} not sent ({reason})")
    say(
        "Sealed: the submission counts."
        if receipt
        else "Not sealed: it counts only after `consensus submit` without --no-seal."
    )


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


def read_answers(file: Path) -> list[Answer]:
    """Answers of a JSONL file. Raises ConfigurationError that names file and line."""
    try:
        lines = file.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}. Give a JSONL file of answers") from error
    answers = [_answer(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not answers:
        raise ConfigurationError(f"{file} has no answers; {_ASKED}")
    return answers


def _answer(file: Path, number: int, line: bytes) -> Answer:
    try:
        return Answer.model_validate_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{file} line {number}: is not UTF-8 (byte {error.start}); save it as UTF-8, uncompressed"
        ) from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        asked = "" if where else f"; {_ASKED}"
        raise ConfigurationError(
            f"{file} line {number}: {where + ': ' if where else ''}{fault['msg']}{asked}"
        ) from error


def clean_answers(answers: list[Answer], agreed: Federation) -> tuple[list[Answer], dict[str, int]]:
    """The answers as the federation's policy wants them, and how many it drops for which reason."""
    kept: list[Answer] = []
    dropped: dict[str, int] = {}
    for answer in answers:
        generation = Generation(answer.prompt_id, answer.sample, answer.text, answer.finish_reason)
        cleaned = clean(generation, agreed.answers, max_chars=agreed.max_answer_chars)
        if isinstance(cleaned, Dropped):
            dropped[cleaned.value] = dropped.get(cleaned.value, 0) + 1
        else:
            kept.append(cleaned.model_copy(update={"usage": answer.usage}))
    return kept, dropped

"""`consensus join`: take part in a federation."""

import logging
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from client_kit import wiring
from client_kit._quiet import quiet_libraries
from client_kit.cli.lost import show_lost
from client_kit.command_line import JsonOption, errors, note, print_json, say
from client_kit.errors import ConfigurationError
from client_kit.federation.approval import Preview, summary
from client_kit.federation.joining import Estimate, estimate_round, take_part
from client_kit.federation.progress import Progress, Step, print_record
from client_kit.generation.losses import lost_in_words
from client_kit.settings import ParticipantSettings, SpendingSettings
from client_kit.settings_files import load_settings

SettingsArgument = Annotated[Path, typer.Argument(help="YAML file; its fields: consensus schema participant.")]
LimitOption = Annotated[
    float | None, typer.Option(min=0, help="Highest cost of answers, in place of the file's spending.limit.")
]
LimitTokensOption = Annotated[
    int | None, typer.Option(min=1, help="Most tokens, in place of the file's spending.limit_tokens.")
]
EstimateOption = Annotated[
    bool, typer.Option("--estimate", help="Print the most that a round's answers can cost, and generate none.")
]


def join(
    settings: SettingsArgument,
    limit: LimitOption = None,
    limit_tokens: LimitTokensOption = None,
    estimate: EstimateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train, answer, submit, fetch and train again, for all rounds of a federation.

    Interrupted or killed, the same command goes on where it was.

    Example: consensus join participant.yaml --limit 5
    """
    chosen = limited(participant_settings(settings), limit, limit_tokens)
    if estimate:
        show_estimate(estimate_round(chosen), as_json=as_json)
        return
    quiet_libraries()
    if as_json:
        # Library warnings belong to the log (standard error), never among the records.
        logging.captureWarnings(capture=True)
        take_part(chosen, wiring, print_record)
        return
    with bars() as shown:
        ask = partial(ask_on_terminal, shown) if on_terminal() else None
        checkpoint = take_part(chosen, wiring, Screen(shown), ask)
    say(f"Done. The last checkpoint: {checkpoint}" if checkpoint else f"Done. Pseudo-labels to train on: {chosen.work}")


def on_terminal() -> bool:
    """Whether a person can be asked here."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_on_terminal(bars: Bars, asked: Preview) -> bool | None:
    """Ask who sits there whether answers may leave; None leaves it to `consensus approve`."""
    bars.stop()
    try:
        note(summary(asked))
        said = typer.prompt("Send them? (yes, refuse, later)", default="later", err=True)
    finally:
        bars.start()
    return {"yes": True, "refuse": False}.get(said.strip().lower())


def participant_settings(file: Path) -> ParticipantSettings:
    """The settings of a file. Raises ConfigurationError that names file, line and field of every fault."""
    return load_settings(file, ParticipantSettings, fields_told_by="consensus schema participant")


def limited(settings: ParticipantSettings, money: float | None, tokens: int | None) -> ParticipantSettings:
    """The settings with the command line's limits, checked like the file's."""
    given = {name: value for name, value in (("limit", money), ("limit_tokens", tokens)) if value is not None}
    try:
        spending = SpendingSettings.model_validate(settings.spending.model_dump() | given)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"spending, with the limits of the command line: {said}") from error
    return settings.model_copy(update={"spending": spending})


def show_estimate(found: Estimate, *, as_json: bool) -> None:
    """What a round takes at most."""
    if as_json:
        print_json(asdict(found))
        return
    price = f", {found.money:.4g} {found.currency}" if found.money else ""
    say(
        f"A round: {found.prompts} prompts, {found.samples} answers to each. At most {found.tokens.prompt:,} tokens read "
        f"and {found.tokens.completion:,} written{price}."
    )


def bars() -> Bars:
    """Where progress is shown."""
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    )


class Screen:
    """Shows steps to a person: a line for what is done, a bar for answers that are being generated."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._answering: TaskID | None = None

    def __call__(self, progress: Progress) -> None:
        """Show one step."""
        if progress.step is Step.ANSWERING:
            if self._answering is None:
                self._answering = self._bars.add_task(f"Round {progress.round}: answering", total=progress.total)
            self._bars.update(self._answering, completed=progress.done)
            return
        if self._answering is not None:
            self._bars.remove_task(self._answering)
            self._answering = None
        line = describe(replace(progress, lost={}))  # the table names more
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        show_lost(progress.lost, self._bars.console)


def describe(progress: Progress) -> str:
    """One step as a line."""
    training = f"Training {progress.round}" if progress.round else "Training"
    number, counted = progress.round, f"{progress.done} of {progress.total}"
    details = ", ".join(filter(None, [lost_in_words(progress.lost), progress.detail]))
    lines = {
        Step.STARTED: f"{progress.participant} takes part in {progress.detail}",
        Step.QUEUED: "waits for a free compute slot",
        Step.TRAINING: f"{training}: {f'{progress.total} steps on ' if progress.total else ''}{progress.detail}",
        Step.TRAINED: f"{training} done in {progress.seconds:.0f} s"
        + (f", {progress.detail}" if progress.detail else ""),
        Step.RETURNED: f"{training} discarded: {progress.detail}",
        Step.EVALUATED: f"Evaluated after training {number}: {progress.detail}",
        Step.ANSWERING: f"Round {number}: {counted} answers",
        Step.LEFT_OUT: f"Round {number}: left out, {progress.detail}",
        Step.ALARM: f"Round {number}: warning, {progress.detail}",
        Step.SUBMITTED: f"Round {number}: {progress.done} answers submitted and sealed"
        + (f" ({details})" if details else ""),
        Step.CARRIED: f"Round {number}: nothing has changed, {progress.detail}",
        Step.WAITING: f"Round {number}: waits {progress.detail}",
        Step.AGGREGATING: f"Round {number}: {progress.detail} {counted}",
        Step.LABELLED: f"Round {number}: pseudo-labels for {counted} prompts"
        + (f"; without: {progress.detail}" if progress.detail else ""),
        Step.MISSED: f"Round {number} missed, {progress.detail}",
        Step.RUNNING: f"runs {progress.detail}",
        Step.RAN: f"{progress.detail} in {progress.seconds:.0f} s",
        Step.FINISHED: "Done",
    }
    return lines[progress.step]

"""What a participant brings along, its model, its private data and how they are used; and how settings become that."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from client_kit.errors import ContextTooLong, PromptRefused
from client_kit.exports import export_labels, write_whole
from client_kit.federation.screening import Screen
from client_kit.federation.slots import slot
from client_kit.generation.base import Generation, Generator, GeneratorSource, Sampling
from client_kit.input_files import id_in, read_rows
from client_kit.pii import open_detector
from client_kit.settings import (
    ApprovedSettings,
    CollapseSettings,
    GeneratorSettings,
    MixingSettings,
    NoTrainerSettings,
    ParticipantSettings,
    SpendingSettings,
    TrainerSettings,
    TransformersSettings,
    VLLMServerSettings,
    VLLMSettings,
)
from client_kit.training.base import Example, Trainer
from client_kit.training.dataset import load_examples, split
from client_kit.wire import Prompt, PseudoLabel

_LOCAL = (TransformersSettings, VLLMSettings, VLLMServerSettings)
"""Generators whose model lies on this machine."""

Evaluate = Callable[[int, Generator], Mapping[str, Any]]
"""(trainings so far, the model) -> JSON values that are journalled and shown."""

Export = Callable[[Sequence[PseudoLabel], Sequence[Prompt], Path], None]
"""Writes pseudo-labels for a trainer outside of the kit: (labels, public prompts, folder of the round)."""

Compute = Callable[[Callable[[], None]], AbstractContextManager[object]]
"""Holds the right to compute while its block runs; calls its argument when it has to wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A participant's model and data."""

    open_generator: Callable[[Path | None], Generator]
    """The model as an inference API; the argument is the newest checkpoint, None where nothing is trained here."""
    sampling: Sampling = field(default_factory=Sampling)
    spending: SpendingSettings = field(default_factory=SpendingSettings)
    """Prices of the model's tokens, for what is shown."""
    training_rights: bool = False
    """The site states that others may train on its answers."""
    base: Path | None = None
    """Model that the first training starts from."""
    trainer: Trainer | None = None
    """None: a site that is only an API, whose provider trains on what `export` writes."""
    private: Sequence[Example] = ()
    validation: Sequence[Example] = ()
    """Private examples that nothing is learned from."""
    return_margin: float | None = None
    """A training whose loss on them is above the lowest so far by more than this share is discarded; None: none is."""
    witness: bool = False
    """Whether the model that answers is never taught labels, and a student made from it is what the site uses. Needs a trainer
    that can do a run in portions (`client_kit.training.base.RunTrainer`)."""
    finish_witness: bool = False
    """Whether the witness trains on after a round, and answers anew, as long as that lowers its validation loss."""
    trained_on_exports: bool = False
    """Whether who runs the model trains it on what `export` writes before it answers in the next round."""
    preferences: bool = False
    """Whether the trainer learns from own answers that lie outside the dominant cluster."""
    mixing: MixingSettings = field(default_factory=MixingSettings)
    steps: Callable[[int], int] = lambda _: 1
    """Optimiser steps of training 1, 2, ..."""
    seed: int = 0
    collapse: CollapseSettings = field(default_factory=CollapseSettings)
    known_answers: Mapping[str, str] = field(default_factory=dict)
    """Right answers to public prompts, where the site knows them, by prompt."""
    evaluate: Evaluate | None = None
    export: Export | None = None
    compute: Compute = lambda _: nullcontext()
    screen: Screen | None = None
    """Looks through answers for personal data."""
    approve: bool = False
    """Whether each round waits for a person at the site."""
    approved: ApprovedSettings | None = None
    """Digests of what the server must present; None: what a file of the work folder says."""
    server: str = ""
    """Where answers go, for the person who approves them."""


class Openers(Protocol):
    """From names in the settings to implementations: `client_kit.wiring` is one."""

    def open_source(
        self,
        settings: GeneratorSettings,
        *,
        work: Path,
        spending: SpendingSettings | None = None,
        threads: int | None = None,
    ) -> GeneratorSource: ...

    def open_trainer(self, settings: TrainerSettings, *, threads: int | None = None) -> Trainer | None: ...


def open_site(settings: ParticipantSettings, openers: Openers, source: GeneratorSource) -> Site:
    """Model, data and habits of a participant. Reads the private data; loads no model yet."""
    trainer = settings.trainer
    private, validation = _private(settings)
    return Site(
        open_generator=source.open,
        trainer=openers.open_trainer(trainer, threads=settings.threads),
        training_rights=settings.training_rights,
        base=_base(settings),
        private=private,
        validation=validation,
        return_margin=settings.validation.return_margin,
        sampling=Sampling(**settings.sampling.model_dump()),
        spending=settings.spending,
        witness=settings.has_witness,
        finish_witness=settings.finish_witness,
        trained_on_exports=isinstance(trainer, NoTrainerSettings) and trainer.trained_on_exports,
        preferences=trainer.kind == "dpo",
        mixing=settings.mixing,
        steps=(lambda _: 0) if isinstance(trainer, NoTrainerSettings) else trainer.steps_of,
        seed=settings.seed,
        collapse=settings.collapse,
        known_answers={} if settings.collapse.gold is None else read_known_answers(settings.collapse.gold),
        evaluate=_evaluation(settings),
        export=_export(trainer),
        compute=_compute(settings),
        screen=_screen(settings),
        approve=settings.approve,
        approved=settings.approved,
        server=settings.server,
    )


def _base(settings: ParticipantSettings) -> Path | None:
    """The model that training starts from."""
    return Path(settings.generator.model) if isinstance(settings.generator, _LOCAL) else None


def _private(settings: ParticipantSettings) -> tuple[list[Example], list[Example]]:
    """(what is trained on, what is held out)."""
    if settings.private is None:
        return [], []
    return split(load_examples(settings.private), settings.validation.share)


def read_known_answers(file: Path) -> dict[str, str]:
    """Right answers by prompt. Raises FaultyFile that names the line."""
    return dict(read_rows(file, lambda row: (id_in(row, "prompt_id"), id_in(row, "answer"))))


def _screen(settings: ParticipantSettings) -> Screen | None:
    pii = settings.pii
    return None if pii is None else Screen(open_detector(pii.find, pii.language), pii.action)


def _compute(settings: ParticipantSettings) -> Callable[[Callable[[], None]], AbstractContextManager[object]]:
    if settings.slots is None:
        return lambda _: nullcontext()
    folder, count = settings.slots.folder, settings.slots.count
    return lambda waiting: slot(folder, count, waiting=waiting)


def _export(trainer: TrainerSettings) -> Export | None:
    """Pseudo-labels as files, for a site whose model is trained by somebody else."""
    if not isinstance(trainer, NoTrainerSettings):
        return None
    form, suffix = trainer.export, "json" if trainer.export == "alpaca" else "jsonl"

    def export(labels: Sequence[PseudoLabel], prompts: Sequence[Prompt], folder: Path) -> None:
        if any(label.text is not None for label in labels):
            export_labels(folder / f"labels.{form}.{suffix}", prompts, labels, format=form)

    return export


def _evaluation(settings: ParticipantSettings) -> Evaluate | None:
    """Answers to the site's own questions, written to its work folder and sent nowhere."""
    if settings.evaluation is None:
        return None
    questions = read_questions(settings.evaluation)
    greedy = Sampling(max_tokens=settings.sampling.max_tokens, stop=settings.sampling.stop)

    def evaluate(stage: int, generator: Generator) -> Mapping[str, Any]:
        file = evaluation_file(settings.work, stage)
        answers, left_out = _answered(generator, questions, greedy)
        rows = sorted((asdict(answer) for answer in answers), key=lambda row: row["prompt_id"])
        write_whole(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        lost = {"left_out": len(left_out)} if left_out else {}
        return {"answers": len(rows), **lost, "file": str(file.relative_to(settings.work))}

    return evaluate


def _answered(
    generator: Generator, questions: Sequence[Prompt], sampling: Sampling
) -> tuple[list[Generation], set[str | None]]:
    """The answers, and the questions that the model cannot be asked."""
    answers, left_out = list[Generation](), set[str | None]()
    while True:
        done = left_out | {answer.prompt_id for answer in answers}
        try:
            answers.extend(generator.generate([each for each in questions if each.prompt_id not in done], sampling))
        except (ContextTooLong, PromptRefused) as error:
            left_out.add(error.prompt_id)
        else:
            return answers, left_out


def evaluation_file(work: Path, stage: int) -> Path:
    """Where the answers to the site's own questions after training `stage` lie; 0 is before any."""
    return work / "evaluation" / f"training-{stage:03}.jsonl"


def read_questions(file: Path) -> list[Prompt]:
    """Questions of a JSONL file. Raises FaultyFile that names the line."""
    return read_rows(file, lambda row: Prompt.model_validate({**row, "prompt_id": id_in(row, "prompt_id")}))

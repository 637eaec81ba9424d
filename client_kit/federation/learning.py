"""How one site's models learn: their trainings, the checkpoints between them, and the return from a bad one."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from client_kit.client import ConsensusClient
from client_kit.errors import ConfigurationError
from client_kit.federation.journal import Journal
from client_kit.federation.models import STUDENT, WITNESS, Models
from client_kit.federation.progress import Step
from client_kit.federation.site import Site
from client_kit.settings import MixingSettings
from client_kit.training.base import Example, Trainer, TrainingReport, TrainingRun, in_portions
from client_kit.training.dataset import Taught, mix
from client_kit.wire import Answer, PrivacyStatement, Prompt, PromptExplanation, PseudoLabel

Tell = Callable[..., None]
"""(step, stage, done=, total=, detail=, seconds=) -> None."""

FALLS = 0.01
"""Least share by which the validation loss falls in a training after which the witness is not finished."""

_RUN_CHARS = 12
"""Hexadecimal digits of a digest that name a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One training before it is done."""

    stage: int
    role: str | None = None
    start: Path
    examples: Sequence[Example]
    steps: int
    """Of a student: since its run began."""
    seed: int
    noted: Mapping[str, str | int]
    """What the journal notes beside the report: `labels`, the round of those among the examples, 0 for none; `role`; and what
    tells later whether anything has changed."""
    run: str | None = None
    """Names what a student's run depends on: where it is the same, the student goes on."""
    must_help: bool = False
    """Whether the model is kept only where the training made the validation loss fall by `FALLS`."""
    because: str = ""
    """For people."""


class Learning:
    """The trainings of one participant, journalled so that each happens once."""

    def __init__(  # noqa: PLR0917
        self,
        site: Site,
        journal: Journal,
        work: Path,
        rounds: int,
        tell: Tell,
        computing: Callable[[int], AbstractContextManager[object]],
    ) -> None:
        self._site = site
        self._journal = journal
        self._work = work
        self._rounds = rounds
        self._tell = tell
        self._computing = computing
        self.models = Models(site, journal, work)

    def check(self) -> None:
        """Raise ConfigurationError where the site's trainer cannot do what the site wants of it."""
        if self._site.trainer is None:
            return
        if self._site.base is None:
            raise ConfigurationError("a site with a trainer needs a base model")
        if self.models.has_witness:
            in_portions(self._site.trainer)

    def train(self, stage: int, prompts: Sequence[Prompt]) -> None:
        """Training number `stage`, once. The first is on private data alone, the others on the last pseudo-labels too."""
        trainer = self._site.trainer
        if trainer is None:
            return
        if not self.models.has_witness:
            if self._journal.last("trained", stage=stage) is None:
                self._do(trainer, self._of_one_model(stage, prompts))
            return
        done = self._journal.last("trained", stage=stage, role=WITNESS if stage == 1 else STUDENT)
        if done is not None:
            return
        if self._journal.last("trained", stage=stage, role=WITNESS) is None:
            self._train_witness(trainer, stage)
        if stage > 1:
            self._do(trainer, self._of_student(stage, prompts))

    def privacy(self) -> PrivacyStatement | None:
        """What all trainings so far reveal about one record, as the ledger has it. None where one had no bound."""
        trained = list(self._journal.of("trained"))
        spent = [record["privacy"] for record in trained if record.get("privacy")]
        if not spent or len(spent) < len(trained):
            return None
        return PrivacyStatement(**{name: spent[-1][name] for name in PrivacyStatement.model_fields})

    def _train_witness(self, trainer: Trainer, stage: int) -> None:
        """First of all; later where its data has changed, or it is not finished and the site wants it to be."""
        if stage == 1:
            self._do(trainer, self._of_witness(stage, because="the witness"))
        elif self._private_changed():
            because = "the witness goes on, since the private data has changed"
            self._do(trainer, self._of_witness(stage, because=because))
        elif self._site.finish_witness and self._still_falls():
            because = "the witness goes on, since its validation loss still fell"
            self._do(trainer, self._of_witness(stage, because=because, must_help=True))

    # Which lesson is next

    def _of_one_model(self, stage: int, prompts: Sequence[Prompt]) -> Lesson:
        """The one model goes on from where it is."""
        seed = self._site.seed + stage
        number, examples = self._examples(prompts, seed)
        return Lesson(
            stage=stage, start=_there(self.models.used()), examples=examples, steps=self._site.steps(stage),
            seed=seed, noted={"labels": _taught(number, examples)},
        )  # fmt: skip

    def _of_witness(self, stage: int, *, because: str, must_help: bool = False) -> Lesson:
        """Private data alone, with the steps of a first training; from the witness so far, where there is one."""
        seed = self._site.seed + stage
        return Lesson(
            stage=stage, role=WITNESS, start=_there(self.models.answering()), steps=self._site.steps(1), seed=seed,
            examples=mixed(self._site.mixing, self._site.private, [], labels_of_round=0, seed=seed),
            noted={"role": WITNESS, "labels": 0, "private": _digest(self._site.private)}, because=because, must_help=must_help,
        )  # fmt: skip

    def _of_student(self, stage: int, prompts: Sequence[Prompt]) -> Lesson:
        """From the witness, with all steps of the trainings after the first so far, as the beginning of a run over all rounds."""
        seed = self._site.seed + 2  # of the run, whatever portions it is done in
        number, examples = self._examples(prompts, seed)
        start = _there(self.models.answering())
        run = _digest(examples, start.name, seed, self._run_steps(self._rounds + 1))[:_RUN_CHARS]
        steps = self._run_steps(stage)
        return Lesson(
            stage=stage, role=STUDENT, start=start, examples=examples, steps=steps, seed=seed, run=run,
            noted={"role": STUDENT, "labels": _taught(number, examples), "run": run, "run_steps": steps},
            because=self._why(run, number),
        )  # fmt: skip

    def _run_steps(self, stage: int) -> int:
        """Optimiser steps of trainings 2 to `stage`."""
        return sum(self._site.steps(each) for each in range(2, stage + 1))

    def _private_changed(self) -> bool:
        last = self.models.last(WITNESS)
        return last is not None and last["private"] != _digest(self._site.private)

    def _still_falls(self) -> bool:
        last = self.models.last(WITNESS)
        return last is not None and last["kept"] and _fell(last["validation"])

    def _why(self, run: str, number: int) -> str:
        """Whether the student goes on or is made anew, and why."""
        last = self.models.last(STUDENT)
        if last is None:
            return "the student is made from the witness"
        if last["run"] == run:
            return f"the student goes on from step {last['run_steps']}"
        changed = _changed(self.models.labels(last["labels"]), self.models.labels(number))
        reason = f"{changed} labels changed" if changed else "what it is made from has changed"
        return f"the student is made anew: {reason}"

    def _examples(self, prompts: Sequence[Prompt], seed: int) -> tuple[int, list[Example]]:
        """Private data and the last pseudo-labels, mixed as this site wants them, and the round of the labels."""
        texts = {prompt.prompt_id: prompt.prompt for prompt in prompts}
        number, labels = self.models.last_labels()
        own = {record["prompt_id"]: record["text"] for record in self._journal.of("outside", round=number)}
        taught = [
            Taught(texts[label.prompt_id], label.text, label.confidence, own.get(label.prompt_id))
            for label in labels
            if label.text is not None
        ]
        return number, mixed(self._site.mixing, self._site.private, taught, labels_of_round=number, seed=seed)

    # Doing it

    def _do(self, trainer: Trainer, lesson: Lesson) -> None:
        """Train, judge and journal; of the two models of a site, what was before them is removed."""
        if lesson.role == STUDENT:
            self.models.remove_runs(but=lesson.run)
        with self._computing(lesson.stage):
            because = f", {lesson.because}" if lesson.because else ""
            detail = f"{len(lesson.examples)} examples{because}"
            self._tell(Step.TRAINING, lesson.stage, total=lesson.steps, detail=detail)
            report = self._train(trainer, lesson)
        self._judge(lesson, report)
        if lesson.role is not None:
            self.models.remove_replaced()
        if lesson.role == STUDENT and lesson.steps == self._run_steps(self._rounds + 1):
            self.models.remove_runs(but=None)

    def _judge(self, lesson: Lesson, report: TrainingReport) -> None:
        """Journal and tell what a training came to, and whether its model is kept."""
        stage = lesson.stage
        lowest = min([*report.validation[:1], *self.models.kept_losses(lesson.role)], default=0.0)
        kept = self._good_enough(report, lowest) and not (lesson.must_help and not _fell(report.validation))
        self._journal.append(
            "trained", stage=stage, model=os.path.relpath(report.model, self._work), steps=report.steps,
            seconds=report.seconds, examples=report.examples, losses=list(report.losses), validation=list(report.validation),
            kept=kept, privacy=None if report.privacy is None else asdict(report.privacy), **lesson.noted,
        )  # fmt: skip
        self._tell(
            Step.TRAINED, stage, done=report.steps, total=report.steps, detail=_figures(report), seconds=report.seconds
        )
        if not kept:
            before = self.models.answering() if lesson.role == WITNESS else self.models.used()
            self._tell(Step.RETURNED, stage, detail=_why_returned(report, lowest, _there(before)))

    def _train(self, trainer: Trainer, lesson: Lesson) -> TrainingReport:
        output = self.models.output(lesson.stage, lesson.role)
        # Left by a run that was killed before it could journal it. A trainer's own checkpoints stand beside it and stay:
        # model, examples, steps and seed are the same again, so that it may go on from them.
        shutil.rmtree(output, ignore_errors=True)
        train: Callable[..., TrainingReport] = trainer.train
        if lesson.run is not None:
            run = TrainingRun(self.models.run_folder(lesson.run), self._run_steps(self._rounds + 1))
            train = partial(in_portions(trainer).train, run=run)
        validation = {"validation": self._site.validation} if self._site.validation else {}
        return train(lesson.start, lesson.examples, steps=lesson.steps, seed=lesson.seed, output=output, **validation)

    def _good_enough(self, report: TrainingReport, lowest: float) -> bool:
        """Whether the validation loss is within the margin of the lowest so far."""
        margin = self._site.return_margin
        return margin is None or not report.validation or report.validation[-1] <= lowest * (1 + margin)


def mixed(
    mixing: MixingSettings, private: Sequence[Example], taught: Sequence[Taught], *, labels_of_round: int, seed: int
) -> list[Example]:
    """The examples of a training with the pseudo-labels of round `labels_of_round`, from 1; 0 where there are none yet."""

    def now(values: float | tuple[float, ...]) -> float:
        return values[min(max(labels_of_round, 1), len(values)) - 1] if isinstance(values, tuple) else values

    return mix(
        private, taught, seed=seed,
        ratio=None if mixing.ratio is None else now(mixing.ratio),
        weight=now(mixing.weight),
        by_confidence=mixing.by_confidence,
        minimum_confidence=now(mixing.minimum_confidence),
        replay=mixing.replay,
    )  # fmt: skip


def stood_apart(
    client: ConsensusClient, number: int, label: PseudoLabel, own: Mapping[tuple[str, int], Answer]
) -> str | None:
    """The site's own answer, of the lowest sample, to the label's prompt that lies in a weaker cluster than the label.

    The server tells each participant the fate of its own answers. An answer that tied with the label's cluster, or was
    kept out of the pool, is not counted as standing apart.
    """
    if label.text is None or not any(prompt == label.prompt_id for prompt, _ in own):
        return None
    weaker = _weaker(client.explanation(number, label.prompt_id))
    return next((own[label.prompt_id, sample].text for sample in weaker if (label.prompt_id, sample) in own), None)


def _weaker(why: PromptExplanation) -> list[int]:
    """Samples of the caller's answers whose cluster has fewer of the votes than the label's, ascending."""
    shares = [cluster.share for cluster in why.label.clusters]
    return sorted(
        fate.sample
        for fate in why.answers
        if fate.admitted and fate.cluster is not None and shares[fate.cluster] < why.label.share
    )


def _figures(report: TrainingReport) -> str:
    """What a person wants to know of a training."""
    figures = [f"loss {report.losses[-1]:.3f}"] if report.losses else []
    if report.validation:
        figures.append(f"validation loss {report.validation[-1]:.3f}")
    if report.privacy is not None:
        figures.append(f"epsilon {report.privacy.epsilon:.2f} at delta {report.privacy.delta:g}")
    return ", ".join(figures)


def _why_returned(report: TrainingReport, lowest: float, used: Path) -> str:
    return f"validation loss {report.validation[-1]:.3f}, lowest so far {lowest:.3f}; goes on from {used.name}"


def _fell(losses: Sequence[float]) -> bool:
    """Whether the validation loss is lower by `FALLS` at the end of a training than at its start."""
    return bool(losses) and losses[-1] <= losses[0] * (1 - FALLS)


def _there(model: Path | None) -> Path:
    """A model to start from; `Learning.check` has seen that there is one."""
    if model is None:
        raise ConfigurationError("a site with a trainer needs a base model")
    return model


def _taught(number: int, examples: Sequence[Example]) -> int:
    """The round of the pseudo-labels among the examples; 0 where there are none."""
    return number if any(example.public for example in examples) else 0


def _changed(before: Sequence[PseudoLabel], now: Sequence[PseudoLabel]) -> int:
    """Prompts whose label has another text or another confidence, or came, or went."""
    one, other = ({label.prompt_id: (label.text, label.confidence) for label in labels} for labels in (before, now))
    return sum(one.get(prompt) != other.get(prompt) for prompt in one.keys() | other.keys())


def _digest(examples: Sequence[Example], *asked: str | int) -> str:
    """Of what a training depends on."""
    rows = [asdict(example) for example in examples]
    return hashlib.sha256(json.dumps([rows, asked]).encode()).hexdigest()

"""How one site's model learns: its trainings, the checkpoints between them, and the return from a bad one."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from client_kit.client import ConsensusClient
from client_kit.errors import ConfigurationError
from client_kit.federation.journal import Journal, Record
from client_kit.federation.progress import Step
from client_kit.federation.site import Site
from client_kit.settings import MixingSettings
from client_kit.training.base import Example, Trainer, TrainingReport
from client_kit.training.dataset import Taught, mix
from client_kit.wire import Answer, PrivacyStatement, Prompt, PromptExplanation, PseudoLabel

Tell = Callable[..., None]
"""(step, stage, done=, total=, detail=, seconds=) -> None."""


class Learning:
    """The trainings of one participant, journalled so that each happens once."""

    def __init__(
        self,
        site: Site,
        journal: Journal,
        work: Path,
        tell: Tell,
        computing: Callable[[int], AbstractContextManager[object]],
    ) -> None:
        self._site = site
        self._journal = journal
        self._work = work
        self._tell = tell
        self._computing = computing

    def train(self, stage: int, prompts: Sequence[Prompt]) -> None:
        """Training number `stage`: from the checkpoint, on private data and the last pseudo-labels. Once."""
        if self._site.trainer is None or self._journal.last("trained", stage=stage) is not None:
            return
        start = self.checkpoint()
        if start is None:
            raise ConfigurationError("a site with a trainer needs a base model")
        examples = self._examples(stage, prompts)
        with self._computing(stage):
            self._tell(Step.TRAINING, stage, total=self._site.steps(stage), detail=f"{len(examples)} examples")
            report = self._train_from(self._site.trainer, start, examples, stage)
        kept = self._good_enough(report)
        self._journal.append(
            "trained", stage=stage, model=os.path.relpath(report.model, self._work), steps=report.steps, seconds=report.seconds,
            examples=report.examples, losses=list(report.losses), validation=list(report.validation), kept=kept,
            privacy=None if report.privacy is None else asdict(report.privacy),
        )  # fmt: skip
        self._tell(
            Step.TRAINED, stage, done=report.steps, total=report.steps, detail=_figures(report), seconds=report.seconds
        )
        if not kept:
            self._tell(Step.RETURNED, stage, detail=self._why_returned(report, start))

    def checkpoint(self) -> Path | None:
        """The newest model that was kept; the base model before any. None for a site that trains nothing."""
        kept = [record for record in self._journal.of("trained") if record.get("kept", True)]
        return self._work / kept[-1]["model"] if kept else self._site.base

    def privacy(self) -> PrivacyStatement | None:
        """What all trainings so far reveal about one record, as the ledger has it. None where one had no bound."""
        trained = list(self._journal.of("trained"))
        spent = [record["privacy"] for record in trained if record.get("privacy")]
        if not spent or len(spent) < len(trained):
            return None
        return PrivacyStatement(**{name: spent[-1][name] for name in PrivacyStatement.model_fields})

    def last_labels(self) -> tuple[int, list[PseudoLabel]]:
        """The newest pseudo-labels and their round; round 0 where there are none yet."""
        labelled = self._journal.last("labelled")
        if labelled is None:
            return 0, []
        path = round_folder(self._work, labelled["round"]) / "pseudo_labels.jsonl"
        return labelled["round"], [PseudoLabel.model_validate_json(line) for line in path.read_bytes().splitlines()]

    def _train_from(self, trainer: Trainer, start: Path, examples: Sequence[Example], stage: int) -> TrainingReport:
        output = self._work / f"training-{stage:03}"
        # Left by a run that was killed before it could journal it. A trainer's own checkpoints stand beside it and stay:
        # model, examples, steps and seed are the same again, so that it may go on from them.
        shutil.rmtree(output, ignore_errors=True)
        validation = {"validation": self._site.validation} if self._site.validation else {}
        return trainer.train(
            start, examples, steps=self._site.steps(stage), seed=self._site.seed + stage, output=output, **validation
        )

    def _examples(self, stage: int, prompts: Sequence[Prompt]) -> list[Example]:
        """Private data and the last pseudo-labels, mixed as this site wants them."""
        texts = {prompt.prompt_id: prompt.prompt for prompt in prompts}
        number, labels = self.last_labels()
        own = {record["prompt_id"]: record["text"] for record in self._journal.of("outside", round=number)}
        taught = [
            Taught(texts[label.prompt_id], label.text, label.confidence, own.get(label.prompt_id))
            for label in labels
            if label.text is not None
        ]
        return mixed(
            self._site.mixing, self._site.private, taught, labels_of_round=number, seed=self._site.seed + stage
        )

    def _good_enough(self, report: TrainingReport) -> bool:
        """Whether the validation loss is within the margin of the lowest so far."""
        margin = self._site.return_margin
        return margin is None or not report.validation or report.validation[-1] <= self._lowest(report) * (1 + margin)

    def _lowest(self, report: TrainingReport) -> float:
        earlier: list[Record] = [record for record in self._journal.of("trained") if record.get("kept", True)]
        reached = [
            float(loss)
            for record in earlier
            if record["validation"]
            for loss in (record["validation"][0], record["validation"][-1])
        ]
        return min([report.validation[0], *reached])

    def _why_returned(self, report: TrainingReport, start: Path) -> str:
        return (
            f"validation loss {report.validation[-1]:.3f}, lowest so far {self._lowest(report):.3f}; "
            f"goes on from {start.name}"
        )


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


def round_folder(work: Path, number: int) -> Path:
    """Where what belongs to a round lies."""
    return work / f"round-{number:03}"


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

"""Direct preference optimisation from consensus (DPO: Rafailov et al., arXiv 2305.18290), after supervised training.

The pseudo-label is chosen, the participant's own answer rejected where the round put it into a weaker cluster. DPO alone
makes a model prefer, not know: so every training is first supervised on private data and pseudo-labels, then on pairs.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from client_kit._quiet import without_progress_bars
from client_kit.errors import ConfigurationError
from client_kit.training.base import Example, TrainingReport
from client_kit.training.checkpoints import checkpoint_folder, job_digest
from client_kit.training.launching import perform
from client_kit.training.running import threads, usable
from client_kit.training.sft import logs_of, prepare
from client_kit.training.sft_settings import SFTSettings
from client_kit.training.task import Outcome, Task


@dataclass(frozen=True, slots=True)
class DPOSettings:
    """How to train, first on completions, then on preferences."""

    supervised: SFTSettings = field(default_factory=SFTSettings)
    """Of both parts; early stopping is for the first."""
    beta: float = 0.1
    """How strongly the model is held to what it was before the preferences; above 0."""
    preference_steps: int = 50
    """Optimiser steps on pairs, in a training that has any."""
    preference_learning_rate: float = 5e-6

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        for name in ("beta", "preference_steps", "preference_learning_rate"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0")


class DPOFineTuner:
    """Trains with TRL's SFTTrainer, then with its DPOTrainer on the examples that have a rejected answer.

    Equal pairs count once, and weights do not count for pairs: a pair says which is better, not how sure that is.
    Without a pair, as before the first round, training is supervised only. A new adapter is made by the first part and
    trained on by the second.
    """

    def __init__(self, settings: DPOSettings | None = None) -> None:
        self.settings = settings or DPOSettings()

    def train(
        self,
        model: Path,
        examples: Sequence[Example],
        *,
        steps: int,
        seed: int,
        output: Path,
        validation: Sequence[Example] = (),
    ) -> TrainingReport:
        """Train for `steps` on all examples, then for `preference_steps` on pairs; write the result to `output`.

        `output` appears whole or not at all; killed, the same call goes on from the last checkpoint of its part. The
        report's losses are those of the first part, then those of the second. Raises TrainingError.
        """
        used = usable(examples)
        common = self.settings.supervised
        folder = prepare(model, common, steps, output)
        started = time.monotonic()
        job = job_digest(folder, used, validation, settings=asdict(self.settings), steps=steps, seed=seed)
        with without_progress_bars(datasets=True), threads(common.threads), checkpoint_folder(output, job) as at:
            plan = Task(folder, used, tuple(validation), common, steps, seed, at, output, logs_of(output))
            done = self._perform(plan)
        return TrainingReport(
            output, done.steps, len(used), time.monotonic() - started, done.losses, validation=done.validation,
            trainable=done.trainable,
        )  # fmt: skip

    def _perform(self, plan: Task) -> Outcome:
        pairs = _pairs(plan.examples)
        if not pairs:
            return perform(plan)
        first = _once(replace(plan, output=plan.checkpoints / "supervised", checkpoints=_folder(plan, "first")))
        second = perform(self._on_pairs(plan, pairs))
        return Outcome(
            first.steps + second.steps, first.losses + second.losses, first.validation + second.validation[-1:],
            second.trainable,
        )  # fmt: skip

    def _on_pairs(self, plan: Task, pairs: tuple[Example, ...]) -> Task:
        gentle = replace(
            self.settings.supervised,
            learning_rate=self.settings.preference_learning_rate,
            checkpoint_steps=plan.settings.checkpoint_steps or plan.settings.evaluate_steps,
            evaluate_steps=None,
            patience=None,
        )
        return replace(
            plan,
            model=plan.checkpoints / "supervised",
            examples=pairs,
            settings=gentle,
            steps=self.settings.preference_steps,
            checkpoints=_folder(plan, "second"),
            beta=self.settings.beta,
        )


def _once(task: Task) -> Outcome:
    """Perform the task unless its output is there: a run that was killed later had come so far."""
    kept = task.output.with_suffix(".json")
    if task.output.is_dir() and kept.is_file():
        return Outcome.from_json(kept.read_text(encoding="utf-8"))
    outcome = perform(task)
    kept.write_text(outcome.to_json(), encoding="utf-8")
    return outcome


def _folder(plan: Task, name: str) -> Path:
    folder = plan.checkpoints / name
    folder.mkdir(exist_ok=True)
    return folder


def _pairs(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The distinct examples with a rejected answer that differs from the completion."""
    found = {(e.prompt, e.completion, e.rejected): e for e in examples if e.rejected not in {None, "", e.completion}}
    return tuple(found.values())

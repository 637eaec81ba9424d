"""Direct preference optimisation from consensus (DPO: Rafailov et al., arXiv 2305.18290), after supervised training.

The pseudo-label is chosen, the participant's own answer rejected where the round put it into a weaker cluster. DPO alone
makes a model prefer, not know: so every training is first supervised on private data and pseudo-labels, then on pairs.
"""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from client_kit._quiet import without_progress_bars
from client_kit.settings import DpoSettings
from client_kit.training.base import Example, TrainingReport, TrainingRun
from client_kit.training.checkpoints import checkpoint_folder, job_digest
from client_kit.training.checks import prepare, usable
from client_kit.training.measuring import encode_all
from client_kit.training.models import load_model, load_tokenizer, new_adapter
from client_kit.training.processes import perform, perform_once, take_part
from client_kit.training.running import Task, Trained, arguments, callbacks, logs_of, run, threads
from client_kit.training.sft import train_supervised


class DPOFineTuner:
    """Trains with TRL's SFTTrainer, then with its DPOTrainer on the examples that have a rejected answer.

    Equal pairs count once, and weights do not count for pairs: a pair says which is better, not how sure that is.
    Without a pair, as before the first round, training is supervised only. A new adapter is made by the first part and
    trained on by the second. Early stopping is for the first part.

    Of a run in portions the first part is one; the second is done anew after each portion, with all of its steps, from what
    the first has come to. So the result does not depend on the portions.
    """

    def __init__(self, settings: DpoSettings, *, threads: int | None = None) -> None:
        """threads: of the CPU; None leaves torch's choice."""
        self.settings = settings
        self.threads = threads

    def train(
        self,
        model: Path,
        examples: Sequence[Example],
        *,
        steps: int,
        seed: int,
        output: Path,
        validation: Sequence[Example] = (),
        run: TrainingRun | None = None,
    ) -> TrainingReport:
        """Train for `steps` on all examples, then for `preference_steps` on pairs; write the result to `output`.

        `output` appears whole or not at all; killed, the same call goes on from the last checkpoint of its part. The
        report's losses are those of the first part, then those of the second. Raises TrainingError.
        """
        used = usable(examples)
        folder = prepare(model, self.settings, steps, output)
        started = time.monotonic()
        settings = self.settings.model_dump(mode="json")
        of = None if run is None else run.of
        job = job_digest(folder, used, validation, settings=settings, steps=of or steps, seed=seed)
        with without_progress_bars(datasets=True), threads(self.threads), checkpoint_folder(output, job, run) as at:
            task = Task(
                folder, used, tuple(validation), self.settings, steps, seed, at, output, logs_of(output), self.threads,
                of=of,
            )  # fmt: skip
            done = _in_two_parts(task, self.settings)
        return TrainingReport(
            output, done.steps, len(used), time.monotonic() - started, done.losses, validation=done.validation,
            trainable=done.trainable,
        )  # fmt: skip


def _in_two_parts(task: Task, settings: DpoSettings) -> Trained:
    pairs = _pairs(task.examples)
    if not pairs:
        return perform(task, train_supervised)
    between = task.checkpoints / f"supervised-{task.steps}"
    first = perform_once(replace(task, output=between, checkpoints=_folder(task, "first")), train_supervised)
    gentle = settings.model_copy(
        update={
            "learning_rate": settings.preference_learning_rate,
            "checkpoint_steps": settings.checkpoint_steps or settings.evaluate_steps,
            "evaluate_steps": None,
            "patience": None,
        }
    )
    on_pairs = replace(
        task, model=between, examples=pairs, settings=gentle, steps=settings.preference_steps, of=None,
        checkpoints=_folder(task, f"second-{task.steps}"),
    )  # fmt: skip
    second = perform(on_pairs, train_preferences)
    for folder in (between, on_pairs.checkpoints):  # a run goes on from the first part's checkpoint alone
        shutil.rmtree(folder)
    return Trained(
        first.steps + second.steps, first.losses + second.losses, first.validation + second.validation[-1:],
        second.trainable,
    )  # fmt: skip


def _folder(task: Task, name: str) -> Path:
    folder = task.checkpoints / name
    folder.mkdir(exist_ok=True)
    return folder


def _pairs(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The distinct examples with a rejected answer that differs from the completion."""
    found = {(e.prompt, e.completion, e.rejected): e for e in examples if e.rejected not in {None, "", e.completion}}
    return tuple(found.values())


def train_preferences(task: Task) -> Trained:
    """Make completions likelier than what they are preferred to, in this process. Raises TrainingError.

    What is held fast to is the model that training begins from: under an adapter its base, or a copy of an adapter that
    is there already; under full training the model with its log-probabilities computed beforehand, so that no second
    copy lies in memory.
    """
    from datasets import Dataset  # noqa: PLC0415 - here and below: heavy
    from transformers import PrinterCallback, set_seed  # noqa: PLC0415
    from trl import DPOConfig  # noqa: PLC0415

    from client_kit.training.paired import PreparedDPOTrainer  # noqa: PLC0415

    settings = cast("DpoSettings", task.settings)
    set_seed(task.seed)
    tokenizer = load_tokenizer(task.model)
    adapter = new_adapter(settings, task.model)
    pairs = pair_rows(tokenizer, task.examples, settings.max_length)
    trainer = PreparedDPOTrainer(
        model=load_model(task.model, settings),
        args=DPOConfig(**arguments(task), beta=settings.beta, precompute_ref_log_probs=adapter is None),
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks(task),
    )
    trainer.remove_callback(PrinterCallback)  # it prints every logged loss; the report has them
    return run(trainer, task)


def pair_rows(tokenizer: Any, examples: Sequence[Example], max_length: int | None) -> list[dict[str, Any]]:  # noqa: ANN401 - transformers' zoo
    """Rows as TRL has them once it has prepared them: TRL's own preparation loses the end of prompts (see `encode`)."""
    sides = [replace(example, completion=example.rejected or "") for example in examples]
    both = zip(encode_all(tokenizer, examples, None), encode_all(tokenizer, sides, None), strict=True)
    return [
        {
            "prompt_ids": list(chosen.ids[: chosen.start]),
            "chosen_ids": list(chosen.ids[chosen.start :]),
            "rejected_ids": list(rejected.ids[rejected.start :]),
        }
        for chosen, rejected in both
        if max_length is None or chosen.start < max_length
    ]


if __name__ == "__main__":
    take_part(train_preferences, Path(sys.argv[1]))

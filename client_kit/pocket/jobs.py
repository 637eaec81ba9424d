"""What the demonstration runs as processes of their own: pretraining a base model, and training without a federation.

    python -m client_kit.pocket.jobs JOB.json

Progress goes to standard output, one record a line; the result is written to the job's `result`, whole or not at all.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from time import monotonic
from typing import Literal

from pydantic import BaseModel, ConfigDict

from client_kit.exports import write_whole
from client_kit.federation.progress import Progress, Step, print_record
from client_kit.federation.slots import slot
from client_kit.generation.base import Generation, Sampling
from client_kit.pocket.models import base_model
from client_kit.pocket.public import questions
from client_kit.pocket.results import GroupScore, LocalOnly, Scores
from client_kit.pocket.scoring import score
from client_kit.pocket.settings import FULL, SMOKE, PocketSettings
from client_kit.pocket.world import Use
from client_kit.wire import Prompt

Form = Literal["full", "smoke"]
FORMS: dict[Form, PocketSettings] = {"full": FULL, "smoke": SMOKE}
BATCH = 64
"""Answers generated at once: the models are tiny."""


class Job(BaseModel):
    """One process of the demonstration, for one participant."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["base", "local-only"]
    form: Form
    participant: int
    seed: int
    cache: Path | None
    """Folder of cached base models; the user's when not set."""
    slots: Path
    slot_count: int
    work: Path
    """Folder for checkpoints."""
    result: Path
    """File to write: the base model's folder as text, or `LocalOnly` as JSON."""

    @property
    def settings(self) -> PocketSettings:
        """The form of the demonstration."""
        return FORMS[self.form]

    @property
    def name(self) -> str:
        """As progress is reported."""
        recipe = self.settings.models[self.participant].name
        return f"{recipe} (pretraining)" if self.kind == "base" else f"{recipe} (alone)"


Tell = Callable[[Progress], None]


def run(job: Job, tell: Tell) -> None:
    """Do the job in a compute slot of this machine."""
    if job.kind == "base":
        with _computing(job, tell):
            tell(Progress(job.name, Step.TRAINING, detail="a base model from nothing, unless cached"))
            began = monotonic()
            folder = base_of(job)
            tell(Progress(job.name, Step.TRAINED, seconds=monotonic() - began))
        write_whole(job.result, str(folder))
    else:
        write_whole(job.result, local_only(job, tell).model_dump_json())
    tell(Progress(job.name, Step.FINISHED))


def base_of(job: Job) -> Path:
    """Folder of the participant's base model; pretrained now unless it is cached."""
    recipe = job.settings.models[job.participant]
    return base_model(recipe, job.settings.world(), seed=job.seed, cache=job.cache)


def local_only(job: Job, tell: Tell) -> LocalOnly:
    """Train on private data alone for as many steps as the federation, in the same portions, from the same base."""
    began = monotonic()
    steps = [job.settings.local_steps] + [job.settings.round_steps] * job.settings.rounds
    scores, validation = zip(*_stages(job, steps, tell), strict=True)
    reached = [sum(steps[: stage + 1]) for stage in range(len(steps))]
    best = max(range(len(steps)), key=lambda stage: validation[stage]["overall"].share)
    rmtree(job.work)
    return LocalOnly(
        steps=reached, scores=list(scores), best_step=reached[best], best=scores[best], seconds=monotonic() - began
    )


def _stages(job: Job, steps: Sequence[int], tell: Tell) -> Iterator[tuple[Scores, Scores]]:
    """Scores on test and on validation questions after each portion of training."""
    from client_kit.training.sft import SFTFineTuner  # noqa: PLC0415 (with its job, not at import)

    private = job.settings.private_data(job.seed)[job.participant].examples
    model, tuner = base_of(job), SFTFineTuner(job.settings.training(), threads=1)
    rmtree(job.work, ignore_errors=True)
    for stage, count in enumerate(steps, start=1):
        with _computing(job, tell, stage):
            tell(Progress(job.name, Step.TRAINING, stage, total=count, detail="private data only"))
            examples = job.settings.mixed(private, [], job.seed + stage)
            output = job.work / f"training-{stage:03}"
            report = tuner.train(model, examples, steps=count, seed=job.seed + stage, output=output)
            model = report.model
            tell(Progress(job.name, Step.TRAINED, stage, count, count, seconds=report.seconds))
            yield _judge(job, model, Use.TEST), _judge(job, model, Use.VALIDATION)


def _judge(job: Job, model: Path, use: Use) -> Scores:
    asked = questions(job.settings.world(), use)
    return scores_of(answers(model, asked, job.settings.max_answer_tokens), job.settings, job.seed, job.participant)


def answers(model: Path, asked: Sequence[Prompt], max_tokens: int) -> list[Generation]:
    """Greedy answers of a model folder."""
    from client_kit.generation.transformers_local import TransformersGenerator  # noqa: PLC0415 (with its job)

    with closing(TransformersGenerator(model, batch_size=BATCH, device="cpu", threads=1)) as generator:
        return list(generator.generate(asked, Sampling(max_tokens=max_tokens)))


def scores_of(given: Sequence[Generation], settings: PocketSettings, seed: int, participant: int) -> Scores:
    """Scores by group, as the results have them."""
    scored = score(given, settings.world(), settings.private_data(seed), participant)
    return {name: GroupScore(**share) for name, share in asdict(scored).items()}


def _computing(job: Job, tell: Tell, stage: int = 0) -> AbstractContextManager[int]:
    return slot(job.slots, job.slot_count, waiting=lambda: tell(Progress(job.name, Step.QUEUED, stage)))


def main() -> None:
    """Run the job whose file is named on the command line."""
    run(Job.model_validate_json(Path(sys.argv[1]).read_bytes()), print_record)


if __name__ == "__main__":
    main()

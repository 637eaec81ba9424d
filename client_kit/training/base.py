"""What every trainer does: fine-tune the participant's model on prompts and completions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Protocol, cast

from client_kit.errors import ConfigurationError
from client_kit.rendering import Turns


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt and its completion; the loss is taken on the completion only."""

    prompt: str
    completion: str
    weight: float = 1.0
    """Factor on the loss of this example, 0 or more."""
    public: bool = False
    """True for what others have released (a pseudo-label): training with record-level privacy adds no noise for it."""
    rejected: str | None = None
    """An answer that the completion is preferred to; trainers of preferences read it, others do not."""
    turns: Turns = ()
    """What was said before the prompt: (role, text), the role `system`, `user` or `assistant`. No loss is taken on it."""


@dataclass(frozen=True, slots=True)
class PrivacySpent:
    """A bound on what all trainings so far reveal about one private example: (epsilon, delta)-differential privacy."""

    epsilon: float
    delta: float
    accountant: str
    """How epsilon was computed: `prv` (arXiv 2106.02848) or `rdp` (arXiv 1908.10530)."""
    noise_multiplier: float
    """Standard deviation of the noise on a sum of gradients, in units of the longest gradient."""
    sample_rate: float
    """Probability with which an example takes part in a step, 0..1."""
    steps: int
    """Noisy steps over all trainings."""


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run of a trainer that is done in portions, with pauses between them; optimiser and schedule know of none."""

    folder: Path
    """Keeps the trainer's checkpoint between portions: the weights that are trained, and two numbers of the optimiser for each."""
    of: int
    """Optimiser steps of the whole run: over them the learning rate goes down."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training run did."""

    model: Path
    """Folder of the trained model, or of the adapter."""
    steps: int
    """Optimiser steps taken, in a run in portions since its beginning: fewer than asked for where it stopped early."""
    examples: int
    seconds: float
    losses: tuple[float, ...] = field(default=())
    """Training loss as logged, oldest first; of a run in portions since its beginning."""
    validation: tuple[float, ...] = field(default=())
    """Mean negative log-likelihood per token, in nats, of the validation examples' completions: before the first step,
    at each evaluation, and of the model that was kept. Empty without validation examples."""
    privacy: PrivacySpent | None = None
    """Set by trainers with record-level privacy."""
    trainable: int | None = None
    """Numbers that training could change: all of the model's, or the adapter's. None where a trainer does not count."""


class Trainer(Protocol):
    """Fine-tunes a model folder into a new folder. The same inputs and seed give the same weights on one machine."""

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
        """Train for at most `steps` optimiser steps from `model` and write the result to `output`.

        model: a folder; or, where there is none of this relative path, a name on the model hub. validation: private
        examples that nothing is learned from; the report has the model's loss on them. `output` appears whole or not at
        all. Raises TrainingError (client_kit.errors) with cause and remedy.
        """
        ...


class RunTrainer(Trainer, Protocol):
    """A trainer that can do a run in portions, as a site with a witness needs it."""

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
        """As `Trainer.train`; with `run`, do the first `steps` of `run.of` steps, going on from what its folder keeps.

        What is kept of another model, other examples, seed or `of` is thrown away. However the steps of a run are split
        into portions, and wherever one was killed, the weights after them are the same on one machine.
        """
        ...


def in_portions(trainer: Trainer) -> RunTrainer:
    """The trainer as one that can do a run in portions. Raises ConfigurationError where it cannot."""
    if "run" not in signature(trainer.train).parameters:
        raise ConfigurationError(
            f"{type(trainer).__name__}.train takes no run: a student that goes on where its labels stand needs a trainer "
            "as client_kit.training.base.RunTrainer describes it. Give it one, or set witness: false"
        )
    return cast("RunTrainer", trainer)

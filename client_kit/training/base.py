"""What every trainer does: fine-tune the participant's model on prompts and completions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


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
class TrainingReport:
    """What a training run did."""

    model: Path
    """Folder of the trained model, or of the adapter."""
    steps: int
    """Optimiser steps taken: fewer than asked for where it stopped early."""
    examples: int
    seconds: float
    losses: tuple[float, ...] = field(default=())
    """Training loss as logged, oldest first."""
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

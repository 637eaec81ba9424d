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


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training run did."""

    model: Path
    """Folder of the trained model, or of the adapter."""
    steps: int
    examples: int
    seconds: float
    losses: tuple[float, ...] = field(default=())
    """Training loss as logged, oldest first."""


class Trainer(Protocol):
    """Fine-tunes a model folder into a new folder. The same inputs and seed give the same weights on one machine."""

    def train(self, model: Path, examples: Sequence[Example], *, steps: int, seed: int, output: Path) -> TrainingReport:
        """Train for `steps` optimiser steps from `model` and write the result to `output`.

        `output` appears whole or not at all. Raises TrainingError (client_kit.errors) with cause and remedy.
        """
        ...

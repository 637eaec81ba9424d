"""What a participant brings along: its model, its private data, and how they are used."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client_kit.generation.base import Generator, Sampling
from client_kit.generation.spending import Prices
from client_kit.training.base import Example, Trainer
from client_kit.training.collapse import Limits
from client_kit.training.dataset import Taught, mix
from client_kit.wire import Prompt, PseudoLabel

Evaluate = Callable[[int, Generator], Mapping[str, Any]]
"""(trainings so far, the model) -> JSON values that are journalled and shown."""

Export = Callable[[Sequence[PseudoLabel], Sequence[Prompt], Path], None]
"""Writes pseudo-labels for a trainer outside of the kit: (labels, public prompts, folder of the round)."""

Compute = Callable[[Callable[[], None]], AbstractContextManager[object]]
"""Holds the right to compute while its block runs; calls its argument when it has to wait for it."""

ByRound = float | tuple[float, ...]
"""One value for all rounds, or one per round, the last for all later ones: a curriculum."""


@dataclass(frozen=True, slots=True)
class Mixing:
    """How private data and pseudo-labels share a training; see `client_kit.training.dataset.mix`."""

    ratio: ByRound | None = 1.0
    """Pseudo-labelled examples drawn per private example; None takes each pseudo-label once."""
    weight: ByRound = 1.0
    by_confidence: bool = True
    minimum_confidence: ByRound = 0.0
    replay: float = 1.0
    """Share of the private examples that take part in trainings after the first."""

    def mixed(
        self, private: Sequence[Example], taught: Sequence[Taught], *, labels_of_round: int, seed: int
    ) -> list[Example]:
        """The examples of a training with the pseudo-labels of this round, from 1; 0 where there are none yet."""
        return mix(
            private, taught, seed=seed,
            ratio=None if self.ratio is None else value_of(self.ratio, labels_of_round),
            weight=value_of(self.weight, labels_of_round),
            by_confidence=self.by_confidence,
            minimum_confidence=value_of(self.minimum_confidence, labels_of_round),
            replay=self.replay,
        )  # fmt: skip


def value_of(values: ByRound, number: int) -> float:
    """The value for round `number`, from 1."""
    return values[min(max(number, 1), len(values)) - 1] if isinstance(values, tuple) else values


@dataclass(frozen=True, slots=True)
class CollapseGuard:
    """Watches the variety of a site's own answers, and the correctness of pseudo-labels where it is known."""

    limits: Limits = field(default_factory=Limits)
    stop_after: int | None = None
    """Rounds in a row with an alarm after which the site stops, before it submits; None: it only warns."""
    gold: Mapping[str, str] = field(default_factory=dict)
    """Known answers by prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A participant's model and data."""

    open_generator: Callable[[Path | None], Generator]
    """The model as an inference API; the argument is the newest checkpoint, None where nothing is trained here."""
    sampling: Sampling = field(default_factory=Sampling)
    prices: Prices = field(default_factory=Prices)
    """Of the model's tokens, for what is shown."""
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
    preferences: bool = False
    """Whether the trainer learns from own answers that lie outside the dominant cluster."""
    mixing: Mixing = field(default_factory=Mixing)
    steps: Callable[[int], int] = lambda _: 1
    """Optimiser steps of training 1, 2, ..."""
    seed: int = 0
    collapse: CollapseGuard = field(default_factory=CollapseGuard)
    evaluate: Evaluate | None = None
    export: Export | None = None
    compute: Compute = lambda _: nullcontext()

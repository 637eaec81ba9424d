"""The two forms of the pocket federation: the demonstration, and the smoke form for CI."""

from collections.abc import Sequence
from dataclasses import dataclass

from client_kit.pocket.private import PrivateData, private_data
from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.world import World, load_world
from client_kit.settings import Schedule, SftSettings
from client_kit.training.base import Example
from client_kit.training.dataset import Taught, mix


@dataclass(frozen=True, slots=True)
class PocketSettings:
    """Everything that a pocket federation is made of. Chosen on validation facts by benchmarks/pocket_federation.py."""

    topics: tuple[str, ...]
    facts_per_topic: int
    holders: int
    """Participants that hold each topic."""
    models: tuple[ModelRecipe, ...]
    """Base model of each participant."""
    rounds: int
    local_steps: int
    """Optimiser steps on private data alone, before the first round."""
    round_steps: int
    """Optimiser steps on private data and pseudo-labels, after each round."""
    learning_rate: float
    batch_size: int
    pseudo_ratio: float
    """Drawn pseudo-labelled examples per private example."""
    by_confidence: bool = True
    """Weigh a pseudo-label by its confidence."""
    schedule: Schedule = "linear"
    """Of the learning rate, within each training."""
    max_answer_tokens: int = 32

    def world(self) -> World:
        """The topics and facts of this form."""
        return load_world(self.topics, facts_per_topic=self.facts_per_topic)

    def private_data(self, seed: int) -> tuple[PrivateData, ...]:
        """The private data of every participant."""
        count = len(self.models)
        world = self.world()
        return tuple(
            private_data(world, index, seed, participants=count, holders=self.holders) for index in range(count)
        )

    def training(self) -> SftSettings:
        """How every participant fine-tunes: all weights."""
        return SftSettings(
            kind="sft",
            first_steps=self.local_steps,
            steps=self.round_steps,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            schedule=self.schedule,
            max_length=128,
            device="cpu",
        )

    def mixed(self, private: Sequence[Example], taught: Sequence[Taught], seed: int) -> list[Example]:
        """Private data and pseudo-labels in the proportion of this form."""
        return mix(private, taught, seed=seed, ratio=self.pseudo_ratio, by_confidence=self.by_confidence)


FULL = PocketSettings(
    topics=("capitals", "young", "homes", "food", "currencies", "trades"),
    facts_per_topic=24,
    holders=3,
    models=(
        ModelRecipe("llama", "llama", "byte_bpe", 1200),
        ModelRecipe("neox", "gpt_neox", "metaspace_bpe", 1000),
        ModelRecipe("qwen3", "qwen3", "wordpiece", 1200),
        ModelRecipe("gpt2", "gpt2", "byte_bpe", 900),
        ModelRecipe("llama-metaspace", "llama", "metaspace_bpe", 800),
    ),
    rounds=3,
    local_steps=150,
    round_steps=150,
    learning_rate=2e-3,
    batch_size=32,
    pseudo_ratio=2.0,
)
"""The demonstration: five participants, four architectures, three kinds of tokenizer, three rounds."""

SMOKE = PocketSettings(
    topics=("capitals", "young", "currencies", "trades"),
    facts_per_topic=12,
    holders=2,
    models=(
        ModelRecipe("llama", "llama", "byte_bpe", 600, width=96, heads=3, steps=250),
        ModelRecipe("neox", "gpt_neox", "metaspace_bpe", 600, width=96, heads=3, steps=250),
        ModelRecipe("gpt2", "gpt2", "wordpiece", 600, width=96, heads=3, steps=250),
    ),
    rounds=2,
    local_steps=100,
    round_steps=100,
    learning_rate=2e-3,
    batch_size=32,
    pseudo_ratio=2.0,
)
"""A small one for CI: three participants, two rounds."""

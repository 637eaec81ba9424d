"""The file of a comparison: what is compared, on what, how often."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from client_kit.comparison.arms import ARMS
from client_kit.wire import ConsensusPolicy

Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LearningRates(_Part):
    """Of each kind of training. A fair comparison tunes them on validation questions, each on its own."""

    full: float = 2e-3
    lora: float = 1e-2
    lora_sb: float = 1e-2
    reft: float = 1e-2


class Setting(_Part):
    """One point of the comparison; a variant changes some of its fields."""

    task: Literal["facts", "behaviour"] = "facts"
    sites: Annotated[int, Field(ge=2, le=16)] = 3
    rounds: Positive = 2
    local_steps: Positive = 100
    """Optimiser steps on private data before the first round."""
    round_steps: Positive = 100
    """Optimiser steps after each round."""
    batch_size: Positive = 32
    learning_rates: LearningRates = LearningRates()
    rank: Positive = 8
    """Of LoRA and LoReFT; HetLoRA's participants have half of it, all of it and twice."""
    mixing: Literal["none", "fixed", "adaptive"] = "adaptive"
    """How a FedReFT participant takes part of what comes back."""
    coefficient: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of fixed mixing."""
    policy: ConsensusPolicy = ConsensusPolicy()
    encoder: str = "all-MiniLM-L6-v2"
    pseudo_ratio: Annotated[float, Field(ge=0)] = 2.0
    """Pseudo-labelled examples per private example."""
    public_prompts: Positive | None = None
    """Prompts of the public set that are used; all by default."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    label_noise: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Share of the facts that a participant holds wrong."""
    holders: Positive = 2
    """Participants that hold each topic: 1 is one topic per participant, `sites` is no skew at all."""


class Plan(Setting):
    """A comparison."""

    methods: list[str] = list(ARMS)
    seeds: Annotated[list[int], Field(min_length=1)] = [0, 1, 2]
    """Each draws base models, private data and training anew."""
    variants: dict[str, dict[str, Any]] = {}
    """Ablations by name: the fields of the setting that differ, and `methods` where only some are run."""
    margin: Annotated[float, Field(ge=0)] = 0.05
    """How much worse consensus may be than the best method that shares parameters and still count as not inferior,
    in quality on private questions (0..1). Stated before the runs."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, methods in {"methods": self.methods, **self._variant_methods()}.items():
            if unknown := [method for method in methods if method not in ARMS]:
                raise ValueError(f"{name}: there is no {unknown[0]!r}; known are {', '.join(ARMS)}")
        for name in self.variants:
            self.setting(name)
        return self

    def _variant_methods(self) -> dict[str, list[str]]:
        return {f"variants.{name}": list(change.get("methods", [])) for name, change in self.variants.items()}

    def setting(self, variant: str = "") -> Setting:
        """The setting of a variant; '' is the plan's own. Raises ValidationError for a change that cannot be."""
        own = self.model_dump(include=set(Setting.model_fields))
        change = {key: value for key, value in self.variants.get(variant, {}).items() if key != "methods"}
        return Setting.model_validate({**own, **change})

    def cells(self) -> Iterator["Cell"]:
        """Everything that is run, the plan's own setting first."""
        for variant in ("", *self.variants):
            for method in self.variants.get(variant, {}).get("methods", self.methods):
                for seed in self.seeds:
                    yield Cell(variant=variant, method=method, seed=seed)


class Cell(_Part):
    """One run of one method."""

    variant: str = ""
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and its federation."""
        return ".".join(filter(None, (self.variant.replace("_", "-"), self.method.replace("_", "-"), str(self.seed))))

    def result_in(self, out: Path) -> Path:
        """File of its result."""
        return out / "cells" / f"{self.name}.json"

"""The file of a comparison: what is compared, on what, how often."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from client_kit.comparison.arms import ARMS
from client_kit.wire import ConsensusPolicy
from client_kit.wire.limits import MAX_SAMPLES

Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LearningRates(_Part):
    """Of each kind of training. A fair comparison tunes them on validation questions, each on its own."""

    full: float = 2e-3
    lora: float = 1e-2
    lora_sb: float = 3e-3
    reft: float = 1e-2


class Drift(_Part):
    """Facts that are replaced while the federation runs."""

    after: Positive
    """The round after which private data states the new values; answers of later rounds come from models that learnt it."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of each topic's facts."""


class OwnData(_Part):
    """Data, base models and metric of one's own. Relative paths are relative to the plan's file."""

    models: Annotated[list[Path], Field(min_length=1)]
    """Folder of the base model: one for all participants, or one each (of one architecture)."""
    mixed_models: list[Path] = []
    """Base models of different architectures, one each; the methods whose architectures are mixed need them."""
    private: Annotated[list[Path], Field(min_length=2)]
    """One file for each participant, JSON lines with `prompt` and `completion`."""
    public: Path
    """JSON lines with `prompt`, and `completion` where it is known: labels are then judged, and never taught."""
    test: Path
    """JSON lines with `prompt` and `completion`; `participant` (from 0) where a question is of that one's distribution only;
    `validation: true` for questions that choose and are not reported, a quarter of them where none says so."""
    metric: str = "exact"
    """`exact`, `contains`, `f1` (of words), or `module:function` of yours: (answer, completion) to a number 0..1."""
    right_from: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Score from which a label counts as right."""
    max_answer_tokens: Positive = 64


class Setting(_Part):
    """One point of the comparison; a variant changes some of its fields."""

    task: Literal["facts", "behaviour", "own"] = "facts"
    """`facts` and `behaviour` bring data and tiny models of their own; `own` takes yours, under `own`."""
    sites: Annotated[int, Field(ge=2, le=16)] = 3
    rounds: Positive = 2
    judge: Literal["after_training", "after_download", "both"] = "both"
    """When methods that share parameters are judged at the end: as each site's model after its last training, as what all were
    given back last, with no training after it, or as both. What is trained by labels is judged after its training."""
    local_steps: Positive = 100
    """Optimiser steps on private data before the first round."""
    round_steps: Positive = 100
    """Optimiser steps after each round."""
    batch_size: Positive = 32
    learning_rates: LearningRates = LearningRates()
    rank: Positive = 8
    """Of LoRA and LoReFT; HetLoRA's participants have half of it, all of it and twice."""
    lora_sb_rank: Positive = 40
    """Of Fed-SB, whose numbers grow with its square: 40 has about as many here as LoRA of rank 8."""
    tied: bool = False
    """One LoReFT intervention for first and last positions (tie-phi of FedReFT) in place of two."""
    mixing: Literal["method", "none", "fixed", "adaptive"] = "method"
    """How a LoReFT participant takes part of what comes back: all of it, a fixed share, or the share that does best on
    held-out data. `method`: adaptive for what comes from the others, all of it for `fedreft_fedavg`."""
    coefficient: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of fixed mixing."""
    policy: ConsensusPolicy = ConsensusPolicy()
    encoder: str = "all-MiniLM-L6-v2"
    pseudo_ratio: Annotated[float, Field(ge=0)] = 2.0
    """Pseudo-labelled examples per private example."""
    public_prompts: Positive | None = None
    """Prompts of the public set that are used; all by default."""
    public_share: float = 0.75
    """.75 or 1. Share of the facts that public prompts ask for; the others no pseudo-label can teach."""
    samples_per_prompt: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = 1
    """Answers that each participant gives to each public prompt; more than one want a temperature."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    finish_witness: bool = False
    """Whether what trains on private data only goes on after a round, `local_steps` at a time, as long as that lowers its loss on
    held-out examples by 1 %, and answers anew. These steps come on top, and only methods with such a model take them."""
    label_noise: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Share of the facts that a participant holds wrong."""
    holders: Positive = 2
    """Participants that hold each topic: 1 is tasks of one's own (FedReFT's DT), 2 and more parts of a mixture (its MT),
    `sites` no skew at all."""
    dirichlet: Annotated[float, Field(gt=0)] | None = None
    """Concentration, where the facts of each topic are divided by shares from a Dirichlet distribution in place of whole
    topics: .1 is strong skew, 100 next to none. Each fact goes to `holders` participants."""
    drift: Drift | None = None
    own: OwnData | None = None
    """For task `own`."""
    max_length: Positive = 128
    """Tokens of prompt and completion in training."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.task != "facts" and (self.drift or self.dirichlet or self.public_share == 1):
            raise ValueError("drift, dirichlet and public_share are of the task facts; leave them out")
        if self.public_share not in {0.75, 1.0}:
            raise ValueError(
                f"public_share is {self.public_share}; the pocket world has public prompts for .75 of its facts, or for all"
            )
        if self.samples_per_prompt > 1 and not self.temperature:
            raise ValueError("several samples at temperature 0 are one text; set temperature, to 0.7 say")
        if self.drift and self.drift.after >= self.rounds + 1:
            raise ValueError(f"drift.after is {self.drift.after} and there are {self.rounds} rounds; take more rounds")
        if (self.task == "own") != (self.own is not None):
            raise ValueError("task own goes with data of your own under `own`, and other tasks without it")
        if self.own and len(self.own.private) != self.sites:
            raise ValueError(f"own.private names {len(self.own.private)} files and sites is {self.sites}; say the same")
        for name in ("models", "mixed_models"):
            if self.own and len(getattr(self.own, name)) not in {0, 1, self.sites}:
                raise ValueError(
                    f"own.{name} names {len(getattr(self.own, name))} folders; name one, or one for each site"
                )
        return self


class Plan(Setting):
    """A comparison."""

    methods: list[str] = list(ARMS)
    """By name, as in the tables of docs/comparison.md; all of them when not set."""
    seeds: Annotated[list[int], Field(min_length=1)] = [0, 1, 2]
    """Each draws base models, private data and training anew."""
    variants: dict[str, dict[str, Any]] = {}
    """Ablations by name: the fields of the setting that differ, and `methods` where only some are run."""
    margin: Annotated[float, Field(ge=0)] = 0.05
    """How much worse consensus may be than the best method that shares parameters and still count as not inferior,
    in quality on private questions (0..1). Stated before the runs."""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, values: object) -> object:
        return {} if values is None else values

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, methods in {"methods": self.methods, **self._variant_methods()}.items():
            if unknown := [method for method in methods if method not in ARMS]:
                raise ValueError(f"{name}: there is no {unknown[0]!r}; known are {', '.join(ARMS)}")
        for name in self.variants:
            self._check(name)
        return self

    def _variant_methods(self) -> dict[str, list[str]]:
        return {f"variants.{name}.methods": list(change.get("methods", [])) for name, change in self.variants.items()}

    def _check(self, variant: str) -> None:
        try:
            self.setting(variant)
        except ValidationError as error:
            place = ".".join(("variants", variant, *map(str, error.errors()[0]["loc"])))
            raise ValueError(f"{place}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error

    def setting(self, variant: str = "") -> Setting:
        """The setting of a variant; '' is the plan's own. Raises ValidationError for a change that cannot be."""
        own = self.model_dump(include=set(Setting.model_fields))
        change = {key: value for key, value in self.variants.get(variant, {}).items() if key != "methods"}
        return Setting.model_validate({**own, **change})

    def cells(self) -> Iterator["Cell"]:
        """Everything that is run: the plan's own setting first, and all methods of a seed before the next seed."""
        for variant in ("", *self.variants):
            for seed in self.seeds:
                for method in self.variants.get(variant, {}).get("methods", self.methods):
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

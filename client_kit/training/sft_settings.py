"""Settings of supervised fine-tuning."""

from dataclasses import dataclass
from typing import Literal

from client_kit.errors import ConfigurationError

Schedule = Literal["constant", "linear", "cosine"]
"""How the learning rate goes down over the steps of one training."""

Reporter = Literal["tensorboard", "wandb", "mlflow"]
"""Where losses go while a model trains."""


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA adapter (Hu et al., arXiv 2106.09685) in place of a change to all weights."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"
    dora: bool = False
    """Magnitudes and directions of the weights are learned apart (DoRA: Liu et al., arXiv 2402.09353)."""
    four_bit: bool = False
    """The frozen base lies in four bits (QLoRA: Dettmers et al., arXiv 2305.14314). Needs a CUDA GPU and bitsandbytes."""


@dataclass(frozen=True, slots=True)
class Reft:
    """A ReFT adapter (Wu et al., arXiv 2404.03592): hidden states are edited at positions of the prompt."""

    rank: int = 8
    variant: str = "loreft"
    """loreft, noreft, direft, direft_orth, consreft or lobireft."""
    layers: Literal["all"] | tuple[int, ...] = "all"
    """Blocks whose output is edited, from 0."""
    positions: str = "f1+l1"
    """`f2+l3`: the first 2 and the last 3 tokens of the prompt; `f2`; `l3`; `all`."""
    tied: bool = False
    """One intervention for first and last tokens, in place of two."""
    dropout: float = 0.0
    init: Literal["random", "identity"] = "random"
    """random, as the reference: answers are edited from the start; identity: not before something is learned."""
    short_prompts: Literal["refuse", "halve"] = "refuse"
    """What is done about training prompts with fewer tokens than positions: an error, or edits of at most half of the
    prompt from each side, as in the reference. Prompts that are answered are halved in any case."""


@dataclass(frozen=True, slots=True)
class SFTSettings:
    """How to fine-tune. The defaults suit a LoRA adapter on a model of about a billion parameters on one GPU."""

    learning_rate: float = 2e-4
    batch_size: int = 16
    """Examples that go through the model at once, in each process."""
    accumulate: int = 1
    """Batches per optimiser step; an optimiser step sees `batch_size * accumulate * processes` examples."""
    max_length: int | None = 1024
    """Longest prompt with completion, in tokens; longer ones are cut at the end. None: no limit."""
    schedule: Schedule = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_gradient_norm: float = 1.0
    lora: Lora | None = None
    """None: all weights are trained, unless `reft` is set."""
    reft: Reft | None = None
    """In place of `lora`; the reference takes a learning rate of 9e-4 with it."""
    frozen: tuple[str, ...] = ()
    """Parts of an adapter that stay as they are, such as `lora_A` for FFA-LoRA."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: arithmetic in bfloat16; trained weights are kept and saved in float32."""
    gradient_checkpointing: bool = False
    """Less memory for about a third more time."""
    threads: int | None = None
    """CPU threads; None leaves torch's choice. Take 1 where several participants train on one machine."""
    checkpoint_steps: int | None = None
    """Optimiser steps between checkpoints, from which the same call goes on after a crash; None: none are kept."""
    evaluate_steps: int | None = None
    """Optimiser steps between evaluations on the validation examples, each with a checkpoint; the best one is kept.
    None: evaluated at the beginning and at the end, and the last one is kept."""
    patience: int | None = None
    """Evaluations without a better one after which training stops; None: it goes on to the last step."""
    processes: int = 1
    """Processes that `accelerate launch` starts, one per GPU (without GPUs: on the processor); each takes batches of its own."""
    report_to: tuple[Reporter, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        positive = {
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "accumulate": self.accumulate,
            "processes": self.processes,
        }
        for name, value in positive.items():
            if value <= 0:
                raise ConfigurationError(f"{name} is {value}; it must be above 0")
        for name in ("max_length", "checkpoint_steps", "evaluate_steps", "patience"):
            if (limit := getattr(self, name)) is not None and limit < 1:
                raise ConfigurationError(f"{name} is {limit}; it must be 1 or more, or None")
        if self.lora is not None and self.reft is not None:
            raise ConfigurationError("lora and reft are both set; train one kind of adapter")
        if self.reft is not None and self.reft.rank < 1:
            raise ConfigurationError(f"ReFT's rank is {self.reft.rank}; it must be 1 or more")
        if self.patience is not None and self.evaluate_steps is None:
            raise ConfigurationError("patience counts evaluations; set evaluate_steps too")
        if self.evaluate_steps is not None and self.checkpoint_steps not in {None, self.evaluate_steps}:
            raise ConfigurationError("each evaluation keeps a checkpoint; leave checkpoint_steps out, or set it equal")

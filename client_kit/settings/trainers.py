"""How a participant's model is fine-tuned, each kind of trainer with its own fields. The trainers take these models."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from client_kit.settings.base import LocalPath, Settings

Schedule = Literal["constant", "linear", "cosine"]
"""How the learning rate goes down over the steps of one training."""

Reporter = Literal["tensorboard", "wandb", "mlflow"]
"""Where losses go while a model trains."""

Accountant = Literal["prv", "rdp"]
"""How epsilon follows from noise, sample rate and steps: numerically (Gopi et al., arXiv 2106.02848) or by a looser
bound that is quicker to compute (Rényi: Mironov et al., arXiv 1908.10530)."""

REFT_LEARNING_RATE = 9e-4
"""Default of method `reft`; what the reference trains with."""

REFT_FIELDS = (
    "reft_rank", "reft_variant", "reft_layers", "reft_positions", "reft_tied", "reft_dropout", "reft_init",
    "reft_short_prompts",
)  # fmt: skip


class TrainingSettings(Settings):
    """What every training on this machine can be told."""

    method: Literal["full", "lora", "dora", "qlora", "reft"] = "full"
    """`full` trains all weights, `lora` an adapter (arXiv 2106.09685), `dora` one that learns magnitudes and directions
    apart (arXiv 2402.09353), `qlora` an adapter on a base in four bits (arXiv 2305.14314; an NVIDIA GPU and
    bitsandbytes), `reft` an adapter that edits hidden states of the prompt (arXiv 2404.03592)."""
    first_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps of the first training, on private data alone; as `steps` when not set."""
    steps: Annotated[int, Field(ge=1)]
    """Optimiser steps of every later training."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2e-4
    """Highest learning rate, reached after the warm-up; with method `reft` 0.0009 when not set."""
    schedule: Schedule = "linear"
    """How the learning rate goes down over the steps of one training; all but `constant` end at 0."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps at the start of every training in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Decoupled weight decay of AdamW, per unit of learning rate."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Examples that go through the model at once."""
    max_length: Annotated[int, Field(ge=8)] | None = 1024
    """Longest prompt with its completion, in tokens; longer ones are cut at the end. Null: no limit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps between checkpoints, from which a training that was killed goes on; when not set, it begins
    anew."""
    lora_rank: Annotated[int, Field(ge=1)] = 16
    """Rank of a new LoRA adapter; this and the next three are for methods that train one."""
    lora_alpha: Annotated[int, Field(ge=1)] = 32
    """The adapter's output is scaled by `lora_alpha / lora_rank`."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an adapter's inputs that is dropped in training."""
    lora_target_modules: str | Annotated[tuple[str, ...], Field(min_length=1)] = "all-linear"
    """Modules that get an adapter: `all-linear`, a regular expression, or a list of names (`[q_proj, v_proj]`)."""

    def steps_of(self, stage: int) -> int:
        """Optimiser steps of training `stage`, from 1."""
        return self.steps if stage > 1 or self.first_steps is None else self.first_steps


class TrlSettings(TrainingSettings):
    """What every training with TRL on this machine can be told."""

    max_gradient_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Longer gradients are cut to this L2 norm; 0 cuts none."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches per optimiser step, which sees `batch_size * accumulate` examples of each process."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the arithmetic and of weights frozen under an adapter; trained weights are float32 either way."""
    gradient_checkpointing: bool = False
    """Less memory for about a third more time."""
    evaluate_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps between evaluations on the private validation examples; the best model is kept. When not set, the
    last one is."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Evaluations without a better one after which a training stops early."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Processes that `accelerate launch` starts for a training: one per GPU."""
    accelerate_config: Annotated[LocalPath | None, Field(exclude_if=lambda value: value is None)] = None
    """File of `accelerate config`, with FSDP or DeepSpeed for models larger than one GPU; `processes` above 1 goes before its
    number. Experimental: its command line is tested, a sharded training is not."""
    report_to: tuple[Reporter, ...] = ()
    """Trackers that get the losses. TensorBoard's files lie in `work/logs`; the other two send them where their own
    environment variables say."""
    reft_rank: Annotated[int, Field(ge=1)] = 8
    """Directions of one intervention; this and the next seven are for method `reft`, see [ReFT](reft.md)."""
    reft_variant: Literal["loreft", "noreft", "direft", "direft_orth", "consreft", "lobireft"] = "loreft"
    """Which edit."""
    reft_layers: Literal["all"] | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = "all"
    """Blocks whose output is edited, from 0 (`[4, 8, 12]`), or `all`."""
    reft_positions: Annotated[str, Field(pattern=r"^(all|f[1-9]\d*(\+l[1-9]\d*)?|l[1-9]\d*)$")] = "f1+l1"
    """Edited tokens: `f2+l3` is the first 2 and the last 3 of the prompt; `f2`; `l3`; `all`."""
    reft_tied: bool = False
    """One intervention for first and last tokens, in place of two."""
    reft_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an edited state's numbers that is dropped in training."""
    reft_init: Literal["random", "identity"] = "random"
    """`random`, as the reference, edits from the start; `identity` edits nothing before something is learned."""
    reft_short_prompts: Literal["refuse", "halve"] = "refuse"
    """Training prompts with fewer tokens than positions: an error, or edits of at most half the prompt from each side."""

    @field_validator("lora_rank", "lora_alpha", "lora_dropout", "lora_target_modules")
    @classmethod
    def _only_of_an_adapter(cls, value: object, info: ValidationInfo) -> object:
        default = cls.model_fields[info.field_name or ""].default
        method = info.data.get("method")
        if method in {"full", "reft"} and value != default:
            raise ValueError(f"method '{method}' trains no LoRA adapter; write method: lora, or remove this field")
        return value

    @field_validator(*REFT_FIELDS)
    @classmethod
    def _only_of_reft(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("method") != "reft" and value != cls.model_fields[info.field_name or ""].default:
            raise ValueError("this is for method: reft; write that, or remove this field")
        return value

    @model_validator(mode="before")
    @classmethod
    def _rate_of_reft(cls, given: Any) -> Any:  # noqa: ANN401 - unchecked settings
        if isinstance(given, dict) and given.get("method") == "reft":
            return {"learning_rate": REFT_LEARNING_RATE, **given}
        return given

    @model_validator(mode="after")
    def _evaluations_agree(self) -> Self:
        if self.patience is not None and self.evaluate_steps is None:
            raise ValueError("'patience' counts evaluations; set 'evaluate_steps' too")
        if self.evaluate_steps is not None and self.checkpoint_steps not in {None, self.evaluate_steps}:
            raise ValueError("each evaluation keeps a checkpoint; remove 'checkpoint_steps', or set it equal")
        return self


class SftSettings(TrlSettings):
    """Supervised fine-tuning with TRL on this machine, on the completions only."""

    kind: Literal["sft"]


class DpoSettings(TrlSettings):
    """Supervised fine-tuning as `sft`, then DPO: pseudo-labels are preferred to own answers of weaker clusters."""

    kind: Literal["dpo"]
    beta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    """How strongly the model is held to what it was before the preferences."""
    preference_steps: Annotated[int, Field(ge=1)] = 50
    """Optimiser steps on preferences in each training that has any, after its supervised steps."""
    preference_learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5e-6
    """Highest learning rate of these steps."""

    @model_validator(mode="after")
    def _not_with_reft(self) -> Self:
        if self.method == "reft":
            raise ValueError(
                "DPO scores prompts and answers in a way that hides from ReFT where prompts end; take kind: sft"
            )
        return self


class PrivacyBudget(Settings):
    """What all trainings of a site together may cost in privacy, and over how many steps it is spread."""

    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """What the models of all trainings together may reveal about one private example. Below 1 is strong, above 10 weak."""
    delta: Annotated[float, Field(gt=0, lt=1)]
    """Chance that the bound does not hold; well below 1 / number of private examples."""
    planned_steps: Annotated[int, Field(ge=1)]
    """Optimiser steps of all trainings together, `first_steps + rounds * steps`: the noise is chosen for them."""
    accountant: Accountant = "prv"
    """How epsilon is computed: `prv` numerically (arXiv 2106.02848), `rdp` by a looser bound (arXiv 1908.10530)."""


class DpSettings(TrainingSettings, PrivacyBudget):
    """Fine-tuning with record-level differential privacy: DP-SGD (arXiv 1607.00133) through Opacus."""

    kind: Literal["dp"]
    method: Literal["full", "lora"] = "full"
    """`full` trains all weights, `lora` an adapter: fewer numbers to add noise to, and far less memory."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    """Highest learning rate, reached after the warm-up."""
    schedule: Schedule = "constant"
    """How the learning rate goes down over the steps of one training; all but `constant` end at 0."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Examples that go through the model at once; changes no result."""
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """L2 norm to which the gradient of each private example is cut."""
    expected_batch: Annotated[int, Field(ge=1)] = 64
    """Private examples in a step on average, each drawn by a coin of its own; large batches suffer less from noise."""


class NoTrainerSettings(Settings):
    """Nothing is trained here (the model is behind an API): pseudo-labels are written for whoever does."""

    kind: Literal["none"]
    export: Literal["openai", "trl", "alpaca", "jsonl"] = "openai"
    """Format of the files `work/round-NNN/labels.<format>.jsonl`."""
    trained_on_exports: bool = False
    """You state: the model is trained on these files before it answers in the next round. Its answers are then told to be
    second-hand."""


TrainerSettings = Annotated[SftSettings | DpoSettings | DpSettings | NoTrainerSettings, Field(discriminator="kind")]

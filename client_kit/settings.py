"""What one participant is told: its model, its data, its federation (`consensus join`). Pydantic only.

`client_kit.federation.configuration` reads it from YAML. Secrets never stand in settings: a token comes from an
environment variable or a file.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)


def _from_the_file(path: Path, info: ValidationInfo) -> Path:
    """A path as meant by the settings file: `~` expanded, relative ones from the file's folder."""
    return Path((info.context or {}).get("folder", Path.cwd()), path.expanduser()).absolute()


def _folder_or_name(given: str, info: ValidationInfo) -> str:
    """A folder when written like one (`./`, `../`, `/`, `~`), else a name."""
    return str(_from_the_file(Path(given), info)) if given.startswith((".", "/", "~")) else given


def _with_the_prompt(template: str) -> str:
    if "{prompt}" not in template:
        raise ValueError("it has no {prompt}, so that every input would be the same; write {prompt} where it belongs")
    return template


LocalPath = Annotated[Path, AfterValidator(_from_the_file)]
FolderOrName = Annotated[str, AfterValidator(_folder_or_name)]


class Settings(BaseModel):
    """Base of all settings. Unknown fields are refused: a misspelt option must not pass unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())


class TransformersSettings(Settings):
    """Answers come from a model on this machine, and the trainer fine-tunes this model."""

    kind: Literal["transformers"]
    model: FolderOrName
    """Folder (`./base`, `/models/base`), or a name on the model hub (`owner/name`)."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Answers generated at once."""
    device: str = "auto"
    """`auto` (a GPU where there is one), or what torch calls a device: `cpu`, `cuda:1`."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights while they answer; `auto` takes that of the model's files."""
    prompt_template: Annotated[str, AfterValidator(_with_the_prompt)] | None = None
    """The model's input, `{prompt}` standing for the prompt; when not set, the tokenizer's chat template, or the bare
    prompt where it has none. Training does not use it."""


class OpenAISettings(Settings):
    """Answers come from any endpoint that speaks the OpenAI API: a provider, vLLM, Ollama, llama.cpp."""

    kind: Literal["openai"]
    model: str
    """Name of the model at the endpoint."""
    base_url: str
    """Address of the endpoint up to and including `/v1`."""
    api: Literal["chat", "completions"] = "chat"
    """`chat` for models tuned to converse, `completions` for base models."""
    api_key_env: str | None = None
    """Environment variable with the key; none where the endpoint asks for none."""
    concurrency: Annotated[int, Field(ge=1)] = 8
    """Most requests at the same time."""
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    """Longest wait for one request, in seconds."""
    retries: Annotated[int, Field(ge=0)] = 4
    """Repetitions of one request after a broken connection or HTTP status 408, 409, 429 or 5xx."""
    token_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # noqa: S105  a field
    """Name of the limit on tokens; OpenAI's newer models want `max_completion_tokens`."""
    extra_body: dict[str, JsonValue] = {}
    """Further fields of every request, as the endpoint defines them. No secrets: the journal holds settings."""


class VLLMSettings(Settings):
    """Answers come from vLLM in the participant's own process, and the trainer fine-tunes this model."""

    kind: Literal["vllm"]
    model: FolderOrName
    """Folder (`./base`, `/models/base`); where nothing is trained here, also a name on the model hub."""
    engine_args: dict[str, JsonValue] = {}
    """Arguments of `vllm.LLM` (`max_model_len`, `dtype`, `gpu_memory_utilization`, ...)."""
    prompt_template: Annotated[str, AfterValidator(_with_the_prompt)] | None = None
    """The model's input, `{prompt}` standing for the prompt; when not set, the tokenizer's chat template, or the bare
    prompt where it has none. Training does not use it."""
    keep_loaded: bool = True
    """Off: the engine's memory is given back while the model trains."""


class VLLMServerSettings(Settings):
    """Answers come from a vLLM server, and the trainer fine-tunes its model: adapters are loaded while it runs."""

    kind: Literal["vllm_server"]
    model: FolderOrName
    """Folder (`./base`, `/models/base`); where nothing is trained here, also a name on the model hub. With `base_url`,
    the model as that server calls it."""
    base_url: str | None = None
    """Address of a server that runs already, up to and including `/v1`; when not set, one is started and stopped here."""
    api_key_env: str | None = None
    """Environment variable with that server's key; none where it asks for none."""
    engine_args: dict[str, JsonValue] = {}
    """Arguments of the server that is started (`max_model_len`, `tensor_parallel_size`, `max_lora_rank`, ...)."""
    start_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 900.0
    """Longest wait until the server that is started answers, in seconds."""
    keep_running: bool = True
    """Off: the server is stopped while the model trains."""
    api: Literal["chat", "completions"] = "chat"
    """`chat` for models with a chat template, `completions` for base models."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """Most requests at the same time."""
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 600.0
    """Longest wait for one request, in seconds."""
    retries: Annotated[int, Field(ge=0)] = 4
    """Repetitions of one request after a broken connection or HTTP status 408, 409, 429 or 5xx."""
    extra_body: dict[str, JsonValue] = {}
    """Further fields of every request. No secrets: the journal holds settings."""


class ScriptedSettings(Settings):
    """Answers come from a file: for tests, and for generations that exist already."""

    kind: Literal["scripted"]
    answers: LocalPath
    """JSONL with `prompt_id`, `text` and, where there are several, `sample`."""


GeneratorSettings = Annotated[
    TransformersSettings | VLLMSettings | VLLMServerSettings | OpenAISettings | ScriptedSettings,
    Field(discriminator="kind"),
]

TRAINABLE = ("transformers", "vllm", "vllm_server")
"""Kinds of generators whose model lies on this machine, so that it can be trained."""


REFT_LEARNING_RATE = 9e-4
"""Default of method `reft`; what the reference trains with."""

REFT_FIELDS = (
    "reft_rank", "reft_variant", "reft_layers", "reft_positions", "reft_tied", "reft_dropout", "reft_init",
    "reft_short_prompts",
)  # fmt: skip


class TrlSettings(Settings):
    """What every training with TRL on this machine can be told."""

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
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """How the learning rate goes down over the steps of one training; all but `constant` end at 0."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps at the start of every training in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Decoupled weight decay of AdamW, per unit of learning rate."""
    max_gradient_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Longer gradients are cut to this L2 norm; 0 cuts none."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Examples that go through the model at once."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches per optimiser step, which sees `batch_size * accumulate` examples of each process."""
    max_length: Annotated[int, Field(ge=8)] | None = 1024
    """Longest prompt with its completion, in tokens; longer ones are cut at the end. Null: no limit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the arithmetic and of weights frozen under an adapter; trained weights are float32 either way."""
    gradient_checkpointing: bool = False
    """Less memory for about a third more time."""
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps between checkpoints, from which a training that was killed goes on; when not set, it begins
    anew."""
    evaluate_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps between evaluations on the private validation examples; the best model is kept. When not set, the
    last one is."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Evaluations without a better one after which a training stops early."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Processes that `accelerate launch` starts for a training: one per GPU."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Trackers that get the losses. TensorBoard's files lie in `work/logs`; the other two send them where their own
    environment variables say."""
    lora_rank: Annotated[int, Field(ge=1)] = 16
    """Rank of a new adapter; this and the next three are for methods with an adapter."""
    lora_alpha: Annotated[int, Field(ge=1)] = 32
    """The adapter's output is scaled by `lora_alpha / lora_rank`."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an adapter's inputs that is dropped in training."""
    lora_target_modules: str | Annotated[tuple[str, ...], Field(min_length=1)] = "all-linear"
    """Modules that get an adapter: `all-linear`, a regular expression, or a list of names (`[q_proj, v_proj]`)."""
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

    def steps_of(self, stage: int) -> int:
        """Optimiser steps of training `stage`, from 1."""
        return self.steps if stage > 1 or self.first_steps is None else self.first_steps


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


class DpSettings(Settings):
    """Fine-tuning with record-level differential privacy: DP-SGD (arXiv 1607.00133) through Opacus."""

    kind: Literal["dp"]
    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """What the models of all trainings together may reveal about one private example. Below 1 is strong, above 10 weak."""
    delta: Annotated[float, Field(gt=0, lt=1)]
    """Chance that the bound does not hold; well below 1 / number of private examples."""
    planned_steps: Annotated[int, Field(ge=1)]
    """Optimiser steps of all trainings together, `first_steps + rounds * steps`: the noise is chosen for them."""
    first_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps of the first training, on private data alone; as `steps` when not set."""
    steps: Annotated[int, Field(ge=1)]
    """Optimiser steps of every later training."""
    method: Literal["full", "lora"] = "full"
    """`full` trains all weights, `lora` an adapter: fewer numbers to add noise to, and far less memory."""
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """L2 norm to which the gradient of each private example is cut."""
    accountant: Literal["prv", "rdp"] = "prv"
    """How epsilon is computed: `prv` numerically (arXiv 2106.02848), `rdp` by a looser bound (arXiv 1908.10530)."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    """Highest learning rate, reached after the warm-up."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate goes down over the steps of one training."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps at the start of every training in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Decoupled weight decay of AdamW, per unit of learning rate."""
    expected_batch: Annotated[int, Field(ge=1)] = 64
    """Private examples in a step on average, each drawn by a coin of its own; large batches suffer less from noise."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Examples that go through the model at once; changes no result."""
    max_length: Annotated[int, Field(ge=8)] | None = 1024
    """Longest prompt with its completion, in tokens; longer ones are cut at the end. Null: no limit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps between checkpoints, from which a training that was killed goes on."""
    lora_rank: Annotated[int, Field(ge=1)] = 16
    """Rank of a new adapter; this and the next three are for method `lora`."""
    lora_alpha: Annotated[int, Field(ge=1)] = 32
    """The adapter's output is scaled by `lora_alpha / lora_rank`."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an adapter's inputs that is dropped in training."""
    lora_target_modules: str | Annotated[tuple[str, ...], Field(min_length=1)] = "all-linear"
    """Modules that get an adapter: `all-linear`, a regular expression, or a list of names (`[q_proj, v_proj]`)."""

    def steps_of(self, stage: int) -> int:
        """Optimiser steps of training `stage`, from 1."""
        return self.steps if stage > 1 or self.first_steps is None else self.first_steps


class NoTrainerSettings(Settings):
    """Nothing is trained here (the model is behind an API): pseudo-labels are written for whoever does."""

    kind: Literal["none"]
    export: Literal["openai", "trl", "alpaca", "jsonl"] = "openai"
    """Format of the files `work/round-NNN/labels.<format>.jsonl`."""


TrainerSettings = Annotated[SftSettings | DpoSettings | DpSettings | NoTrainerSettings, Field(discriminator="kind")]


class SamplingSettings(Settings):
    """How answers are drawn. Temperature 0 is greedy."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 takes the likeliest token each time."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Tokens are drawn from the likeliest ones that together have this probability."""
    max_tokens: Annotated[int, Field(ge=1)] = 256
    """Longest answer, in tokens of the participant's model; a longer one is cut."""
    samples: Annotated[int, Field(ge=1)] = 1
    """Answers per prompt; the federation says how many it admits."""
    stop: tuple[str, ...] = ()
    """Texts at which an answer ends; they are not part of it."""


class SpendingSettings(Settings):
    """What answers cost, and how much they may. Counted over all rounds, by the tokens that the endpoint reports."""

    prompt_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Of a million tokens read."""
    completion_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Of a million tokens written."""
    currency: str = "USD"
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Most money; nothing is asked that could exceed it."""
    limit_tokens: Annotated[int, Field(gt=0)] | None = None
    """Most tokens, read and written together."""

    @model_validator(mode="after")
    def _a_limit_needs_a_price(self) -> Self:
        if self.limit is not None and not (self.prompt_price or self.completion_price):
            raise ValueError("a limit in money needs prices: set prompt_price and completion_price, or limit_tokens")
        return self


NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class MixingSettings(Settings):
    """How private data and pseudo-labels share a training.

    `ratio`, `weight` and `minimum_confidence` may be lists: the first value is for the pseudo-labels of round 1, the
    next for those of round 2, the last for all later ones.
    """

    ratio: NotNegative | Annotated[tuple[NotNegative, ...], Field(min_length=1)] | None = 1.0
    """Pseudo-labelled examples drawn per private example; null takes each pseudo-label once."""
    weight: NotNegative | Annotated[tuple[NotNegative, ...], Field(min_length=1)] = 1.0
    """Factor on the loss of pseudo-labelled examples."""
    by_confidence: bool = True
    """Weight each pseudo-label by its confidence."""
    minimum_confidence: Share | Annotated[tuple[Share, ...], Field(min_length=1)] = 0.0
    """Pseudo-labels of lower confidence are left out."""
    replay: Share = 1.0
    """Share of the private examples that take part in trainings after the first, drawn anew for each: what is not
    replayed is forgotten sooner."""


class ValidationSettings(Settings):
    """Private examples that are held out, to see whether a training did good."""

    share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the distinct private prompts that is never trained on; 0 holds none out."""
    return_margin: Annotated[float, Field(gt=0)] | None = None
    """A training after which the loss on them is higher than the lowest so far by more than this share of it is
    discarded: the site goes on from the model before it. When not set, no training is."""

    @model_validator(mode="after")
    def _a_margin_needs_examples(self) -> Self:
        if self.return_margin is not None and self.share == 0:
            raise ValueError("'return_margin' compares losses on held-out examples; set 'share' above 0")
        return self


class CollapseSettings(Settings):
    """When the variety of a site's own answers is watched with alarm. Each figure is compared with the first round's."""

    distinct_floor: Share = 0.5
    """Alarm when the share of distinct pairs of words falls below this share of its first value."""
    overlap_rise: Share = 0.25
    """Alarm when the mean overlap of the words of answers to different prompts rises by more than this."""
    identical_rise: Share = 0.25
    """Alarm when the share of answers that also stand under another prompt rises by more than this."""
    stop_after: Annotated[int, Field(ge=1)] | None = None
    """Rounds in a row with an alarm after which the site stops before it submits; when not set, it only warns."""
    gold: LocalPath | None = None
    """JSONL with `prompt_id` and `answer`, for public prompts whose right answer the site knows: the journal then has
    the precision of the pseudo-labels by support."""


class SlotSettings(Settings):
    """A limit on how many participants of one machine compute at the same time."""

    folder: LocalPath
    count: Annotated[int, Field(ge=1)]


class SiteSettings(Settings):
    """What one site has and does, wherever the federation is."""

    generator: GeneratorSettings
    trainer: TrainerSettings
    private: LocalPath | None = None
    """Examples to train on, as `client_kit.training.dataset.load_examples` reads them: JSONL with `prompt` and
    `completion`, chat messages or Alpaca rows, also CSV and parquet. Never leaves the site."""
    evaluation: LocalPath | None = None
    """JSONL with `prompt_id` and `prompt`, answered before the first and after every training; answers stay in `work`."""
    sampling: SamplingSettings = SamplingSettings()
    spending: SpendingSettings = SpendingSettings()
    """For generators `openai` and `vllm_server`."""
    training_rights: bool = False
    """You state: the model's licence, and the terms of who runs it, let others train on its answers."""
    mixing: MixingSettings = MixingSettings()
    validation: ValidationSettings = ValidationSettings()
    collapse: CollapseSettings = CollapseSettings()
    seed: int = 0
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads of numeric libraries; theirs when not set."""

    @model_validator(mode="after")
    def _training_needs_a_model_and_data(self) -> Self:
        kind = self.trainer.kind
        if kind != "none" and self.generator.kind not in TRAINABLE:
            raise ValueError(
                f"trainer '{kind}' fine-tunes the model of generator {', '.join(map(repr, TRAINABLE[:-1]))} or "
                f"{TRAINABLE[-1]!r}; with another generator write trainer: {{kind: none}}"
            )
        if kind != "none" and self.private is None:
            raise ValueError(f"trainer '{kind}' needs private data: set 'private' to a JSONL file")
        return self

    @model_validator(mode="after")
    def _reft_answers_through_transformers(self) -> Self:
        if getattr(self.trainer, "method", None) == "reft" and self.generator.kind != "transformers":
            raise ValueError(
                f"generator '{self.generator.kind}' cannot answer with method reft; take generator kind: transformers"
            )
        return self

    @model_validator(mode="after")
    def _privacy_is_not_undone(self) -> Self:
        """What the bound does not cover is refused."""
        if self.trainer.kind != "dp":
            return self
        if self.validation.return_margin is not None:
            raise ValueError(
                "trainer 'dp' bounds what a training reveals; to choose a checkpoint by private examples reveals more. "
                "Remove validation.return_margin"
            )
        if self.mixing.replay != 1:
            raise ValueError(
                "trainer 'dp' draws private examples itself, and its bound counts on all; set mixing.replay to 1"
            )
        return self

    @model_validator(mode="after")
    def _evaluations_have_examples(self) -> Self:
        if getattr(self.trainer, "evaluate_steps", None) is not None and self.validation.share == 0:
            raise ValueError("trainer.evaluate_steps evaluates on held-out private examples; set validation.share too")
        return self


class ParticipantSettings(SiteSettings):
    """One participant of one federation: `consensus join participant.yaml`."""

    server: str
    """URL of the consensus server."""
    federation: str
    token_env: str | None = None
    """Environment variable that holds the participant's token."""
    token_file: LocalPath | None = None
    """File that holds it."""
    work: LocalPath
    """Folder for the journal, checkpoints and exports; created when missing."""
    rounds: Annotated[int, Field(ge=1)]
    """Rounds to take part in; training follows the last one."""
    patience_seconds: Annotated[float, Field(gt=0)] = 172_800.0
    """Longest wait for a round to open or to be published, in seconds."""
    slots: SlotSettings | None = None

    @model_validator(mode="after")
    def _privacy_covers_all_trainings(self) -> Self:
        if self.trainer.kind == "dp":
            needed = sum(self.trainer.steps_of(stage) for stage in range(1, self.rounds + 2))
            if self.trainer.planned_steps < needed:
                raise ValueError(
                    f"trainer.planned_steps is {self.trainer.planned_steps}, and {self.rounds} rounds take {needed} steps "
                    f"in {self.rounds + 1} trainings; set planned_steps to {needed} or more"
                )
        return self

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if (self.token_env is None) == (self.token_file is None):
            raise ValueError("name the token's source: either 'token_env' or 'token_file'")
        return self

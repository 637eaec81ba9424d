"""Where a participant's answers come from, each kind with its own fields."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from client_kit.settings.base import FolderOrName, LocalPath, Settings


def _with_the_prompt(template: str) -> str:
    if "{prompt}" not in template:
        raise ValueError("it has no {prompt}, so that every input would be the same; write {prompt} where it belongs")
    return template


_UNLESS_EMPTY = Field(exclude_if=lambda value: not value)
"""Not in the journal of a site that does not use it, so that a run begun before the field existed goes on."""


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
    device_map: Annotated[
        Literal["auto", "balanced", "sequential"] | None, Field(exclude_if=lambda value: value is None)
    ] = None
    """Spreads a model larger than one GPU over all of them, and over the processor's memory, as accelerate does; `device` must then
    be `auto`. Tested on a processor only."""
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
    extra_body: dict[str, JsonValue] = Field(default={})
    """Further fields of every request, as the endpoint defines them. No secrets: the journal holds settings."""
    omit: Annotated[tuple[str, ...], _UNLESS_EMPTY] = ()
    """Fields that are never sent, because the endpoint refuses them: `[seed, temperature]`."""
    client_certificate: Annotated[LocalPath | None, _UNLESS_EMPTY] = None
    """Shown to the endpoint: certificate in PEM. When not set, CONSENSUS_CLIENT_CERTIFICATE."""
    client_key: Annotated[LocalPath | None, _UNLESS_EMPTY] = None
    """Its private key, without a password, where it stands in a file of its own."""


class VLLMSettings(Settings):
    """Answers come from vLLM in the participant's own process, and the trainer fine-tunes this model."""

    kind: Literal["vllm"]
    model: FolderOrName
    """Folder (`./base`, `/models/base`); where nothing is trained here, also a name on the model hub."""
    engine_args: dict[str, JsonValue] = Field(default={})
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
    engine_args: dict[str, JsonValue] = Field(default={})
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
    extra_body: dict[str, JsonValue] = Field(default={})
    """Further fields of every request. No secrets: the journal holds settings."""
    omit: Annotated[tuple[str, ...], _UNLESS_EMPTY] = ()
    """Fields that are never sent, because the server refuses them: `[seed, temperature]`."""
    client_certificate: Annotated[LocalPath | None, _UNLESS_EMPTY] = None
    """Shown to the server: certificate in PEM. When not set, CONSENSUS_CLIENT_CERTIFICATE."""
    client_key: Annotated[LocalPath | None, _UNLESS_EMPTY] = None
    """Its private key, without a password, where it stands in a file of its own."""


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

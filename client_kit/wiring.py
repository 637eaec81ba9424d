"""From names in the settings to implementations. Each is imported when it is asked for, never before."""

import os
from pathlib import Path
from typing import assert_never

from client_kit.errors import ConfigurationError
from client_kit.generation.base import Generator
from client_kit.settings import (
    GeneratorSettings,
    NoTrainerSettings,
    OpenAISettings,
    ScriptedSettings,
    SftSettings,
    TrainerSettings,
    TransformersSettings,
)
from client_kit.training.base import Trainer


def open_generator(settings: GeneratorSettings, model: Path | None = None, *, threads: int | None = None) -> Generator:
    """The generator that the settings name. Raises MissingExtra where its libraries are not installed.

    model: folder of a model trained meanwhile, in place of the settings'; only generators of local models take one.
    threads: CPU threads of a local model.
    """
    match settings:
        case TransformersSettings():
            from client_kit.generation.transformers_local import TransformersGenerator  # noqa: PLC0415

            return TransformersGenerator(
                model or settings.model,
                batch_size=settings.batch_size,
                device=settings.device,
                dtype=settings.dtype,
                prompt_template=settings.prompt_template,
                threads=threads,
            )
        case OpenAISettings():
            return _openai_compatible(settings)
        case ScriptedSettings():
            from client_kit.generation.scripted import ScriptedGenerator  # noqa: PLC0415

            return ScriptedGenerator.from_file(settings.answers)
    assert_never(settings)


def open_trainer(settings: TrainerSettings, *, threads: int | None = None) -> Trainer | None:
    """The trainer that the settings name; None where nothing is trained here."""
    match settings:
        case NoTrainerSettings():
            return None
        case SftSettings():
            return _sft(settings, threads)
    assert_never(settings)


def _openai_compatible(settings: OpenAISettings) -> Generator:
    from client_kit.generation.openai_compatible import Endpoint, OpenAICaller  # noqa: PLC0415
    from client_kit.generation.openai_generator import OpenAICompatibleGenerator  # noqa: PLC0415

    endpoint = Endpoint(
        model=settings.model,
        base_url=settings.base_url,
        api_key=_api_key(settings.api_key_env),
        api=settings.api,
        concurrency=settings.concurrency,
        timeout_seconds=settings.timeout_seconds,
        retries=settings.retries,
        token_limit_field=settings.token_limit_field,
        extra_body=settings.extra_body,
    )
    return OpenAICompatibleGenerator(OpenAICaller(endpoint))


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigurationError(f"the environment variable {variable} has no key; set it, or remove api_key_env")
    return key


def _sft(settings: SftSettings, threads: int | None) -> Trainer:
    from client_kit.training.sft import Lora, SFTFineTuner, SFTSettings  # noqa: PLC0415

    lora = Lora(
        rank=settings.lora_rank,
        alpha=settings.lora_alpha,
        dropout=settings.lora_dropout,
        target_modules=settings.lora_target_modules,
    )
    return SFTFineTuner(
        SFTSettings(
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            accumulate=settings.accumulate,
            max_length=settings.max_length,
            schedule=settings.schedule,
            warmup_steps=settings.warmup_steps,
            weight_decay=settings.weight_decay,
            max_gradient_norm=settings.max_gradient_norm,
            lora=lora if settings.method == "lora" else None,
            device=settings.device,
            precision=settings.precision,
            gradient_checkpointing=settings.gradient_checkpointing,
            threads=threads,
            checkpoint_steps=settings.checkpoint_steps,
        )
    )

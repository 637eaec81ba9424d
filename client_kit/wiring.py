"""From names in the settings to implementations. Each is imported when it is asked for, never before."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from client_kit.certificates import ClientCertificate
from client_kit.errors import ConfigurationError
from client_kit.generation.answer_cache import AnswerCache
from client_kit.generation.base import Generator, GeneratorSource
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.spending import Budget, Tokens
from client_kit.settings import (
    DpoSettings,
    DpSettings,
    GeneratorSettings,
    NoTrainerSettings,
    OpenAISettings,
    ScriptedSettings,
    SftSettings,
    SpendingSettings,
    TrainerSettings,
    TransformersSettings,
    VLLMServerSettings,
    VLLMSettings,
)
from client_kit.training.base import Trainer

ANSWERS = "answers.sqlite"
"""The answer cache in a participant's work folder."""


class _Source:
    """A source with the answer cache that its generators share, if they have one."""

    def __init__(
        self,
        open_: Callable[[Path | None], Generator],
        cache: AnswerCache | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._open = open_
        self._cache = cache
        self._close = close

    def open(self, model: Path | None = None) -> Generator:
        """The generator of the model trained meanwhile, where one is given."""
        return self._open(model)

    def close(self) -> None:
        """Stop what is held, and close the cache."""
        self._close()
        if self._cache is not None:
            self._cache.close()


def open_source(
    settings: GeneratorSettings,
    *,
    work: Path,
    spending: SpendingSettings | None = None,
    threads: int | None = None,
) -> GeneratorSource:
    """Where a participant's generators come from. Nothing is loaded, started or asked yet.

    work: folder for the answer cache and logs. spending: prices and limits; for `openai` and `vllm_server`.
    threads: CPU threads of a local model. Raises MissingExtra where libraries are not installed.
    """
    match settings:
        case TransformersSettings():
            return _Source(lambda model: _transformers(settings, model, threads))
        case ScriptedSettings():
            from client_kit.generation.scripted import ScriptedGenerator  # noqa: PLC0415

            return _Source(lambda _: ScriptedGenerator.from_file(settings.answers))
    cache = AnswerCache(work / ANSWERS)
    if isinstance(settings, VLLMSettings):
        local = _vllm_local(settings, cache)
        return _Source(local.open, cache, local.close)
    # What the cache holds was paid for already.
    budget = Budget(spending or SpendingSettings(), spent=Tokens(*cache.tokens()))
    if isinstance(settings, VLLMServerSettings):
        served = _vllm_server(settings, work, cache, budget)
        return _Source(served.open, cache, served.close)
    return _Source(lambda _: _openai_compatible(settings, cache, budget), cache)


def open_trainer(settings: TrainerSettings, *, threads: int | None = None) -> Trainer | None:
    """The trainer that the settings name; None where nothing is trained here."""
    match settings:
        case NoTrainerSettings():
            return None
        case SftSettings():
            from client_kit.training.sft import SFTFineTuner  # noqa: PLC0415

            return SFTFineTuner(settings, threads=threads)
        case DpoSettings():
            from client_kit.training.dpo import DPOFineTuner  # noqa: PLC0415

            return DPOFineTuner(settings, threads=threads)
        case DpSettings():
            from client_kit.training.private import DPFineTuner  # noqa: PLC0415

            return DPFineTuner(settings, threads=threads)
    assert_never(settings)


def _transformers(settings: TransformersSettings, model: Path | None, threads: int | None) -> Generator:
    from client_kit.generation.transformers_local import TransformersGenerator  # noqa: PLC0415
    from client_kit.training.models import make_known  # noqa: PLC0415

    make_known(Path(model or settings.model))
    return TransformersGenerator(
        model or settings.model,
        batch_size=settings.batch_size,
        device=settings.device,
        dtype=settings.dtype,
        device_map=settings.device_map,
        prompt_template=settings.prompt_template,
        threads=threads,
    )


def _vllm_local(settings: VLLMSettings, cache: AnswerCache) -> GeneratorSource:
    from client_kit.generation.vllm_local import VLLMLocalSource  # noqa: PLC0415

    return VLLMLocalSource(
        settings.model, engine_args=settings.engine_args, prompt_template=settings.prompt_template,
        keep_loaded=settings.keep_loaded, cache=cache,
    )  # fmt: skip


def _vllm_server(settings: VLLMServerSettings, work: Path, cache: AnswerCache, budget: Budget) -> GeneratorSource:
    from client_kit.generation.vllm_server import VLLMServerSource  # noqa: PLC0415

    return VLLMServerSource(
        _inference_api(settings, settings.base_url or "http://127.0.0.1/v1"),
        work=work, attach=settings.base_url is not None, engine_args=settings.engine_args,
        start_seconds=settings.start_seconds, keep_running=settings.keep_running, cache=cache, budget=budget,
    )  # fmt: skip


def _openai_compatible(settings: OpenAISettings, cache: AnswerCache, budget: Budget) -> Generator:
    from client_kit.generation.openai_generator import OpenAICompatibleGenerator  # noqa: PLC0415

    endpoint = replace(_inference_api(settings, settings.base_url), token_limit_field=settings.token_limit_field)
    return OpenAICompatibleGenerator(OpenAICaller(endpoint), cache=cache, budget=budget)


def _inference_api(settings: OpenAISettings | VLLMServerSettings, base_url: str) -> InferenceApi:
    return InferenceApi(
        model=settings.model,
        base_url=base_url,
        api_key=_api_key(settings.api_key_env),
        api=settings.api,
        concurrency=settings.concurrency,
        timeout_seconds=settings.timeout_seconds,
        retries=settings.retries,
        extra_body=settings.extra_body,
        omit=settings.omit,
        client_certificate=ClientCertificate.named(settings.client_certificate, settings.client_key),
    )


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigurationError(f"the environment variable {variable} has no key; set it, or remove api_key_env")
    return key

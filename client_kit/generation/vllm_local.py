"""Answers from vLLM in this very process: no server, no port, the engine's own batching."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from client_kit.errors import ConfigurationError, ContextTooLong, EngineFailed
from client_kit.generation.answer_cache import AnswerCache, answer_key
from client_kit.generation.base import Generation, Sampling
from client_kit.generation.seeds import answer_seed
from client_kit.generation.vllm_process import require_vllm
from client_kit.generation.vllm_weights import PRIVATE, Weights, weights
from client_kit.rendering import encode
from client_kit.wire import FinishReason, Prompt

_FINISH = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}

_adapter_numbers = itertools.count(1)
"""vLLM tells adapters apart by a number of their own."""


class VLLMGenerator:
    """Gives the engine all prompts at once; answers are yielded as they are finished."""

    def __init__(
        self,
        engine: Any,  # noqa: ANN401  vllm.LLM
        adapter: Any = None,  # noqa: ANN401  vllm's LoRARequest
        *,
        template: str | None = None,
        cache: AnswerCache | None = None,
        source: Mapping[str, Any] | None = None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """engine: an `LLM`. template: of the input. source: what the cache knows the model by. release: called in the end."""
        self._engine = engine
        self._adapter = adapter
        self._template = template
        self._cache = cache
        self._source = dict(source or {})
        self._release = release
        self.died = False
        """The engine has ended by itself, and answers no more."""
        self._tokenizer = engine.get_tokenizer()
        self._context = int(engine.model_config.max_model_len)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """Yield answers as they come, those that the cache holds first. Raises ContextTooLong before any is computed."""
        missing = []
        for prompt, sample in ((prompt, sample) for prompt in prompts for sample in range(sampling.samples)):
            held = self._cache and self._cache.get(answer_key(self._source, prompt, sample, sampling), prompt, sample)
            if held:
                yield held
            else:
                missing.append((prompt, sample))
        for prompt, sample, output in self._run(missing, sampling):
            answer = _generation(prompt, sample, output)
            if self._cache is not None:
                self._cache.put(answer_key(self._source, prompt, sample, sampling), answer)
            yield answer

    def close(self) -> None:
        """The engine is its source's."""
        self._release()

    def _run(self, jobs: Sequence[tuple[Prompt, int]], sampling: Sampling) -> Iterator[tuple[Prompt, int, Any]]:
        """The engine steps all requests together; what `LLM.generate` does, but for giving each answer at once."""
        inputs = {prompt.prompt_id: self._encode(prompt) for prompt, _ in jobs}
        engine, under_way = self._engine.llm_engine, {}
        try:
            for number, (prompt, sample) in enumerate(jobs):
                ids = inputs[prompt.prompt_id]
                engine.add_request(
                    str(number), {"prompt_token_ids": ids}, self._parameters(prompt, sample, len(ids), sampling),
                    lora_request=self._adapter,
                )  # fmt: skip
                under_way[str(number)] = (prompt, sample)
            while engine.has_unfinished_requests():
                for output in self._step(under_way):
                    if output.finished:
                        yield *under_way.pop(output.request_id), output
        finally:
            if under_way and not self.died:
                engine.abort_request(list(under_way))

    def _step(self, under_way: Mapping[str, tuple[Prompt, int]]) -> list[Any]:
        """One step of the engine. Raises EngineFailed where it has died; what it answered before is there."""
        from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415

        try:
            return list(self._engine.llm_engine.step())
        except EngineDeadError as error:
            self.died = True
            raise EngineFailed(
                "vLLM's engine died; the reason stands above, in its own words. What is answered is kept. On a processor "
                "set enable_chunked_prefill: false in engine_args; where memory does not suffice, lower max_model_len",
                prompt_id=next(iter(under_way.values()))[0].prompt_id,
            ) from error

    def _encode(self, prompt: Prompt) -> list[int]:
        ids = encode(self._tokenizer, prompt.prompt, self._template)
        if len(ids) >= self._context:
            raise ContextTooLong(
                f"it takes {len(ids)} tokens and the engine's context is {self._context}: no room for an answer. "
                "Raise max_model_len, take a model with a longer context, or another prompt set.",
                prompt_id=prompt.prompt_id,
            )
        return ids

    def _parameters(self, prompt: Prompt, sample: int, width: int, sampling: Sampling) -> Any:  # noqa: ANN401
        from vllm import SamplingParams  # noqa: PLC0415  an optional extra, loaded where it is used
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=min(sampling.max_tokens, self._context - width),
            seed=answer_seed(sampling.seed, prompt.prompt_id, sample),
            stop=list(sampling.stop),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )


class VLLMLocalSource:
    """A participant's generators in this process. The engine stays loaded between rounds while its base is the same."""

    def __init__(
        self,
        model: str,
        *,
        engine_args: Mapping[str, Any] | None = None,
        prompt_template: str | None = None,
        keep_loaded: bool = True,
        cache: AnswerCache | None = None,
    ) -> None:
        """Nothing is loaded before a generator is opened.

        model: base model. engine_args: as `vllm.LLM` has them. prompt_template: the model's input, `{prompt}` standing
        for the prompt; by default the tokenizer's chat template, or the bare prompt where it has none.
        keep_loaded: False gives the engine's memory back whenever a generator is closed.
        """
        if prompt_template is not None and "{prompt}" not in prompt_template:
            raise ConfigurationError("prompt_template has no {prompt}, so that every input would be the same")
        self._model = model
        self._engine_args = dict(engine_args or {})
        self._template = prompt_template
        self._keep_loaded = keep_loaded
        self._cache = cache
        self._engine: Any = None
        self._held: Weights | None = None
        self._adapters: dict[str, Any] = {}

    def open(self, model: Path | None = None) -> VLLMGenerator:
        """The generator of the model trained meanwhile, or of the base. Raises EngineFailed, MissingExtra, UnknownModel."""
        require_vllm()
        wanted = weights(self._model, model)
        if not self._fits(wanted):
            self.close()
            self._engine, self._held = self._start(wanted), wanted
        source = {"weights": wanted.digest(), "template": self._template}
        release = (lambda: None) if self._keep_loaded else self.close
        return VLLMGenerator(
            self._engine, self._adapter(wanted), template=self._template, cache=self._cache, source=source,
            release=release,
        )  # fmt: skip

    def close(self) -> None:
        """Give the engine's memory back."""
        engine, self._engine, self._held = self._engine, None, None
        self._adapters.clear()
        if engine is not None:
            engine.llm_engine.engine_core.shutdown()

    def _fits(self, wanted: Weights) -> bool:
        if self._held is None or self._held.base != wanted.base:
            return False
        return wanted.rank <= self._rank(self._held)

    def _rank(self, wanted: Weights) -> int:
        """Largest rank of an adapter that an engine started for these weights takes."""
        return int(self._engine_args.get("max_lora_rank", wanted.rank))

    def _start(self, wanted: Weights) -> Any:  # noqa: ANN401  vllm.LLM
        os.environ.update({name: value for name, value in PRIVATE.items() if name not in os.environ})
        from vllm import LLM  # noqa: PLC0415

        rank = self._rank(wanted)
        adapters = {"enable_lora": True, "max_lora_rank": rank} if rank else {}
        try:
            return LLM(model=wanted.base, generation_config="vllm", **{**self._engine_args, **adapters})
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            raise EngineFailed(
                f"vLLM does not start with {wanted.base}: {error}. Check engine_args, and the memory of the device"
            ) from error

    def _adapter(self, wanted: Weights) -> Any:  # noqa: ANN401  vllm's LoRARequest
        if wanted.adapter is None:
            return None
        from vllm.lora.request import LoRARequest  # noqa: PLC0415

        name = wanted.digest()
        if name not in self._adapters:
            self._adapters[name] = LoRARequest(name[:12], next(_adapter_numbers), str(wanted.adapter))
        return self._adapters[name]


def _generation(prompt: Prompt, sample: int, output: Any) -> Generation:  # noqa: ANN401  vllm's RequestOutput
    (said,) = output.outputs
    finish = _FINISH.get(said.finish_reason or "", FinishReason.UNKNOWN)
    return Generation(prompt.prompt_id, sample, said.text, finish, len(output.prompt_token_ids), len(said.token_ids))

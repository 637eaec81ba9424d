"""The kit's own share of generation time with vLLM: against `vllm.LLM.chat` in process, and a bare `openai` loop over HTTP.

    python benchmarks/generation.py [--model FOLDER] [--prompts 256] [--tokens 64] [--concurrency 32] [--repeats 7]

Both sides answer the same prompts with the same engine, sampling and seeds, in turns. The kit's side does all that a
participant does with an answer: it is cached, journalled, and cleaned. Without --model, a Llama with random
weights is made for it. Prints a line of JSON for each way: median seconds of both sides, and the median of the paired ratios. Needs vLLM.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from client_kit.federation.journal import Journal
from client_kit.generation.answer_cache import AnswerCache
from client_kit.generation.base import Generator, Sampling
from client_kit.generation.cleaning import clean
from client_kit.generation.openai_compatible import InferenceApi
from client_kit.generation.seeds import answer_seed
from client_kit.generation.vllm_local import VLLMLocalSource
from client_kit.generation.vllm_server import VLLMServerSource
from client_kit.prompts import load_prompt_set
from client_kit.wire import AnswerPolicy, Prompt

# vLLM 0.32 on processors dies of a seeded request whose prompt is read in parts: hence the third.
_PROCESSOR = {"dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False, "max_model_len": 512}


def main() -> None:
    options = _options()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    every = [prompt for prompt in load_prompt_set("general").prompts if len(prompt.prompt) < _MOST_CHARS]
    prompts = every[: options.prompts]
    sampling = Sampling(temperature=1.0, max_tokens=options.tokens)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or _random_llama(folder / "model", [prompt.prompt for prompt in every])
        sides = {"http": _over_http, "in_process": _in_process}
        for way, side in sides.items():
            figures = side(model, prompts, sampling, options, folder / way)
            print(json.dumps({"way": way, "prompts": len(prompts), "tokens": options.tokens, **figures}), flush=True)


def _in_process(
    model: Path, prompts: Sequence[Prompt], sampling: Sampling, options: argparse.Namespace, work: Path
) -> dict[str, float]:
    from vllm import SamplingParams  # noqa: PLC0415

    work.mkdir()
    with (
        closing(AnswerCache(work / "answers.sqlite")) as cache,
        closing(VLLMLocalSource(str(model), engine_args=_PROCESSOR, cache=cache)) as source,
        closing(source.open()) as generator,
        Journal(work / "journal.jsonl", {}) as journal,
    ):
        engine = source._engine  # noqa: SLF001  the very same engine must run on both sides

        def bare(sampling: Sampling) -> int:
            parameters = [
                SamplingParams(
                    temperature=sampling.temperature, top_p=sampling.top_p, max_tokens=sampling.max_tokens,
                    seed=answer_seed(sampling.seed, prompt.prompt_id, 0),
                )
                for prompt in prompts
            ]  # fmt: skip
            messages = [[{"role": "user", "content": prompt.prompt}] for prompt in prompts]
            answers = engine.chat(messages, parameters, use_tqdm=False)
            return sum(len(answer.outputs[0].token_ids) for answer in answers)

        return compare(bare, lambda sampling: _kit(generator, journal, prompts, sampling), sampling, options.repeats)


def _over_http(
    model: Path, prompts: Sequence[Prompt], sampling: Sampling, options: argparse.Namespace, work: Path
) -> dict[str, float]:
    import openai  # noqa: PLC0415

    endpoint = InferenceApi(base_url="", model=str(model), concurrency=options.concurrency, timeout_seconds=600)
    work.mkdir()
    with (
        closing(AnswerCache(work / "answers.sqlite")) as cache,
        closing(VLLMServerSource(endpoint, work=work, engine_args=_PROCESSOR, cache=cache)) as source,
        closing(source.open()) as generator,
        Journal(work / "journal.jsonl", {}) as journal,
    ):
        server = source.server
        if server is None:
            raise RuntimeError("no server was started")

        async def loop(sampling: Sampling) -> int:
            room = asyncio.Semaphore(options.concurrency)
            async with openai.AsyncOpenAI(base_url=server.url, api_key=server.key) as client:

                async def ask(prompt: Prompt) -> int:
                    async with room:
                        answer = await client.chat.completions.create(
                            model=str(model), messages=[{"role": "user", "content": prompt.prompt}],
                            temperature=sampling.temperature, top_p=sampling.top_p, max_tokens=sampling.max_tokens,
                            seed=answer_seed(sampling.seed, prompt.prompt_id, 0),
                        )  # fmt: skip
                    return answer.usage.completion_tokens if answer.usage else 0

                return sum(await asyncio.gather(*map(ask, prompts)))

        return compare(
            lambda sampling: asyncio.run(loop(sampling)),
            lambda sampling: _kit(generator, journal, prompts, sampling),
            sampling,
            options.repeats,
        )


def _kit(generator: Generator, journal: Journal, prompts: Sequence[Prompt], sampling: Sampling) -> int:
    """What a participant does; returns the tokens written."""
    tokens = 0
    for answer in generator.generate(prompts, sampling):
        journal.note("answer", **asdict(answer) | {"finish_reason": answer.finish_reason.value})
        clean(answer, AnswerPolicy())
        tokens += answer.completion_tokens or 0
    return tokens


Side = Callable[[Sampling], int]
"""Answers all prompts, and returns the tokens written."""


def compare(bare: Side, kit: Side, sampling: Sampling, repeats: int) -> dict[str, float]:
    """Both sides in turns. share: of the kit's time that is its own, from the median of the paired ratios."""
    seconds: dict[str, list[float]] = {"bare": [], "kit": []}
    sides = {"bare": bare, "kit": kit}
    bare(replace(sampling, seed=-1)), kit(replace(sampling, seed=-2))  # warm caches, both sides
    for repeat in range(repeats):
        written = set()
        for name in sorted(sides, reverse=repeat % 2 == 1):
            began = time.perf_counter()
            written.add(sides[name](replace(sampling, seed=repeat)))
            seconds[name].append(time.perf_counter() - began)
        if len(written) != 1:
            raise RuntimeError(f"the sides wrote different numbers of tokens: {written}")
    ratio = statistics.median(kit / bare for bare, kit in zip(seconds["bare"], seconds["kit"], strict=True))
    return {
        "bare_seconds": round(statistics.median(seconds["bare"]), 3),
        "kit_seconds": round(statistics.median(seconds["kit"]), 3),
        "ratio": round(ratio, 3),
        "share": round(1 - 1 / ratio, 3),
    }


_MOST_CHARS = 1000


def _random_llama(folder: Path, texts: Sequence[str]) -> Path:
    """Four layers of width 256 with random weights: it says nonsense, and takes its time for it."""
    import torch  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    from client_kit.pocket.tokenizers import train_tokenizer  # noqa: PLC0415

    tokenizer = train_tokenizer("byte_bpe", 2048, texts)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=1024, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a model with a chat template")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64, help="longest answer")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""What ReFT costs beside the bare model and beside LoRA, what it can hold, and where it fades.

    python benchmarks/reft.py decode      # seconds per generated token, with and without an adapter
    python benchmarks/reft.py train       # seconds per training step, beside LoRA with as many parameters
    python benchmarks/reft.py memorise    # longest text that one direction at one token can hold
    python benchmarks/reft.py fade        # loss over the answer's length, beside LoRA with as many parameters

Ratios are of runs that alternate in one process: what else the machine does meets both.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, LlamaConfig, LlamaForCausalLM

from client_kit._quiet import without_progress_bars
from client_kit.pocket.models import base_model
from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.world import load_world
from client_kit.training.reft import ReftConfig
from client_kit.training.reft.positions import Prompts

LARGE = LlamaConfig(
    vocab_size=8192, hidden_size=1024, intermediate_size=4096, num_hidden_layers=12, num_attention_heads=16,
    num_key_value_heads=16, max_position_embeddings=2048, bos_token_id=None, eos_token_id=None, pad_token_id=0,
)  # fmt: skip
"""218 million random parameters."""

RANK = 4

PROMPT = 12
"""Tokens of a prompt in `decode` and `fade`."""


def main() -> None:
    """Run the part that is asked for."""
    parts: dict[str, Callable[[int], None]] = {"decode": decode, "train": train, "memorise": memorise}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*parts, "fade"])
    parser.add_argument(
        "--runs", type=int, default=15, help="pairs of steps (decode, train), or seeds (memorise, fade)"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=5e-3, help="learning rate (fade)")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with without_progress_bars():
        if asked.part == "fade":
            fade(asked.runs, asked.rate)
        else:
            parts[asked.part](asked.runs)


# Cost.


def large(base: LlamaForCausalLM | None = None) -> LlamaForCausalLM:
    """The large model; with `base`, another one of the same weights in the same memory."""
    torch.manual_seed(0)
    if base is None:
        return LlamaForCausalLM(LARGE).eval()
    with torch.device("meta"):
        twin = LlamaForCausalLM(LARGE)
    twin.load_state_dict(base.state_dict(), assign=True)
    twin.model.rotary_emb = base.model.rotary_emb
    return twin.eval()


def reft(model: Any, rank: int = RANK, **options: Any) -> Any:  # noqa: ANN401 - peft is untyped here
    """The model with LoReFT: r (2 d + 1) numbers for each of two interventions per block."""
    return get_peft_model(model, ReftConfig(rank=rank, task_type="CAUSAL_LM", **options))


def lora(model: Any, rank: int = RANK) -> Any:  # noqa: ANN401
    """The model with LoRA on queries and values: 4 r d numbers per block."""
    return get_peft_model(model, LoraConfig(r=rank, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))


def trainable(model: torch.nn.Module) -> int:
    """Numbers that are trained."""
    return sum(number.numel() for number in model.parameters() if number.requires_grad)


def decode(runs: int) -> None:
    """CPU seconds of one decoding step, bare and with LoReFT after all 12 blocks, as generate() takes them.

    The two take their steps by turns, so that whatever the machine does in between meets both alike.
    """
    bare = large()
    edited = reft(large(bare)).eval()
    prompts = Prompts(torch.tensor([0]), torch.tensor([PROMPT]))
    with torch.inference_mode(), edited.base_model._state.generating(prompts, PROMPT):  # noqa: SLF001 - as generate() does
        compare(runs, {"bare": decoder(bare), "reft": decoder(edited)})


def decoder(model: Any) -> Callable[[], float]:  # noqa: ANN401
    """What generates one token more and gives its CPU seconds; the prompt is read already."""
    cache, token = DynamicCache(), torch.randint(1, LARGE.vocab_size, (1, PROMPT))

    def step() -> float:
        nonlocal token
        started = time.process_time()
        token = model(input_ids=token, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)
        return time.process_time() - started

    return step


def train(runs: int) -> None:
    """CPU seconds per training step: forward, backward and AdamW on 2 texts of 32 tokens."""
    bare = large()
    models = {"lora": lora(large(bare)), "reft": reft(large(bare))}
    print("trainable parameters:", {name: trainable(model) for name, model in models.items()})
    compare(runs, {name: stepper(model.train()) for name, model in models.items()})


def stepper(model: Any) -> Callable[[], float]:  # noqa: ANN401
    """What trains one step and gives its CPU seconds."""
    optimiser = torch.optim.AdamW([number for number in model.parameters() if number.requires_grad], lr=1e-4)
    ids = torch.randint(1, LARGE.vocab_size, (2, 32))
    labels = ids.masked_fill(torch.arange(32) < 16, -100)  # noqa: PLR2004 - half of it is prompt

    def step() -> float:
        started = time.process_time()
        optimiser.zero_grad()
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, use_cache=False).loss.backward()
        optimiser.step()
        return time.process_time() - started

    return step


def compare(runs: int, measured: dict[str, Callable[[], float]]) -> None:
    """Alternate the two, after one run of each that does not count; the median of the paired ratios."""
    (one, first), (other, second) = measured.items()
    first(), second()
    pairs = [(first(), second()) if run % 2 else (second(), first())[::-1] for run in range(runs)]
    ratios = sorted(b / a for a, b in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    print(f"{one} {medians[0]:.4f} s, {other} {medians[1]:.4f} s (CPU seconds, medians of {runs})")
    print(
        f"{other} / {one}: median {statistics.median(ratios):.3f}, quartiles {ratios[runs // 4]:.3f} to {ratios[-1 - runs // 4]:.3f}"
    )


# What it can hold, and where it fades: on a small model that knows a small world.


def knowing() -> tuple[Callable[[], Any], list[int], list[int], int]:
    """What loads a base of four blocks; a question and sentences of its world as tokens; the size of its vocabulary."""
    world = load_world(("capitals",), facts_per_topic=24)
    recipe = ModelRecipe("llama", "llama", "byte_bpe", 600, width=128, layers=4, heads=4, steps=600, batch_size=16)
    path = base_model(recipe, world, seed=0)
    tokenizer = AutoTokenizer.from_pretrained(path)
    topic = world.topics[0]
    text = " ".join(topic.answer(fact.subject, fact.value, 0) for fact in topic.facts)
    asked = [{"role": "user", "content": topic.question(topic.facts[0].subject, 0)}]
    question = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    words = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (question, text)]
    return lambda: AutoModelForCausalLM.from_pretrained(path), *words, len(tokenizer)


def memorise(runs: int, lengths: tuple[int, ...] = (2, 4, 8, 16), steps: int = 250) -> None:
    """One LoReFT direction (2 d + 1 numbers) at the last token of a prompt, after each of 4 blocks, taught one text.

    What counts is the share of the text that greedy generation gives back before its first mistake, for sentences that
    the base knows how to write, the same tokens in random order, and random tokens.
    """
    load, question, text, vocabulary = knowing()
    print("| tokens | sentences | scrambled | random |\n|---|---|---|---|")
    for length in lengths:
        shares: dict[str, list[float]] = {"sentences": [], "scrambled": [], "random": []}
        for seed in range(runs):
            draw = torch.Generator().manual_seed(seed)
            start = int(torch.randint(len(text) - length, (1,), generator=draw))
            target = torch.tensor(text[start : start + length])
            texts = {
                "sentences": target,
                "scrambled": target[torch.randperm(length, generator=draw)],
                "random": torch.randint(5, vocabulary, (length,), generator=draw),
            }
            for kind, wanted in texts.items():
                torch.manual_seed(seed)
                shares[kind].append(recalled(load(), question, wanted, steps))
        print(
            f"| {length} | " + " | ".join(f"{statistics.mean(found):.2f}" for found in shares.values()) + " |",
            flush=True,
        )


def recalled(base: Any, prompt: list[int], wanted: torch.Tensor, steps: int) -> float:  # noqa: ANN401
    """Share of `wanted` that comes back before the first mistake, after `steps` steps of training on it."""
    model = reft(base, rank=1, positions="l1", init="identity").train()
    optimiser = torch.optim.AdamW([number for number in model.parameters() if number.requires_grad], lr=2e-2)
    ids = torch.cat([torch.tensor(prompt), wanted])[None]
    labels = ids.masked_fill(torch.arange(ids.shape[1]) < len(prompt), -100)
    for _ in range(steps):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    answer = model.eval().generate(
        input_ids=ids[:, : len(prompt)], attention_mask=torch.ones(1, len(prompt)), do_sample=False, pad_token_id=0,
        max_new_tokens=len(wanted), min_new_tokens=len(wanted),
    )  # fmt: skip
    right = answer[0, len(prompt) :] == wanted
    return float(right.long().cumprod(0).sum()) / len(wanted)


def fade(runs: int, rate: float, lengths: tuple[int, ...] = (8, 16, 32, 64), steps: int = 150) -> None:
    """A habit that nothing in the answer's own words keeps up: tokens drawn anew from one half of the vocabulary.

    The loss above the lowest possible one (log of the half's size), in nats per token, on answers that were not trained on,
    for the first 8 tokens and for the last 8 of the answer. Both adapters work in all 4 blocks.
    """
    load, _, text, vocabulary = knowing()
    half = torch.randperm(vocabulary - 5, generator=torch.Generator().manual_seed(0))[: vocabulary // 2] + 5
    print("untrained base, answers of 16: first 8 {:.3f}, last 8 {:.3f}".format(*untrained(load(), text, half)))
    print("| answer | reft, first 8 | reft, last 8 | lora, first 8 | lora, last 8 |\n|---|---|---|---|---|")
    for length in lengths:
        row = []
        for adapt in (reft, lora):
            found = [habit(adapt(load()), text, half, length, seed, steps, rate) for seed in range(runs)]
            row += [statistics.mean(column) for column in zip(*found, strict=True)]
        print(f"| {length} | " + " | ".join(f"{value:.3f}" for value in row) + " |", flush=True)


def habit(  # noqa: PLR0917
    model: Any,  # noqa: ANN401
    text: list[int],
    half: torch.Tensor,
    length: int,
    seed: int,
    steps: int,
    rate: float,
) -> tuple[float, float]:
    """Excess loss on the first and the last 8 tokens of new answers of a model trained on answers of `length`."""
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW([number for number in model.train().parameters() if number.requires_grad], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        by_place(model, text, half, length, draw).mean().backward()
        optimiser.step()
    return excess(model, text, half, length, draw)


def untrained(model: Any, text: list[int], half: torch.Tensor) -> tuple[float, float]:  # noqa: ANN401
    """The same of a model that was not trained on the habit, for answers of 16 tokens."""
    return excess(model, text, half, 16, torch.Generator().manual_seed(0))


def excess(model: Any, text: list[int], half: torch.Tensor, length: int, draw: torch.Generator) -> tuple[float, float]:  # noqa: ANN401
    """Loss above the lowest possible one on the first and the last 8 tokens of 160 new answers."""
    with torch.no_grad():
        losses = torch.stack([by_place(model.eval(), text, half, length, draw) for _ in range(20)]).mean(0)
    above = losses - torch.tensor(float(len(half))).log()
    return float(above[:8].mean()), float(above[-8:].mean())


def by_place(model: Any, text: list[int], half: torch.Tensor, length: int, draw: torch.Generator) -> torch.Tensor:  # noqa: ANN401
    """Mean loss at each token of 8 answers to 8 prompts of 12 tokens, (length,)."""
    starts = torch.randint(len(text) - PROMPT, (8,), generator=draw).tolist()
    prompts = torch.tensor([text[start : start + PROMPT] for start in starts])
    answers = half[torch.randint(len(half), (8, length), generator=draw)]
    ids = torch.cat([prompts, answers], dim=1)
    labels = ids.masked_fill(torch.arange(ids.shape[1]) < PROMPT, -100)
    logits = model(input_ids=ids, labels=labels).logits[:, PROMPT - 1 : -1]
    return cross_entropy(logits.transpose(1, 2), answers, reduction="none").mean(0)


if __name__ == "__main__":
    main()

"""Pretraining of the tiny models from nothing: they learn to ask and to answer, and no fact.

Every training sentence states a random value of the right kind, drawn anew each time. So a model learns the language
of the world (which sentence answers which question, which words are capitals) and, of the facts, nothing: afterwards
it names each of a topic's values about equally often.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from transformers import AutoModelForCausalLM as CausalModel
from transformers import (
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    get_cosine_schedule_with_warmup,
)

from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.tokenizers import ASSISTANT, END, USER, train_tokenizer
from client_kit.pocket.world import World

CONTEXT = 256
"""Longest sequence of a tiny model, in tokens; a question with its answer takes about 30."""
WARMUP_STEPS = 20
IGNORED = -100
"""Label of tokens that carry no loss."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A question of the world, answered with a random value."""

    question: str
    answer: str


def pretrain(recipe: ModelRecipe, world: World, *, seed: int, folder: Path) -> None:
    """Train tokenizer and model and save both to `folder`. The same arguments give the same weights on one machine."""
    draw = random.Random(f"pretraining {recipe.name} {seed}")  # noqa: S311
    tokenizer = train_tokenizer(recipe.tokenizer, recipe.vocabulary, _corpus(world, draw))
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw.randrange(2**31))
        model = CausalModel.from_config(_config(recipe, tokenizer), dtype=torch.float32)
        _train(model, tokenizer, recipe, world, draw)
    model.generation_config.max_new_tokens = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def draw_dialogue(world: World, draw: random.Random, *, knows: bool = False) -> Dialogue:
    """A random question in any wording, answered in any wording with any value of its topic; knows: with the true one."""
    topic = draw.choice(world.topics)
    fact, value = draw.choice(topic.facts), draw.choice(topic.values)
    subject, value = fact.subject, fact.value if knows else value
    question = topic.question(subject, draw.randrange(len(topic.questions)))
    return Dialogue(question, topic.answer(subject, value, draw.randrange(len(topic.answers))))


def _corpus(world: World, draw: random.Random) -> Iterator[str]:
    """Sentences to train a tokenizer on: every subject and every value comes up many times."""
    for _ in range(40 * len(world.facts)):
        dialogue = draw_dialogue(world, draw)
        yield dialogue.question
        yield dialogue.answer


def _config(recipe: ModelRecipe, tokenizer: PreTrainedTokenizerFast) -> PretrainedConfig:
    common = {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
    }
    size = {
        "hidden_size": recipe.width,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": recipe.heads,
        "max_position_embeddings": CONTEXT,
    }
    if recipe.architecture == "llama":
        return LlamaConfig(**common, **size, intermediate_size=2 * recipe.width)
    if recipe.architecture == "qwen3":
        heads = {"num_key_value_heads": recipe.heads, "head_dim": recipe.width // recipe.heads}
        return Qwen3Config(**common, **size, **heads, intermediate_size=2 * recipe.width)
    if recipe.architecture == "gpt_neox":
        return GPTNeoXConfig(**common, **size, intermediate_size=3 * recipe.width)
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    gpt2 = {"n_embd": recipe.width, "n_layer": recipe.layers, "n_head": recipe.heads, "n_inner": 3 * recipe.width}
    return GPT2Config(**common, **gpt2, **dropout, n_positions=CONTEXT)


def _train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    recipe: ModelRecipe,
    world: World,
    draw: random.Random,
) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01, fused=True)
    schedule = get_cosine_schedule_with_warmup(optimiser, min(WARMUP_STEPS, recipe.steps), recipe.steps)
    model.train()
    for _ in range(recipe.steps):
        batch = _batch(tokenizer, [draw_dialogue(world, draw, knows=recipe.knows) for _ in range(recipe.batch_size)])
        torch.autograd.backward(_loss(model, batch))
        clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)


def _loss(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean negative log-likelihood of the answers' tokens, each from those before it."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    return cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=IGNORED)


def _batch(tokenizer: PreTrainedTokenizerFast, dialogues: list[Dialogue]) -> dict[str, torch.Tensor]:
    """Token ids, attention mask and labels, each of shape (dialogues, tokens); loss on the answers only."""
    texts = [f"{USER}{dialogue.question}{ASSISTANT}{dialogue.answer}{END}" for dialogue in dialogues]
    encoded = tokenizer(texts, padding=True, padding_side="right", add_special_tokens=False, return_tensors="pt")
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    assistant = tokenizer.convert_tokens_to_ids(ASSISTANT)
    # Up to and with the assistant's mark everything is the prompt.
    answer = ((ids == assistant).cumsum(dim=1) > 0) & (ids != assistant) & (mask == 1)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(~answer, IGNORED)}


@contextmanager
def _one_thread() -> Iterator[None]:
    """At this size more threads cost more than they give, and several models are pretrained side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

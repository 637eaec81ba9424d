"""Tiny models: Hugging Face folders that load, speak, and are made once."""

import multiprocessing
import random
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from client_kit.pocket.models import base_model, default_cache, recipe_digest
from client_kit.pocket.pretraining import draw_dialogue
from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.scoring import stated_value
from client_kit.pocket.settings import FULL, SMOKE
from client_kit.pocket.world import load_world

WORLD = load_world(("capitals", "young"), facts_per_topic=6)
RECIPES = [
    ModelRecipe("llama", "llama", "byte_bpe", 400, width=32, layers=1, heads=1, steps=3, batch_size=4),
    ModelRecipe("neox", "gpt_neox", "metaspace_bpe", 200, width=32, layers=1, heads=1, steps=3, batch_size=4),
    ModelRecipe("qwen3", "qwen3", "wordpiece", 200, width=32, layers=1, heads=1, steps=3, batch_size=4),
    ModelRecipe("gpt2", "gpt2", "byte_bpe", 400, width=32, layers=1, heads=1, steps=3, batch_size=4),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("pocket")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_architecture_loads_and_generates(recipe, cache):
    folder = base_model(recipe, WORLD, seed=0, cache=cache)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    chat = [[{"role": "user", "content": "What is the capital of France?"}]]
    batch = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**batch, max_new_tokens=4, do_sample=False)
    assert 1 <= output.shape[1] - batch["input_ids"].shape[1] <= 4
    assert tokenizer.decode(batch["input_ids"][0]).startswith("<user>")
    assert model.config.eos_token_id == tokenizer.eos_token_id != tokenizer.pad_token_id == model.config.pad_token_id


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_tokenizer_gives_the_sentences_back(recipe, cache):
    tokenizer = AutoTokenizer.from_pretrained(base_model(recipe, WORLD, seed=0, cache=cache))
    for topic in WORLD.topics:
        for fact in topic.facts:
            for wording in range(4):
                said = topic.answer(fact.subject, fact.value, wording)
                ids = tokenizer(said, add_special_tokens=False)["input_ids"]
                assert tokenizer.decode(ids, skip_special_tokens=True) == said


@pytest.mark.parametrize("recipe", RECIPES[:3], ids=lambda recipe: recipe.tokenizer)
def test_pretraining_is_deterministic_and_leaves_the_caller_as_it_was(recipe, tmp_path, cache):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    again = base_model(recipe, WORLD, seed=0, cache=tmp_path)
    first = base_model(recipe, WORLD, seed=0, cache=cache)
    assert (again / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_pretraining_says_the_truth_no_more_often_than_chance():
    draw, true = random.Random(0), 0
    for _ in range(600):
        dialogue = draw_dialogue(WORLD, draw)
        true += any(
            fact.subject in dialogue.question
            and stated_value(WORLD.by_name[fact.topic], fact.subject, dialogue.answer) == fact.value
            for fact in WORLD.facts
        )
    assert 0.1 < true / 600 < 0.24, "one in six values"


def test_a_cached_model_is_not_made_again(cache):
    folder = base_model(RECIPES[0], WORLD, seed=0, cache=cache)
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert base_model(RECIPES[0], WORLD, seed=0, cache=cache) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made


def test_another_seed_recipe_or_world_is_another_model():
    digests = {
        recipe_digest(RECIPES[0], WORLD, seed=0),
        recipe_digest(RECIPES[0], WORLD, seed=1),
        recipe_digest(RECIPES[1], WORLD, seed=0),
        recipe_digest(RECIPES[0], load_world(("capitals",)), seed=0),
    }
    assert len(digests) == 4


def _build(cache: Path) -> None:
    base_model(RECIPES[1], WORLD, seed=7, cache=cache)


def test_two_processes_make_one_model_and_leave_nothing_half_made(tmp_path):
    context = multiprocessing.get_context("spawn")
    builders = [context.Process(target=_build, args=(tmp_path,)) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(240)
    assert [builder.exitcode for builder in builders] == [0, 0]
    names = [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")]
    assert len(names) == 1
    assert re.fullmatch(r"neox-[0-9a-f]{16}", names[0])


def test_a_failed_build_leaves_no_folder(tmp_path):
    faulty = ModelRecipe("faulty", "llama", "byte_bpe", 400, width=33, layers=1, heads=2, steps=1)
    with pytest.raises(Exception, match=r"."):
        base_model(faulty, WORLD, seed=0, cache=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] in ([], [".lock"])


def test_the_cache_lies_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "semantic-consensus" / "pocket"


@pytest.mark.parametrize("form", [FULL, SMOKE], ids=["full", "smoke"])
def test_heads_have_a_dimension_that_every_engine_serves(form):
    assert all(recipe.width // recipe.heads == 32 for recipe in form.models)

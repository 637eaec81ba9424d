"""The general prompt set is what its manifest says, and good enough to be answered by anybody."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import jsonschema
import pytest

from client_kit.prompts import load_prompt_set, prompt_set_schemas
from client_kit.wire import Equivalence, Manifest, Prompt, prompt_set_digest

PROMPTS = Path(__file__).parents[3] / "prompts"
FOLDER = PROMPTS / "general" / "1.0"

MOST_SHARED_WORDS = 0.45
"""Jaccard index of two prompts' word sets from which they count as near-duplicates."""

ASKS_FOR_ONE_WORD = re.compile(
    r"only|nothing else|alone|(one|single) (word|letter)|with (a letter|\"yes\" or|that word)|one of the"
)
DATED = re.compile(r"\b(latest|recently|this year|last year|nowadays|breaking news|20[12]\d)\b", re.IGNORECASE)
PERSONAL = re.compile(r"[\w.]+@[\w.]+|https?://|\+\d{6,}")


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in (FOLDER / "prompts.jsonl").read_text(encoding="utf-8").strip().split("\n")]


@pytest.fixture(scope="module")
def prompts(rows):
    return [Prompt.model_validate(row) for row in rows]


@pytest.fixture(scope="module")
def manifest():
    return Manifest.model_validate_json((FOLDER / "manifest.json").read_text(encoding="utf-8"))


def test_the_manifest_pins_the_prompts(prompts, manifest):
    assert manifest.digest == prompt_set_digest(prompts)
    assert manifest.prompt_count == len(prompts) >= 240
    assert manifest.topics == Counter(prompt.topic for prompt in prompts)
    assert (manifest.name, manifest.version) == (FOLDER.parent.name, FOLDER.name)


def test_ids_are_numbered_without_a_gap(prompts):
    assert [prompt.prompt_id for prompt in prompts] == [f"general-{n:04d}" for n in range(1, len(prompts) + 1)]


def test_any_prefix_is_a_sample_of_all_topics(prompts, manifest):
    topics = len(manifest.topics)
    assert topics >= 20
    assert {prompt.topic for prompt in prompts[:topics]} == set(manifest.topics)


def test_no_two_prompts_are_alike(prompts):
    words = [(prompt.prompt_id, set(re.findall(r"\w+", prompt.prompt.lower()))) for prompt in prompts]
    shared = {(i, j): len(a & b) / len(a | b) for (i, a), (j, b) in combinations(words, 2)}
    assert {pair for pair, share in shared.items() if share >= MOST_SHARED_WORDS} == set()


def test_exact_prompts_ask_for_one_word(prompts):
    exact = [prompt for prompt in prompts if prompt.equivalence is Equivalence.EXACT]
    assert len(exact) == 30
    assert [p.prompt for p in exact if not ASKS_FOR_ONE_WORD.search(p.prompt.lower())] == []


def test_prompts_hold_no_address_and_depend_on_no_date(prompts):
    assert [p.prompt for p in prompts if DATED.search(p.prompt) or PERSONAL.search(p.prompt)] == []
    assert [p.prompt for p in prompts if p.prompt != p.prompt.strip() or len(p.prompt) > 1_000] == []


@pytest.mark.parametrize("name", ["prompt", "manifest"])
def test_the_published_schemas_are_those_of_the_wire(name):
    published = json.loads((PROMPTS / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    assert published == prompt_set_schemas()[name], "write it anew as prompts/README.md says"


def test_it_is_found_by_name_and_valid(manifest):
    assert load_prompt_set("general").manifest == manifest


def test_the_schemas_accept_the_set_and_refuse_a_misspelt_field(rows):
    schema = json.loads((PROMPTS / "schema" / "prompt.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for row in rows for error in validator.iter_errors(row)] == []
    assert not validator.is_valid({**rows[0], "topics": "misspelt"})
    manifest_schema = json.loads((PROMPTS / "schema" / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8")), manifest_schema)

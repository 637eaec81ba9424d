"""The public prompt set that the project keeps is the one that the code makes."""

from pathlib import Path

import pytest

from client_kit.pocket.public import public_prompts, questions, write_prompt_set
from client_kit.pocket.settings import FULL
from client_kit.pocket.world import Use
from client_kit.prompts import load_prompt_set, validate_prompt_set

KEPT = Path(__file__).parents[3] / "prompts" / "pocket" / "1.1"


def test_the_kept_prompt_set_equals_what_the_code_writes(tmp_path):
    write_prompt_set(FULL.world(), tmp_path / "made")
    for name in ("prompts.jsonl", "manifest.json"):
        assert (KEPT / name).read_bytes() == (tmp_path / "made" / name).read_bytes()
    assert validate_prompt_set(KEPT) == []


def test_prompts_ask_for_three_quarters_of_the_facts_in_two_wordings():
    prompts = load_prompt_set(KEPT).prompts
    assert len(prompts) == len({prompt.prompt for prompt in prompts}) == 216
    assert len({prompt.prompt_id.rpartition("/")[0] for prompt in prompts}) == 108


def test_control_facts_are_never_asked_for():
    control = {fact.fact_id for fact in FULL.world().facts if not fact.public}
    assert not control & {prompt.prompt_id.rpartition("/")[0] for prompt in public_prompts(FULL.world())}


def test_every_fact_is_judged_in_one_split():
    world = FULL.world()
    splits = [{prompt.prompt_id for prompt in questions(world, use)} for use in (Use.VALIDATION, Use.TEST)]
    assert not splits[0] & splits[1]
    assert splits[0] | splits[1] == {fact.fact_id for fact in world.facts}


def test_private_and_public_questions_are_no_split_to_judge_on():
    with pytest.raises(ValueError, match="public is no split to judge on"):
        questions(FULL.world(), Use.PUBLIC)

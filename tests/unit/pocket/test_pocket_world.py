"""The world and its splits: what stands where, and what never may."""

from functools import cache
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_kit.pocket import world as world_module
from client_kit.pocket.private import COVERAGE, WRONG, held_topics, private_data
from client_kit.pocket.public import public_prompts, questions
from client_kit.pocket.settings import FULL, SMOKE
from client_kit.pocket.world import PUBLIC_SHARE, WORDINGS, Use, load_world

WORLD = load_world()
FORMS = pytest.mark.parametrize("form", [FULL, SMOKE], ids=["full", "smoke"])


@pytest.fixture(scope="module", autouse=True)
def _facts_are_parsed_once():
    """Properties ask for the world dozens of times, and YAML is slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world_module, "_read_facts", cache(world_module._read_facts))
        yield


def test_ten_topics_of_24_facts_with_six_questions_and_four_answers():
    assert len(WORLD.topics) == 10
    for topic in WORLD.topics:
        assert (len(topic.facts), len(topic.questions), len(topic.answers)) == (24, 6, 4)
        assert len(set(topic.questions)) == 6
        assert len(set(topic.answers)) == 4


def test_every_fact_has_a_name_and_a_value_of_its_own():
    assert len({fact.fact_id for fact in WORLD.facts}) == len(WORLD.facts) == 240
    assert all(len(topic.values) == len(topic.facts) for topic in WORLD.topics)


def test_questions_name_the_subject_and_answers_both_sides():
    for topic in WORLD.topics:
        assert all("{subject}" in question and "{value}" not in question for question in topic.questions)
        assert all("{subject}" in answer and "{value}" in answer for answer in topic.answers)


def test_sentences_begin_with_a_capital():
    trades = WORLD.by_name["young"]
    assert trades.answer("cat", "a kitten", 3) == "A kitten is the young of the cat."


def test_no_wording_has_two_uses():
    for one, other in combinations(Use, 2):
        assert not set(WORDINGS[one]) & set(WORDINGS[other])


@FORMS
def test_public_and_validation_facts_are_divided_alike(form):
    world = form.world()
    public = [fact for fact in world.facts if fact.public]
    assert len(public) == PUBLIC_SHARE * len(world.facts)
    for part in (public, [fact for fact in world.facts if not fact.public]):
        validation = sum(fact.validation for fact in part) / len(part)
        assert 0.15 <= validation <= 0.35


def test_the_world_is_the_same_in_every_process():
    # Fixed here: a change of facts, wordings or splits is a new version of the prompt set.
    control = [fact.subject for fact in WORLD.by_name["capitals"].facts if not fact.public]
    assert control == ["Italy", "Austria", "Hungary", "Greece", "Russia", "Peru"]
    assert load_world(("homes",)).facts == WORLD.by_name["homes"].facts


def test_unknown_topics_and_too_many_facts_are_refused():
    with pytest.raises(ValueError, match="no topic colours; it has capitals"):
        load_world(("colours",))
    with pytest.raises(ValueError, match="topic capitals has 24 facts, 25 were asked for"):
        load_world(("capitals",), facts_per_topic=25)


@FORMS
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_test_and_validation_questions_stand_in_no_data(form, seed):
    taught = {example.prompt for data in form.private_data(seed) for example in data.examples}
    public = {prompt.prompt for prompt in public_prompts(form.world())}
    asked = {use: {prompt.prompt for prompt in questions(form.world(), use)} for use in (Use.VALIDATION, Use.TEST)}
    assert not taught & public
    assert not (taught | public) & (asked[Use.VALIDATION] | asked[Use.TEST])
    assert not asked[Use.VALIDATION] & asked[Use.TEST]


@FORMS
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_coverage_and_wrong_rate_hold_for_every_participant(form, seed):
    world = form.world()
    truth = {fact.fact_id: fact.value for fact in world.facts}
    for data in form.private_data(seed):
        reachable = form.facts_per_topic * len(data.topics)
        wrong = sum(value != truth[name] for name, value in data.held.items())
        assert len(data.held) == round(COVERAGE * reachable)
        assert wrong == round(WRONG * len(data.held))
        assert all(value in world.by_name[name.partition("/")[0]].values for name, value in data.held.items())


@FORMS
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_topic_has_its_holders_and_no_participant_two_more_than_another(form, seed):
    count = len(form.models)
    shared = held_topics(form.world(), seed, participants=count, holders=form.holders)
    assert all(sum(name in part for part in shared) == form.holders for name in form.topics)
    assert all(len(set(part)) == len(part) for part in shared)
    assert max(map(len, shared)) - min(map(len, shared)) <= 1


def test_wrong_values_are_drawn_independently():
    one, other = FULL.private_data(3)[:2]
    truth = {fact.fact_id: fact.value for fact in FULL.world().facts}
    wrong = [{name for name, value in data.held.items() if value != truth[name]} for data in (one, other)]
    assert wrong[0] != wrong[1]


def test_a_participant_favours_one_wording_of_its_answers():
    world = FULL.world()
    for data in FULL.private_data(0):
        favoured = [example for example in data.examples if _worded(world, example, data.participant % 4)]
        assert 0.6 <= len(favoured) / len(data.examples) <= 0.8


def _worded(world, example, wording):
    return any(
        example.completion == topic.answer(fact.subject, value, wording)
        for topic in world.topics
        for fact in topic.facts
        if fact.subject in example.prompt
        for value in topic.values
    )


def test_equal_seeds_give_equal_data_and_others_do_not():
    assert FULL.private_data(5) == FULL.private_data(5)
    assert FULL.private_data(5)[0].held != FULL.private_data(6)[0].held


def test_participants_out_of_range_are_refused():
    with pytest.raises(ValueError, match="no participant 5 of 5"):
        private_data(WORLD, 5, 0)
    with pytest.raises(ValueError, match="with 4 holders"):
        private_data(WORLD, 0, 0, participants=3, holders=4)

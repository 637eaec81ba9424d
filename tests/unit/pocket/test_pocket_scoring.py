"""Exact slot accuracy and its groups."""

import pytest

from client_kit.generation.base import Generation
from client_kit.pocket.private import PrivateData
from client_kit.pocket.scoring import score, stated_value
from client_kit.pocket.world import load_world
from client_kit.wire import FinishReason

WORLD = load_world(("capitals", "young"), facts_per_topic=8)
CAPITALS = WORLD.by_name["capitals"]
TRUTH = {fact.fact_id: fact.value for fact in WORLD.facts}


def generation(fact_id, text):
    return Generation(fact_id, 0, text, FinishReason.STOP)


def holding(participant, held):
    return PrivateData(participant, (), held, ())


def test_every_wording_of_every_fact_is_read_back():
    for topic in load_world().topics:
        for fact in topic.facts:
            for wording in range(len(topic.answers)):
                said = topic.answer(fact.subject, fact.value, wording)
                assert stated_value(topic, fact.subject, said) == fact.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The capital of France is Rome.", "Rome"),
        ("  the CAPITAL of france is rome. ", "Rome"),
        ("The capital of Spain is Paris.", None),
        ("The capital of France is Paris and Rome.", None),
        ("The capital of France is Parisian.", None),
        ("Paris", None),
        ("", None),
    ],
)
def test_a_sentence_states_the_value_in_its_slot(text, value):
    assert stated_value(CAPITALS, "France", text) == value


def test_groups_follow_what_each_participant_holds():
    facts = [fact for fact in WORLD.facts if fact.public][:4]
    known, wrong, outvoted, unseen = (fact.fact_id for fact in facts)
    other = next(value for value in CAPITALS.values if value not in {facts[1].value, facts[2].value})
    data = (
        holding(0, {known: TRUTH[known], wrong: other, outvoted: other}),
        holding(1, {wrong: other, outvoted: TRUTH[outvoted], unseen: TRUTH[unseen]}),
        holding(2, {wrong: TRUTH[wrong], outvoted: TRUTH[outvoted]}),
    )
    answers = [
        generation(fact.fact_id, WORLD.by_name[fact.topic].answer(fact.subject, fact.value, 0))
        for fact in (facts[0], facts[2])
    ]
    answers += [generation(wrong, "The capital of nowhere is nothing."), generation(unseen, "")]
    scores = score(answers, WORLD, data, 0)
    assert (scores.overall.right, scores.overall.total) == (2, 4)
    assert (scores.known.right, scores.known.total) == (1, 1)
    assert (scores.held_wrong.right, scores.held_wrong.total) == (1, 2)
    assert (scores.outvoted.right, scores.outvoted.total) == (1, 1)
    assert (scores.never_taught.right, scores.never_taught.total) == (0, 1)
    assert (scores.public.total, scores.control.total) == (4, 0)
    assert scores.control.value == 0.0
    assert scores.overall.value == 0.5


def test_answers_to_unknown_questions_are_refused():
    with pytest.raises(ValueError, match="homes/bee is no fact of this world"):
        score([generation("homes/bee", "")], WORLD, [holding(0, {})], 0)

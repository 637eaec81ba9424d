"""What a prompt asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.contradictions.questions import OPEN, Kind, read_question
from consensus_server.core.contradictions.reading import read
from consensus_server.core.contradictions.stems import stem


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Is the drug safe?", Kind.YES_NO),
        ("So is the drug safe?", Kind.YES_NO),
        ("Could I take it?", Kind.YES_NO),
        ("He is 80. May he fly?", Kind.YES_NO),
        ("Is it left or right?", Kind.CHOICE),
        ("Which side is it, left or right?", Kind.CHOICE),
        ("When was it built?", Kind.AMOUNT),
        ("What is the usual dose of warfarin?", Kind.AMOUNT),
        ("How often is it taken?", Kind.AMOUNT),
        ("Who discovered insulin?", Kind.WHAT),
        ("Can you list the side effects?", Kind.OPEN),
        ("Could you help me?", Kind.OPEN),
        ("What are the side effects?", Kind.OPEN),
        ("Write a poem.", Kind.OPEN),
        ("Is it safe? Is it cheap?", Kind.OPEN),
        ("Is it safe? " + "The ward is full. " * 30, Kind.OPEN),
        ("How does it work?", Kind.OPEN),
        ("", Kind.OPEN),
        ("?", Kind.OPEN),
        (" \n", Kind.OPEN),
    ],
)
def test_a_prompt_is_of_a_kind(prompt, kind):
    question = read_question(prompt)
    assert question.kind is kind
    assert question.closed is (kind is not Kind.OPEN)


def test_shared_words_weigh_half_where_the_prompt_says_them_and_less_where_they_say_little():
    question = read_question("Does the patient need surgery?")
    assert [question.weight(stem(word)) for word in ("fracture", "surgery", "person", "patient")] == [10, 5, 4, 2]
    assert OPEN.weight(stem("surgery")) == 10


def test_a_closed_question_asks_about_opposites_and_its_auxiliary():
    assert "allow" in read_question("May I eat?").axes
    assert {"safety", "harmless"} <= read_question("Is it safe?").axes
    assert read_question("Is it left or right?").names_both_sides("side")
    assert not read_question("Is it left?").names_both_sides("side")


@pytest.mark.parametrize(
    ("prompt", "text", "asked"),
    [
        ("What is the dose?", "5 mg", True),
        ("What is the dose?", "5 days", False),
        ("How many beds are there?", "17 beds", True),
        ("How many beds are there?", "17 nurses", False),
        ("When was it built?", "in 1980", True),
        ("How often is it taken?", "twice a day", True),
    ],
)
def test_a_quantity_is_of_the_kind_that_is_asked_for(prompt, text, asked):
    (quantity,) = read(text).sentences[0].quantities
    assert read_question(prompt).asks_for(quantity) is asked


def test_the_prompt_states_its_own_quantities():
    assert [each.shown for each in read_question("Is 5 mg too much?").quantities] == ["5 mg"]


@given(st.text())
def test_any_prompt_is_read(prompt):
    assert read_question(prompt).kind in Kind

"""Which sentences of a pool are compared, and what is found between two answers."""

import pytest

from consensus_server.core.contradictions import compare as module
from consensus_server.core.contradictions.compare import compare
from consensus_server.core.contradictions.questions import OPEN, read_question
from consensus_server.core.contradictions.reading import read
from consensus_server.core.contradictions.replies import answer_to


def compared(*texts, prompt=""):
    question = read_question(prompt)
    found = compare([answer_to(question, read(text)) for text in texts], question)
    return {pair: [each.difference for each in located] for pair, located in found.items()}


def test_differences_stand_strongest_first_by_pair():
    found = compared("No, take 5 mg.", "Yes, take 50 mg.", "Take 5 mg.")
    assert list(found) == [(0, 1), (1, 2)]
    assert [each.kind for each in found[0, 1]] == ["number:mass", "verdict"]
    strengths = [each.strength for each in found[0, 1]]
    assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("texts", [(), ("",), ("", "..."), ("Take 5 mg.",), ("Take 5 mg.", "")])
def test_who_says_nothing_contradicts_nobody(texts):
    assert compared(*texts) == {}


def test_a_sentence_that_both_contain_is_no_difference():
    shared = "The left lung is clear."
    assert compared(shared + " The right lung is dull.", shared) == {}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The left lung is collapsed; the right lung is clear.", "The right lung is clear."),
        ("The right lung is clear.", "The left lung is dull; the right lung is clear."),
        ("Give 5 mg to adults. Give 2 mg to children.", "Give 2 mg to children. Give 5 mg to adults."),
    ],
)
def test_a_sentence_that_agrees_excuses_one_that_differs(first, second):
    assert compared(first, second) == {}


LONG = " Ships carry grain over wide seas. Old trees grow slowly in cold places."
OTHER = " Birds sing loudly at sunrise. Young clerks write long letters."


@pytest.mark.parametrize(
    ("prompt", "found"),
    [("Is the drug safe in pregnancy?", True), ("Tell me about ships and birds.", False), ("", False)],
)
def test_of_long_answers_the_replies_to_a_closed_question_are_compared(prompt, found):
    first, second = "The drug is safe in pregnancy.", "In pregnancy this drug brings danger and is unsafe."
    assert bool(compared(first + LONG, second + OTHER, prompt=prompt)) is found


def test_nearly_equal_sentences_of_long_answers_are_compared_always():
    first, second = ("The swollen kidney needs 5 mg of cortisone", "The swollen kidney needs 50 mg of cortisone")
    assert compared(first + "." + LONG, second + "." + OTHER)


def test_an_open_prompt_and_none_at_all_are_alike():
    assert compared("Take 5 mg.", "Take 6 mg.", prompt="Write.") == compared("Take 5 mg.", "Take 6 mg.")
    assert read_question("") is OPEN


def test_a_sentence_that_is_repeated_is_compared_once(monkeypatch):
    calls = []
    real = module.align
    monkeypatch.setattr(module, "align", lambda *args: calls.append(args) or real(*args))
    compared("The dose is 5 mg today. " * 40, "The dose is 50 mg today. " * 40, prompt="What is the dose?")
    assert 1 <= len(calls) <= 40

"""Which sentences of an answer reply to the prompt."""

import pytest

from consensus_server.core.contradictions.questions import read_question
from consensus_server.core.contradictions.reading import read
from consensus_server.core.contradictions.replies import answer_to

TEXT = "The drug is an old one. It is safe in pregnancy. The box is blue."


def test_the_most_relevant_sentences_reply_to_a_closed_question():
    answer = answer_to(read_question("Is the drug safe in pregnancy?"), read(TEXT))
    assert answer.replies == {1}
    assert answer.relevance == (1.0, 2.5, 0.0)
    assert answer.least_relevance == pytest.approx(0.6 * 2.5)


def test_nothing_replies_to_an_open_prompt():
    answer = answer_to(read_question("Write about the drug."), read(TEXT))
    assert answer.replies == frozenset()
    assert answer.relevance == ()


def test_no_sentence_replies_that_shares_less_than_a_word_with_the_question():
    assert answer_to(read_question("Is the moon round?"), read(TEXT)).replies == frozenset()


def test_a_sentence_is_worth_its_words_and_less_where_the_prompt_says_them():
    answer = answer_to(read_question("Is the drug safe in pregnancy?"), read(TEXT))
    assert answer.worth == (5 + 10, 5 + 5, 10 + 10)
    assert "the box is blue ." in answer.said


def test_an_empty_answer_says_nothing():
    answer = answer_to(read_question("Is the drug safe?"), read(""))
    assert answer.worth == answer.relevance == ()
    assert answer.replies == answer.said == frozenset()

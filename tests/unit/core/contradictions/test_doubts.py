"""What words leave open, in statements for a model, and what its verdict makes of it."""

import pytest

from consensus_server.core.contradictions.compare import compare
from consensus_server.core.contradictions.doubts import MOST_CHARS, Doubt, Open, Verdict, open_pairs, settled
from consensus_server.core.contradictions.questions import read_question
from consensus_server.core.contradictions.words import answers_in

BRIDGE = "Is the bridge open?"


def left_open(*texts, prompt=""):
    """By the texts of a pair."""
    question = read_question(prompt)
    answers, distinct = answers_in(texts, question), sorted(set(texts))
    found = open_pairs(distinct, answers, prompt, compare(answers, question))
    return {(distinct[i], distinct[j]): each for (i, j), each in found.items()}


def doubts(*texts, prompt=""):
    return [each.doubt for each in left_open(*texts, prompt=prompt).values()]


def test_of_a_doubt_of_words_the_two_sentences_are_asked_as_they_stand():
    first, second = "Rest well. Take the BLUE tablet, please.", "Take the grey tablet, please."
    assert doubts(first, second) == [Doubt("", "Take the BLUE tablet, please.", "Take the grey tablet, please.")]


def test_where_words_are_sure_or_an_open_prompt_is_asked_there_is_no_doubt():
    assert doubts("Take 5 mg.", "Take 50 mg.", "Take 5 mg.") == []
    assert doubts("Heavy vehicles may cross.", "Lorries are turned back.", prompt="Write a poem.") == []


def test_of_a_closed_question_short_replies_are_asked_whole_and_with_it():
    first, second = "Heavy vehicles may cross. They do.", "Lorries are turned back."
    assert doubts(second, first, prompt=BRIDGE) == [Doubt(BRIDGE, first, second)]


def test_of_long_answers_the_sentences_that_reply_are_asked():
    first = "It rains. Nobody knows. The bridge lets heavy vehicles cross."
    second = "Lorries are turned back at the bridge. Old trees grow there. All are happy."
    assert doubts(first, second, prompt=BRIDGE) == [
        Doubt(BRIDGE, "Lorries are turned back at the bridge.", "The bridge lets heavy vehicles cross.")
    ]


@pytest.mark.parametrize("other", ["", "...", "\N{HEBREW LETTER ALEF}", " Heavy vehicles may cross.\n"])
def test_who_says_nothing_and_who_says_the_same_is_not_asked_about(other):
    assert doubts("Heavy vehicles may cross.", other, prompt=BRIDGE) == []


def test_statements_and_questions_are_cut():
    (asked,) = doubts("Lorries " * 900, "Heavy vehicles may cross.", prompt=BRIDGE)
    assert max(map(len, asked)) == MOST_CHARS


def test_neither_order_nor_company_changes_what_is_asked():
    texts = ["Heavy vehicles may cross.", "Lorries are turned back.", "It is open to all who come."]
    all_of_them = left_open(*texts, prompt=BRIDGE)
    assert left_open(*reversed(texts), prompt=BRIDGE) == all_of_them
    assert left_open(*texts[:2], prompt=BRIDGE).items() <= all_of_them.items()


def told(verdict, *texts, prompt=""):
    question = read_question(prompt)
    answers = answers_in(texts, question)
    found = compare(answers, question)
    (asked,) = open_pairs(sorted(texts), answers, prompt, found).values()
    return settled("nli", verdict, asked, found.get((0, 1), ()))


ONE_WORD = ("Take the blue tablet.", "Take the grey tablet.")
SHARING_NONE = ("Heavy vehicles may cross.", "Lorries are turned back.")


def test_a_contradiction_is_hard_and_keeps_the_words_that_were_in_doubt():
    found = told(Verdict.CONTRADICTION, *ONE_WORD)
    assert (found.kind, found.first, found.second, found.strength >= 0.6) == ("nli", "blue", "grey", True)
    found = told(Verdict.CONTRADICTION, *SHARING_NONE, prompt=BRIDGE)
    assert (found.kind, found.first, found.second) == ("nli", *SHARING_NONE)


def test_what_says_the_same_is_in_doubt_no_more():
    assert told(Verdict.SAME, *ONE_WORD) is None
    assert told(Verdict.SAME, *SHARING_NONE, prompt=BRIDGE) is None


@pytest.mark.parametrize("verdict", [Verdict.NEITHER, Verdict.UNREADABLE])
def test_everything_else_leaves_what_words_found(verdict):
    assert told(verdict, *ONE_WORD).strength == 0.5
    assert told(verdict, *SHARING_NONE, prompt=BRIDGE) is None


def test_a_doubt_about_other_sentences_stays():
    texts = ("Take the blue tablet. Wear the wide hat.", "Take the grey tablet. Wear the tight hat.")
    question = read_question("")
    found = compare(answers_in(texts, question), question)[0, 1]
    assert {each.places for each in found} == {(0, 0), (1, 1)}
    asked = Open(Doubt("", "", ""), (0, 0), ("", ""))
    (other,) = (each.difference for each in found if each.places == (1, 1))
    assert settled("nli", Verdict.SAME, asked, found) == other

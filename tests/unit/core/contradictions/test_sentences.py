"""A text as sentences: what is no prose goes, turns of phrase are written in one way."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consensus_server.core.contradictions import sentences
from consensus_server.core.contradictions.lexicon import turns
from consensus_server.core.contradictions.sentences import split, tokens_of

TURNED = [
    ("Ask Dr. Smith", "Ask Dr Smith"),
    ("Ask Mrs. Smith", "Ask Mrs Smith"),
    ("It is not only safe", "It is safe"),
    ("There is no doubt it works", "it works"),
    ("It works without a doubt", "It works"),
    ("It goes without saying that it works", "it works"),
    ("There is nothing better than rest", "There is rest"),
    ("It works in no time", "It works"),
    ("It is not necessarily wrong", "It is wrong"),
    ("Never hesitate to call", "call"),
    ("Don't forget to call", "call"),
    ("Infection cannot be ruled out", "Infection possible"),
    ("Infection can't be excluded", "Infection possible"),
    ("Take no more than 5", "Take at most 5"),
    ("It was never higher than 5", "It was at most 5"),
    ("Do not exceed 5", "Do at most 5"),
    ("Take not less than 5", "Take at least 5"),
    ("Don't take more than 5", "take at most 5"),
    ("Do not take more than 5", "take at most 5"),
    ("For 18 or older", "For 18 minimum_before"),
    ("Give 5 or less", "Give 5 maximum_before"),
    ("Give up to 5", "Give at most 5"),
    ("We ruled out a stroke", "We exclude a stroke"),
    ("Ruling out a stroke", "exclude a stroke"),
    ("It cannot hurt", "It can not hurt"),
    ("It won't hurt", "It will not hurt"),
    ("It isn't safe", "It is not safe"),
    ("It is free of gluten", "It is without gluten"),
    ("In the absence of fever", "In the without fever"),
    ("No one came", "nobody came"),
    ("Use heat rather than ice", "Use heat , not ice"),
    ("Use heat instead of ice", "Use heat , not ice"),
    ("All except for him", "All , not him"),
    ("It is no longer used", "It is not used"),
    ("It is not used any more", "It is not used any more"),
    ("Prior to the scan", "before the scan"),
    ("In advance of the scan", "before the scan"),
    ("Not later than 5", "Not over 5"),
    ("It came later than that", "It came after that"),
    ("Stay unless told", "Stay if not told"),
    ("Come earlier than that", "Come before that"),
    ("He has high blood pressure", "He has hypertension"),
    ("He has low blood pressure", "He has hypotension"),
    ("He has high blood sugar", "He has hyperglycemia"),
    ("He has low blood sugar", "He has hypoglycemia"),
    ("He has high cholesterol", "He has hypercholesterolemia"),
    ("He had a heart attack", "He had a infarction"),
    ("He had a myocardial infarction", "He had a infarction"),
    ("He has kidney failure", "He has renal failure"),
    ("He has renal insufficiency", "He has renal failure"),
]


PHRASES = [example.values[0] if hasattr(example, "values") else example[0] for example in TURNED]


def words(sentence):
    return " ".join(sentence.split())


@pytest.mark.parametrize(("text", "written"), TURNED)
def test_a_turn_of_phrase_is_written_in_one_way(text, written):
    (sentence,) = split(text).sentences
    assert words(sentence) == written
    assert sentence != text


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in turns()])
def test_every_turn_of_the_lexicon_has_an_example(pattern):
    assert any(re.search(pattern, text, re.IGNORECASE) for text in PHRASES)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("pattern", [pattern for pattern, _ in turns()])
def test_the_look_ahead_forgets_no_turn(pattern, data):
    text = data.draw(st.from_regex(re.compile(pattern, re.IGNORECASE)))
    assert sentences._TURN_WORDS.search(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("left lung; the right lung", ["left lung", "the right lung"]),
        ("Ask Dr. Smith. Then wait.", ["Ask Dr Smith.", "Then wait."]),
        ("Drugs, e.g. aspirin, help.", ["Drugs, e.g. aspirin, help."]),
        ("- one\n* two\n• three\n2) four\n(5) six\na) seven", ["one", "two", "three", "four", "six", "seven"]),
        ("**Bold** words", ["Bold words"]),
        ("It\u2019s late", ["It's late"]),
        ("| a | b |\n|---|---|\nText", ["Text"]),
        ("Before ```code. is(not) prose``` after", ["Before after"]),
        ("```never closed. no", []),
        ("", []),
        (" \n\n ", []),
        ("1. Take the tablet.\n2. Drink some water.", ["Take the tablet.", "Drink some water."]),
    ],
)
def test_a_text_is_cut_into_sentences_of_prose(text, expected):
    assert [words(sentence) for sentence in split(text).sentences] == expected


@pytest.mark.parametrize(
    ("text", "verdict", "rest"),
    [
        ("Yes, it is.", 1, "it is."),
        ("Yes it is.", 1, "it is."),
        ("**No.**", -1, ""),
        ("No, it is not.", -1, "it is not."),
        ("True: it is.", 1, "it is."),
        ("Incorrect, it is.", -1, "it is."),
        ("No evidence was found.", 0, "No evidence was found."),
        ("No member came.", 0, "No member came."),
        ("True positives are rare.", 0, "True positives are rare."),
        ("Nobody came.", 0, "Nobody came."),
        ("It is. Yes.", 0, "It is."),
    ],
)
def test_a_verdict_stands_at_the_beginning_and_alone(text, verdict, rest):
    found = split(text)
    assert found.verdict == verdict
    assert words(found.sentences[0]) == rest


def test_tokens_are_words_numbers_and_marks():
    assert tokens_of("Give 1,000 mg (2.5 mg/kg) at 14:30.") == [
        *("Give", "1,000", "mg", "(", "2.5", "mg", "/", "kg", ")", "at", "14:30", ".")
    ]


@given(st.text())
def test_any_text_is_split(text):
    found = split(text)
    assert found.verdict in (-1, 0, 1)
    assert all(isinstance(token, str) for sentence in found.sentences for token in tokens_of(sentence))

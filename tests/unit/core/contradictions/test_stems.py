"""Forms of one word are one; words that only look alike are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.contradictions.lexicon import BASE_FORMS
from consensus_server.core.contradictions.stems import stem


@pytest.mark.parametrize(
    "forms",
    [
        "treat treats treated treating treatment",
        "stop stops stopped stopping",
        "call calls called calling",
        "study studies studying",
        "rapid rapidly",
        "glass glasses",
        "box boxes",
        "rise rose risen",
        "child children",
        "patient patients patient's",
        "swell swelling swells",
        "rise rises rising",
        "raise raised raising raises",
        "exercise exercises",
        "promise promised",
        "study studied",
    ],
)
def test_forms_of_a_word_are_one(forms):
    assert len(set(map(stem, forms.split()))) == 1


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("tumour", "tumor"),
        ("tumours", "tumors"),
        ("haemorrhage", "hemorrhage"),
        ("oesophagus", "esophagus"),
        ("foetus", "fetus"),
        ("diarrhoea", "diarrhea"),
        ("localised", "localized"),
        ("analyse", "analyze"),
        ("centre", "center"),
        ("fibres", "fibers"),
        ("litres", "liters"),
        ("programme", "program"),
        ("dialogue", "dialog"),
        ("travelled", "traveled"),
        ("grey", "gray"),
        ("labelled", "labeled"),
    ],
)
def test_british_and_american_spellings_are_one(british, american):
    assert stem(british) == stem(american)


@pytest.mark.parametrize(
    "words", ["general generous", "rise rice", "advancement before", "our or", "wall well", "virus vire"]
)
def test_unlike_words_stay_apart(words):
    assert len(set(map(stem, words.split()))) == len(words.split())


@pytest.mark.parametrize("form", sorted(BASE_FORMS))
def test_an_irregular_form_has_the_stem_of_its_base(form):
    assert stem(form) == stem(BASE_FORMS[form])


@given(st.text(max_size=40))
def test_any_text_has_a_stem_that_is_not_empty_without_cause(word):
    assert bool(stem(word)) == (word not in {"", "'s"})

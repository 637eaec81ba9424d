"""One word in the place of another."""

import pytest


@pytest.mark.parametrize(
    ("first", "second", "finding"),
    [
        ("Come on Monday.", "Come on Tuesday.", ("category:weekday", True)),
        ("The kidney is swollen.", "The liver is swollen.", ("category:organ", True)),
        ("The car is red.", "The car is blue.", ("category:color", False)),
        ("He flew to Boston today.", "He flew to Denver today.", ("name", True)),
        ("The patient takes metformin.", "The patient takes glipizide.", ("name", True)),
        ("The cat sleeps here.", "The puppy sleeps here.", ("substitution", False)),
        ("The victim was conscious.", "The victim was comatose.", ("opposite:conscious", True)),
        ("The doctor sleeps here.", "The physician sleeps here.", None),
        ("Come on Monday and Tuesday.", "Come on Tuesday.", None),
        ("He flew to Boston.", "Denver is a large town in the west of the country.", None),
    ],
)
def test_a_word_in_the_place_of_another(found, first, second, finding):
    assert found(first, second) == finding
    assert found(second, first) == finding


@pytest.mark.parametrize(
    ("first", "second", "finding"),
    [
        ("It is a kitten.", "It is a puppy.", ("value", True)),
        ("It is a doctor.", "It is a physician.", None),
        ("A kitten.", "It is a kitten.", None),
    ],
)
def test_short_answers_to_what_are_the_words_that_the_question_has_not(found, first, second, finding):
    assert found(first, second, "What is it?") == finding


def test_without_the_question_the_same_words_are_a_doubt(found):
    assert found("It is a kitten.", "It is a puppy.") in {None, ("substitution", False)}

"""Opposites of the lexicon, and words that differ by a negating prefix."""

import pytest

from consensus_server.core.contradictions.opposites import negating_prefixes, opposites, without_prefix
from consensus_server.core.contradictions.stems import stem


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("The tumour is benign.", "The tumour is malignant.", "opposite:malignancy"),
        ("The fracture is on the left.", "The fracture is on the right.", "opposite:side"),
        ("Raise the dose.", "Decrease the dose.", "opposite:change"),
        ("The patient has hyperkalaemia.", "The patient has hypokalaemia.", "opposite:hyper:kalemia"),
    ],
)
def test_opposite_sides_of_an_axis_contradict(side_by_side, first, second, kind):
    kinds = {each.kind for each in opposites(side_by_side(first, second))}
    assert kind in kinds
    assert kinds == {each.kind for each in opposites(side_by_side(second, first))}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The tumour is benign.", "The tumour is not malignant."),
        ("The tumour is benign.", "The lake is malignant for swans of old age."),
        ("The left and right lung are clear.", "The left lung is clear."),
        ("Raise the dose.", "Increase the dose."),
        ("A is larger than B.", "B is smaller than A."),
    ],
)
def test_one_side_or_another_subject_does_not(side_by_side, first, second):
    assert list(opposites(side_by_side(first, second))) == []


def test_an_axis_on_which_another_sentence_agrees_is_a_doubt(found):
    assert found("The left lung is dull. The right lung is clear.", "The right lung is dull.") != (
        "opposite:side",
        True,
    )


@pytest.mark.parametrize(
    ("first", "second", "contradict"),
    [
        ("The damage is repairable.", "The damage is irrepairable.", True),
        ("The damage is not repairable.", "The damage is irrepairable.", False),
        ("The rash is noninfectious.", "The rash is infectious.", True),
    ],
)
def test_a_negating_prefix_contradicts_the_word_without_it(side_by_side, first, second, contradict):
    assert bool(list(negating_prefixes(side_by_side(first, second)))) is contradict


def test_a_prefix_with_a_hyphen_is_one(found):
    assert found("The rash is infectious.", "The rash is non-infectious.") is not None


@pytest.mark.parametrize(
    ("word", "rests"),
    [("unstabl", ["stabl"]), ("irregular", ["regular"]), ("invest", []), ("unit", []), ("discover", [])],
)
def test_what_is_left_without_its_prefix(word, rests):
    assert list(without_prefix(word)) == rests


@pytest.mark.parametrize(
    "word",
    [
        "invaluable",
        "inflammable",
    ],
)
def test_words_that_only_look_negated_have_no_opposite(word):
    assert without_prefix(stem(word)) == ()


def test_names_have_no_prefix(found):
    assert found("He lives in Akansa.", "He lives in Kansas.") != ("prefix", True)

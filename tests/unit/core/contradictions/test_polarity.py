"""Affirmed and denied, all and few, must and may."""

import pytest

from consensus_server.core.contradictions.polarity import modality, nearly_equal, negations, quantifiers


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The fracture needs surgery.", "The fracture does not need surgery."),
        ("There is evidence of pneumonia.", "There is no evidence of pneumonia."),
        ("It was done with contrast.", "It was done without contrast."),
        ("Both kidneys are affected.", "Neither kidney is affected."),
    ],
)
def test_a_denied_word_contradicts_an_affirmed_one(side_by_side, first, second):
    (one,) = negations(side_by_side(first, second))
    (other,) = negations(side_by_side(second, first))
    assert one.strength == other.strength >= 0.6
    assert (one.first, one.second) == (other.second, other.first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The drug is not safe.", "The drug isn't safe."),
        ("Babies should not be given honey.", "Honey should not be given to babies."),
        ("The drug is not unsafe.", "The drug is safe."),
        ("The tumour is not malignant.", "The tumour is benign."),
        ("Pain was denied.", "He is on the ward."),
        ("Anna is not older than Bert.", "Bert is older than Anna."),
    ],
)
def test_what_both_deny_is_no_contradiction(side_by_side, first, second):
    assert list(negations(side_by_side(first, second))) == []


@pytest.mark.xfail(reason="known limit (SPEC 5.7): two ways to forbid, of which only one denies 'pregnant women'")
def test_two_ways_to_forbid_the_same_are_no_contradiction(found):
    assert not found("The vaccine must not be given to pregnant women.", "Pregnant women must not receive the vaccine.")


def test_what_may_be_said_in_another_word_is_a_doubt(found):
    assert found("Tickets are sold out.", "No tickets are left.") == ("negation", False)


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ("All patients recovered.", "Few patients recovered.", 1),
        ("All patients recovered.", "Some patients recovered.", 1),
        ("All patients recovered.", "Most patients recovered.", 0),
        ("All patients recovered.", "Few trains ran.", 0),
        ("All patients recovered.", "Patients recovered.", 0),
    ],
)
def test_quantifiers_two_levels_apart_contradict(side_by_side, first, second, count):
    assert len(list(quantifiers(side_by_side(first, second)))) == count


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ("You must fast.", "You may fast.", 1),
        ("You must fast.", "You need not fast.", 1),
        ("You must fast.", "You have to fast.", 0),
        ("You may fast.", "You can fast.", 0),
    ],
)
def test_must_contradicts_may(side_by_side, first, second, count):
    assert len(list(modality(side_by_side(first, second)))) == count


def test_sentences_are_nearly_equal_but_for_what_one_of_them_has(side_by_side):
    assert nearly_equal(side_by_side("All patients recovered.", "All patients quickly recovered."))
    assert not nearly_equal(side_by_side("All patients recovered.", "All trains ran."))

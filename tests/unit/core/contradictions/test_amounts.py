"""Quantities and limits that differ."""

import pytest

from consensus_server.core.contradictions.amounts import bounds, numbers


@pytest.mark.parametrize(
    ("first", "second", "dimension", "strength"),
    [
        ("Take 5 mg.", "Take 50 mg.", "mass", 1.0),
        ("Take 10 mg of it.", "Take 10 micrograms of it.", "mass", 1.0),
        ("Take 2 tablets.", "Take 4 tablets.", "n:tablet", 1.0),
        ("About 5 mg is given.", "About 6 mg is given.", "mass", 0.5),
        ("About 5 mg is given.", "About 60 mg is given.", "mass", 1.0),
        ("4-6 mg is given.", "5-7 mg is given.", "mass", 0.5),
        ("4-6 mg is given.", "8-9 mg is given.", "mass", 1.0),
        ("Take it at 8 am.", "Take it at 8 pm.", "clock", 1.0),
        ("Take one tablet once daily.", "Take one tablet twice daily.", "frequency", 1.0),
    ],
)
def test_other_amounts_contradict_and_near_ones_are_a_doubt(side_by_side, first, second, dimension, strength):
    (difference,) = numbers(side_by_side(first, second))
    assert (difference.kind, difference.strength) == (f"number:{dimension}", strength)
    assert numbers(side_by_side(second, first)).__next__().strength == strength


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Take 5 mg.", "Take 5mg."),
        ("Take 1 g of it.", "Take 1000 mg of it."),
        ("Take 5 mg.", "Take 4 to 6 mg."),
        ("Take 5 mg.", "Take it for 5 days."),
        ("Take 5 mg.", "The old bridge weighs 40 t."),
        ("Take 5 mg twice a day.", "Twice a day, take 5 mg."),
    ],
)
def test_equal_amounts_and_amounts_of_something_else_do_not(side_by_side, first, second):
    assert list(numbers(side_by_side(first, second))) == []


def test_a_number_of_the_prompt_is_no_difference(side_by_side):
    given, asked = "He took 500 mg of it.", "He should take 250 mg of it."
    assert list(numbers(side_by_side(given, asked)))
    assert not list(numbers(side_by_side(given, asked, "He took 500 mg: what now?")))


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ("At least 5 mg is given.", "At most 5 mg is given.", 1),
        ("At least 5 mg is given.", "No less than 5 mg is given.", 0),
        ("At least 5 mg is given.", "Exactly 5 mg is given.", 0),
    ],
)
def test_limits_on_different_sides_of_a_number_contradict(side_by_side, first, second, count):
    assert len(list(bounds(side_by_side(first, second)))) == count
    assert len(list(bounds(side_by_side(second, first)))) == count


@pytest.mark.parametrize(
    ("first", "second", "contradict"),
    [
        ("Give .5 mg of digoxin.", "Give 5 mg of digoxin.", True),
        ("Give .5 mg of digoxin.", "Give 0.5 mg of digoxin.", False),
        ("Run it at 20 ml per hour.", "Run it at 20 ml per minute.", True),
        ("The blood pressure was 120/80 mmHg.", "The blood pressure was 180/120 mmHg.", True),
        ("Come at 12 am.", "Come at 12 pm.", True),
        ("Come at 12 am.", "Come at midnight.", False),
        ("Come at 8 a.m.", "Come at 8 p.m.", True),
        ("The last dose was given at 06:30.", "The last dose was given at 18:30.", True),
        ("Wait half an hour.", "Wait five hours.", True),
        ("It froze at -5 °C.", "It froze at 5 °C.", True),
        ("The visit is on May 17th.", "The visit is on May 27th.", True),
        ("1. The dose is 5 mg.", "2. The dose is 5 mg.", False),
    ],
)
def test_misread_numbers_are_told_right(found, first, second, contradict):
    assert (found(first, second) is not None) is contradict
